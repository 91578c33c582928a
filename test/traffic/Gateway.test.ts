import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Logger, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Broker from "../../src/Broker.ts"
import {
  AccessRejected,
  AccountBlocked,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import { nameOf, type OpenAiProvider, type Target } from "../../src/domain/Provider.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import * as Testing from "../../src/testing/index.ts"
import { Layer } from "effect"
import { Gateway } from "../../src/traffic/Gateway.ts"
import type { GatewayRequest } from "../../src/traffic/GatewayRequest.ts"
import { Governor } from "../../src/traffic/Governor.ts"
import * as Journey from "../../src/traffic/journey.ts"
import { offering, warp } from "../../src/traffic/offering.ts"
import { bodyOf, readAll, textOf } from "./answers.ts"

const { ScriptedOpenAi } = Testing

const provider = (name: string, more: Partial<OpenAiProvider> = {}): OpenAiProvider => ({
  name,
  kind: "openai",
  baseUrl: "http://127.0.0.1:9/v1",
  keys: [{ name: "env:KEY", kind: "shared", secret: Redacted.make(`synthetic-${name}`) }],
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  timeouts: warp.timeouts,
  models: ["small", "large"],
  ...more
})
const key = (name: string) => ({ name, kind: "shared" as const, secret: Redacted.make(`synthetic-${name}`) })

const at = (name: string, model = "small"): Target => ({ provider: name, model })
const route = (...targets: ReadonlyArray<Target>) => [{ model: "expert", targets }]

const broker = (options: Broker.BrokerOptions) => Broker.layerWith(options).pipe(Layer.provideMerge(Testing.layer()))
const two = broker({ providers: [provider("a"), provider("b")], routes: route(at("a"), at("b")) })
const alone = broker({ providers: [provider("a")], routes: route(at("a")) })

const send = (more: Partial<GatewayRequest> = {}) =>
  Gateway.use((gateway) =>
    gateway.send({
      id: "req-test",
      endpoint: "/chat/completions",
      body: bodyOf({ model: "expert", messages: [{ role: "user", content: "hi" }] }),
      model: "expert",
      stream: false,
      client: "test",
      ...more
    })
  )

/** One request to its end: the text, and where it was served. */
const ask = (more: Partial<GatewayRequest> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journey = Journey.make(true)
      const text = textOf(yield* readAll(yield* send({ journey, ...more })))
      const { attempts, queuedMs, target } = journey
      return { text, attempts, queuedMs, target: target && nameOf(target) }
    })
  )

const down = new UpstreamUnavailable({ provider: "a", reason: "status", status: 503, detail: "synthetic" })
const tooLong = new RequestRejected({
  provider: "a",
  status: 400,
  code: "context_length_exceeded",
  reason: "synthetic"
})
const calls = ScriptedOpenAi.use(({ calls }) => calls)
const fail = (...args: Parameters<(typeof ScriptedOpenAi)["Service"]["fail"]>) =>
  ScriptedOpenAi.use((scripted) => scripted.fail(...args))

/** Everything that was taken has been given back. */
const allBack = Effect.gen(function* () {
  const { inUse, waiting } = yield* Governor.use(({ statistics }) => statistics)
  const leased = (yield* TokenPool.use((pool) => pool.list())).reduce((sum, token) => sum + token.leased, 0)
  assert.deepStrictEqual(
    { inUse, waiting, leased, open: yield* ScriptedOpenAi.use(({ open }) => open) },
    { inUse: 0, waiting: 0, leased: 0, open: 0 }
  )
})

describe("Gateway", () => {
  it.effect("serves from the first target of the route, whole and streamed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask(), { text: "ok", attempts: 1, queuedMs: 0, target: "a/small" })
      assert.deepStrictEqual(yield* ask({ stream: true }), { text: "ok", attempts: 1, queuedMs: 0, target: "a/small" })
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect("goes to the next target when one fails before it has said anything, without a pause", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), down)
      assert.deepInclude(yield* ask({ stream: true }), { text: "ok", attempts: 2, target: "b/small" })
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect("logs why it goes on without what an upstream repeats of the question", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const capture = Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])
      const echo = {
        provider: "a",
        status: 500,
        detail: "it answered with status 500: synthetic words of the question"
      }
      yield* fail(at("a"), new UpstreamUnavailable({ ...echo, reason: "status" }))
      assert.deepInclude(yield* Effect.provide(ask(), capture), { target: "b/small" })
      assert.include(lines.join("\n"), "moving on: a is unavailable (status): it answered with status 500")
      assert.notInclude(lines.join("\n"), "words of the question")
    }).pipe(Effect.provide(two))
  )

  it.effect("keeps with a blocked token the code of why, and no sentence, which may repeat the question", () =>
    Effect.gen(function* () {
      const whys = Effect.map(
        TokenPool.use((pool) => pool.list("a")),
        (tokens) => tokens.map(({ state }) => ("why" in state ? state.why : state._tag)).toSorted()
      )
      yield* fail(at("a"), new AccountBlocked({ provider: "a", reason: "it asked: synthetic words of the question" }))
      yield* fail(at("a"), new AccountBlocked({ provider: "a", reason: "USER_DISABLED" }))
      assert.deepInclude(yield* ask(), { target: "b/small" })
      assert.deepStrictEqual(yield* whys, ["blocked: USER_DISABLED", "blocked: its answer to a call said so"])
    }).pipe(
      Effect.provide(
        broker({
          providers: [provider("a", { keys: [key("one"), key("two")] }), provider("b")],
          routes: route(at("a"), at("b"))
        })
      )
    )
  )

  it.effect("takes a question that is too long to another model, never to the same one elsewhere", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), tooLong)
      assert.deepInclude(yield* ask(), { text: "ok", attempts: 2, target: "b/large" })
      assert.deepStrictEqual(yield* calls, { "a/small": 1, "b/large": 1 })
    }).pipe(
      Effect.provide(
        broker({ providers: [provider("a"), provider("b")], routes: route(at("a"), at("b"), at("b", "large")) })
      )
    )
  )

  it.effect("gives the caller what only the caller can mend, at once", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), tooLong)
      assert.strictEqual((yield* Effect.flip(ask()))._tag, "RequestRejected")
      yield* fail(at("a"), new RequestRejected({ provider: "a", status: 422, code: null, reason: "synthetic" }))
      assert.strictEqual((yield* Effect.flip(ask()))._tag, "RequestRejected")
      assert.deepStrictEqual(yield* calls, { "a/small": 2 })
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect("moves to a sibling token at once when one is throttled", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), new Throttled({ provider: "a", signature: "s", retryAfter: Duration.seconds(20) }))
      assert.deepInclude(yield* ask(), { attempts: 2, target: "a/small" })
    }).pipe(
      Effect.provide(broker({ providers: [provider("a", { keys: [key("one"), key("two")] })], routes: route(at("a")) }))
    )
  )

  it.effect("waits for the only token when it is back in time, and otherwise says when it will be", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), new Throttled({ provider: "a", signature: "s", retryAfter: Duration.seconds(20) }))
      const waiting = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("19999 millis")
      assert.deepStrictEqual(yield* calls, { "a/small": 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* Fiber.join(waiting), { text: "ok", attempts: 2, queuedMs: 20_000 })

      yield* fail(at("a"), new Throttled({ provider: "a", signature: "s", retryAfter: Duration.minutes(5) }))
      const refused = yield* Effect.flip(ask())
      assert.include(["Throttled", "NoCapacity"], refused._tag)
      assert.deepStrictEqual("retryAfter" in refused && refused.retryAfter, Duration.minutes(5))
      yield* allBack
    }).pipe(Effect.provide(alone))
  )

  it.effect("sends at most five calls over 15 requests in a minute's outage, and is back soon after it", () =>
    Effect.gen(function* () {
      const { outage } = yield* ScriptedOpenAi
      yield* outage(at("a"), down)
      for (let i = 0; i < 15; i++) {
        assert.strictEqual((yield* ask()).target, "b/small")
        yield* TestClock.adjust("4 seconds")
      }
      assert.isAtMost((yield* calls)["a/small"] ?? 0, 5)
      yield* outage(at("a"), undefined)
      let recovered: number | undefined
      for (let seconds = 0; seconds < 60 && recovered === undefined; seconds += 4) {
        if ((yield* ask()).target === "a/small") recovered = seconds
        yield* TestClock.adjust("4 seconds")
      }
      assert.isAtMost(recovered ?? Number.POSITIVE_INFINITY, 30)
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect("keeps to the deadline of the whole request, over all its attempts", () =>
    Effect.gen(function* () {
      yield* ScriptedOpenAi.use(({ slow }) => slow(at("a"), "3 seconds"))
      yield* ScriptedOpenAi.use(({ slow }) => slow(at("b"), "3 seconds"))
      const asked = yield* Effect.forkChild(Effect.flip(ask({ timeout: Duration.seconds(2) })), {
        startImmediately: true
      })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(asked.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "DeadlineExceeded")
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect(
    "gives a silent target half of the time there is, when there is another, and leaves it alone once it is known",
    () =>
      Effect.gen(function* () {
        yield* ScriptedOpenAi.use(({ slow }) => slow(at("a"), "1 hour"))
        for (let i = 0; i < 2; i++) {
          const asked = yield* Effect.forkChild(ask({ timeout: Duration.seconds(10) }), { startImmediately: true })
          yield* TestClock.adjust("5 seconds")
          assert.deepInclude(yield* Fiber.join(asked), { target: "b/small", attempts: 2 })
        }
        assert.deepInclude(yield* ask({ timeout: Duration.seconds(10) }), { target: "b/small", attempts: 1 })
      }).pipe(Effect.provide(two))
  )

  it.effect("does not hold against a target that a request in a hurry gave it no time", () =>
    Effect.gen(function* () {
      yield* ScriptedOpenAi.use((scripted) => scripted.slow(at("a"), "2 seconds"))
      for (let i = 0; i < 5; i++) {
        const hurried = yield* Effect.forkChild(ask({ timeout: Duration.seconds(1) }), { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual((yield* Fiber.join(hurried)).target, "b/small")
      }
      const patient = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(patient)).target, "a/small")
    }).pipe(Effect.provide(two))
  )

  it.effect("tells of a key that is not accepted at once: it will not be in a minute either", () =>
    Effect.gen(function* () {
      yield* fail(at("a"), new AccessRejected({ provider: "a" }))
      assert.strictEqual((yield* Effect.flip(ask()))._tag, "AccessRejected")
      assert.deepStrictEqual(yield* calls, { "a/small": 1 })
      yield* allBack
    }).pipe(Effect.provide(alone))
  )

  it.effect("serves those in line by the new offer when theirs has gone with its keys", () =>
    Effect.gen(function* () {
      const { slow } = yield* ScriptedOpenAi
      yield* slow(at("a"), "10 seconds")
      const single = provider("a", { limits: { concurrency: 1, rpm: "unlimited", tpm: "unlimited" } })
      yield* offering([single], route(at("a")))
      const running = yield* Effect.forkChild(ask(), { startImmediately: true })
      const waiting = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* offering([provider("b")], route(at("b")))
      yield* TestClock.adjust("9 seconds")
      assert.deepInclude(yield* Fiber.join(running), { target: "a/small" })
      assert.deepInclude(yield* Fiber.join(waiting), { target: "b/small", text: "ok" })
      yield* allBack
    }).pipe(Effect.provide(alone))
  )

  it.effect("repeats the only target in order rather than wait for another's token", () =>
    Effect.gen(function* () {
      yield* fail(at("b"), new QuotaExhausted({ provider: "b", token: TokenId.make("synthetic") }))
      yield* fail(at("a"), down)
      const asked = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(asked), { target: "a/small", text: "ok", attempts: 3 })
    }).pipe(Effect.provide(two))
  )

  it.effect("fails an answer that breaks after its first content, and holds it against the target", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 2; i++) {
        yield* ScriptedOpenAi.use((scripted) => scripted.break(at("a"), down))
        assert.strictEqual((yield* Effect.flip(ask({ stream: true })))._tag, "UpstreamUnavailable")
        yield* TestClock.adjust("4 seconds")
      }
      assert.deepInclude(yield* ask({ stream: true }), { target: "b/small", text: "ok" })
      yield* allBack
    }).pipe(Effect.provide(two))
  )

  it.effect("gives everything back when the client leaves: in line, before the answer, in the stream", () =>
    Effect.gen(function* () {
      const { slow } = yield* ScriptedOpenAi
      yield* slow(at("a"), "1 minute", "1 minute")
      const before = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      const inLine = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Governor.use(({ statistics }) => statistics), { inUse: 1, waiting: 1 })
      yield* Fiber.interrupt(inLine)
      assert.deepInclude(yield* Governor.use(({ statistics }) => statistics), { inUse: 1, waiting: 0 })
      yield* Fiber.interrupt(before)
      yield* allBack
      // What was broken off holds its place a moment longer, since its upstream may not have noticed.
      yield* TestClock.adjust("100 millis")

      const scope = yield* Scope.make()
      const streaming = yield* Effect.forkChild(Scope.provide(send({ stream: true }), scope), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(streaming)
      assert.deepInclude(yield* Governor.use(({ statistics }) => statistics), { inUse: 1 })
      yield* Scope.close(scope, Exit.void)
      yield* allBack
    }).pipe(
      Effect.provide(
        broker({
          providers: [provider("a", { limits: { concurrency: 1, rpm: "unlimited", tpm: "unlimited" } })],
          routes: route(at("a"))
        })
      )
    )
  )

  it.effect("names a model that nobody serves", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ask({ model: "unheard-of" }))
      assert.strictEqual(error._tag, "ModelNotServed")
    }).pipe(Effect.provide(two))
  )

  it.effect("notes of a request that is traced where it went, why, and how long each phase took", () =>
    Effect.gen(function* () {
      const echo = "synthetic words of the question"
      yield* fail(at("a"), new UpstreamUnavailable({ provider: "a", reason: "status", status: 503, detail: echo }))
      yield* ScriptedOpenAi.use(({ slow }) => slow(at("b"), "3 seconds"))
      const journey = Journey.make(true)
      const asked = yield* Effect.forkChild(ask({ journey }), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(asked)
      assert.deepInclude(journey, { attempts: 2, target: at("b"), timeout: 600_000 })
      assert.strictEqual(journey.failure?._tag, "UpstreamUnavailable")
      assert.deepStrictEqual(
        journey.steps?.map(({ step }) => step),
        ["slot", "token", "sent", "failed", "slot", "token", "sent", "answered"]
      )
      const [, token, , failure, , , , answered] = journey.steps ?? []
      assert.isString(token?.token)
      assert.match(failure?.detail ?? "", /unavailable.*503/)
      assert.deepInclude(answered, { took: 3_000, target: "b/small" })
      assert.notInclude(JSON.stringify(journey.steps), "synthetic-b")
      assert.notInclude(JSON.stringify(journey.steps), echo)
    }).pipe(Effect.provide(two))
  )
})
