import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Broker from "../../src/Broker.ts"
import { ChatEvent, type ChatRequest } from "../../src/domain/Chat.ts"
import {
  AccessRejected,
  AccountBlocked,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import * as Testing from "../../src/testing/index.ts"
import { Gateway } from "../../src/traffic/Gateway.ts"
import type { GatewayRequest } from "../../src/traffic/GatewayRequest.ts"
import * as Journey from "../../src/traffic/journey.ts"
import { bodyOf, readAll, textOf } from "./answers.ts"

const { ScriptedWarp } = Testing
const broker = (options: Testing.ScriptedWarpOptions = {}) =>
  Broker.layer.pipe(Layer.provideMerge(Testing.layer(options)))
const request = { model: "auto", messages: [{ role: "user" as const, content: "hi" }] }
const provider = "warp"

const add = (name: string, kind: "anonymous" | "shared" | "personal") =>
  TokenPool.use((pool) => pool.add({ provider, name, kind, credential: { refresh: Redacted.make(`refresh ${name}`) } }))

const sending = (request: ChatRequest, more: Partial<GatewayRequest> = {}) =>
  Gateway.use((gateway) =>
    gateway.send({
      id: "req-test",
      endpoint: "/chat/completions",
      body: bodyOf(request),
      model: request.model,
      stream: request.stream === true,
      client: "test",
      ...more
    })
  )

/** One request to its end: the text, and who served it. */
const asking = (request: ChatRequest, more: Partial<GatewayRequest> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journey = Journey.make(false)
      const text = textOf(yield* readAll(yield* sending(request, { journey, ...more })))
      const { attempts, token } = journey
      return { token, attempts, text }
    })
  )
const ask = asking(request)
const calls = ScriptedWarp.use(({ calls }) => calls)
const unavailable = (reason: "status" | "cut" = "status") =>
  new UpstreamUnavailable({ provider, reason, detail: "synthetic" })
const stateOf = (id: string) =>
  Effect.map(
    TokenPool.use((pool) => pool.list()),
    (tokens) => tokens.find((token) => token.id === id)?.state._tag
  )
const leased = Effect.map(
  TokenPool.use((pool) => pool.list()),
  (tokens) => tokens.reduce((sum, { leased }) => sum + leased, 0)
)

describe("Gateway, before Warp alone", () => {
  it.effect(
    "spends the anonymous token first and moves to the personal one when its quota ends, within one request",
    () =>
      Effect.gen(function* () {
        const [anonymous, personal] = [yield* add("a", "anonymous"), yield* add("p", "personal")]
        assert.strictEqual((yield* ask).token, anonymous)
        assert.strictEqual((yield* ask).token, anonymous)
        const moved = yield* ask
        assert.deepStrictEqual(moved, { token: personal, attempts: 2, text: "ok" })
        assert.strictEqual((yield* ask).attempts, 1)
        assert.strictEqual(yield* stateOf(anonymous), "exhausted")
        assert.strictEqual((yield* calls).createAnonymousUser, 0)
      }).pipe(Effect.provide(broker({ quotaPerToken: (user) => (user.includes("a") ? 2 : 100) })))
  )

  it.effect("acquires a token when the pool is empty, and when all is used up says when that can change", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask).text, "ok")
      assert.strictEqual((yield* ask).text, "ok")
      const error = yield* Effect.flip(ask)
      if (error._tag !== "NoCapacity") return assert.fail(error._tag)
      assert.deepStrictEqual(error.retryAfter, Duration.minutes(5))
      assert.strictEqual((yield* calls).createAnonymousUser, 1)
      yield* TestClock.adjust(Duration.millis(Duration.toMillis("5 minutes") - 1))
      // So near, it is waited for.
      const waiting = yield* Effect.forkChild(ask, { startImmediately: true })
      assert.strictEqual((yield* calls).createAnonymousUser, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(waiting)).text, "ok")
      assert.strictEqual((yield* calls).createAnonymousUser, 2)
    }).pipe(Effect.provide(broker({ quotaPerToken: 2 })))
  )

  it.effect("says for how long a limit above the tokens holds, and asks for no token because of it", () =>
    Effect.gen(function* () {
      yield* add("a", "anonymous")
      yield* add("p", "personal")
      const limit = new Throttled({ provider, signature: "429 page", retryAfter: Duration.seconds(90) })
      yield* ScriptedWarp.use(({ fail }) => fail("chat", limit, 2))
      for (let i = 0; i < 2; i++) {
        const error = yield* Effect.flip(ask)
        if (error._tag !== "Throttled") return assert.fail(error._tag)
        assert.deepStrictEqual(error.retryAfter, Duration.seconds(90))
      }
      assert.strictEqual((yield* calls).chat, 2)
      assert.strictEqual((yield* calls).createAnonymousUser, 0)
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual((yield* ask).text, "ok")
    }).pipe(Effect.provide(broker()))
  )

  it.effect("takes a token service that is down for a failing upstream, and acquires nothing because of it", () =>
    Effect.gen(function* () {
      yield* add("p", "personal")
      const { fail } = yield* ScriptedWarp
      yield* fail("refresh", unavailable(), 20)
      const asked = yield* Effect.forkChild(Effect.flip(ask), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "UpstreamUnavailable")
      assert.strictEqual((yield* calls).createAnonymousUser, 0)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("says that the store is away when nothing can be decided without it, and acquires nothing", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const away = Effect.fail(new StoreUnavailable({ operation: "read", detail: "synthetic" }))
      const broken = Layer.succeed(Store, Store.of({ ...store, get: () => away, modify: () => away }))
      const error = yield* Effect.flip(ask).pipe(
        Effect.provide(
          Broker.layer.pipe(Layer.provideMerge(broken), Layer.provideMerge(Vault.layerEphemeral), Layer.fresh)
        )
      )
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.strictEqual((yield* calls).createAnonymousUser, 0)
    }).pipe(Effect.provide(Testing.layer()))
  )

  it.effect("says plainly that minting is off, and spends none of the budget on it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ask)
      if (error._tag !== "NoCapacity") return assert.fail(error._tag)
      assert.match(error.message, /switched off/)
      assert.isUndefined(error.retryAfter)
      assert.strictEqual((yield* calls).createAnonymousUser, 0)
    }).pipe(Effect.provide(broker({ minting: false })))
  )

  it.effect("renews once after a 401 and tries the same token once more", () =>
    Effect.gen(function* () {
      const token = yield* add("p", "personal")
      yield* ask
      const before = (yield* calls).refresh
      yield* ScriptedWarp.use(({ fail }) => fail("chat", new AccessRejected({ provider })))
      assert.strictEqual((yield* ask).token, token)
      assert.strictEqual((yield* calls).refresh, before + 1)
      assert.strictEqual(yield* stateOf(token), "active")
    }).pipe(Effect.provide(broker()))
  )

  it.effect("moves to the next token after a second 401, a block, or a limit that is not the quota", () =>
    Effect.gen(function* () {
      const [a, b, c, p] = [
        yield* add("a", "anonymous"),
        yield* add("b", "anonymous"),
        yield* add("c", "shared"),
        yield* add("p", "personal")
      ]
      const { fail } = yield* ScriptedWarp
      yield* fail("chat", new AccessRejected({ provider }), 2)
      yield* fail("chat", new AccountBlocked({ provider, reason: "synthetic" }))
      yield* fail("chat", new Throttled({ provider, signature: "s", retryAfter: Duration.seconds(90) }))
      assert.strictEqual((yield* ask).token, p)
      const states = yield* Effect.forEach([a, b, c, p], stateOf)
      assert.sameMembers(states, ["cooling", "dead", "cooling", "active"])
      assert.strictEqual(yield* leased, 0)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("tries a lone upstream that fails once more, after a pause, and blames no token", () =>
    Effect.gen(function* () {
      const token = yield* add("p", "personal")
      const { fail } = yield* ScriptedWarp
      yield* fail("chat", unavailable())
      const asked = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("249 millis")
      assert.strictEqual((yield* calls).chat, 1)
      yield* TestClock.adjust("251 millis")
      assert.strictEqual((yield* Fiber.join(asked)).attempts, 2)
      yield* TestClock.adjust("1 minute")
      yield* fail("chat", unavailable(), 4)
      const failing = yield* Effect.forkChild(Effect.flip(ask), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(failing))._tag, "UpstreamUnavailable")
      assert.strictEqual((yield* calls).chat, 4)
      assert.strictEqual(yield* stateOf(token), "active")
      assert.strictEqual(yield* leased, 0)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("asks a lone upstream no more once it has failed twice in a row, and says when it will", () =>
    Effect.gen(function* () {
      yield* add("p", "personal")
      const { fail } = yield* ScriptedWarp
      yield* fail("chat", unavailable(), 2)
      const failing = yield* Effect.forkChild(Effect.flip(ask), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(failing)
      const refused = yield* Effect.flip(ask)
      if (refused._tag !== "SlotRefused") return assert.fail(refused._tag)
      assert.strictEqual(refused.reason, "unavailable")
      assert.strictEqual((yield* calls).chat, 2)
      yield* TestClock.adjust(refused.retryAfter)
      assert.strictEqual((yield* ask).text, "ok")
    }).pipe(Effect.provide(broker()))
  )

  it.effect("gives the caller's own faults back at once", () =>
    Effect.gen(function* () {
      yield* add("p", "personal")
      const rejected = new RequestRejected({ provider, status: 400, code: null, reason: "synthetic" })
      yield* ScriptedWarp.use(({ fail }) => fail("chat", rejected))
      assert.strictEqual((yield* Effect.flip(ask))._tag, "RequestRejected")
      assert.strictEqual((yield* calls).chat, 1)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("moves on when a stream fails before its first event, and not after it", () =>
    Effect.gen(function* () {
      yield* add("p", "personal")
      const { answer } = yield* ScriptedWarp
      const ask = asking({ ...request, stream: true })
      yield* answer(Stream.fail(unavailable("cut")))
      const asked = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(asked)).attempts, 2)
      yield* answer(Stream.concat(Stream.make(ChatEvent.Text({ text: "begun" })), Stream.fail(unavailable("cut"))))
      assert.strictEqual((yield* Effect.flip(ask))._tag, "UpstreamUnavailable")
      assert.strictEqual((yield* calls).chat, 3)
      assert.strictEqual(yield* leased, 0)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("moves on when an answer that is sent in one piece breaks in its middle: nothing of it was sent", () =>
    Effect.gen(function* () {
      yield* add("a", "anonymous")
      const personal = yield* add("p", "personal")
      const { answer } = yield* ScriptedWarp
      const begun = Stream.make(ChatEvent.Text({ text: "begun" }))
      yield* answer(Stream.concat(begun, Stream.fail(new QuotaExhausted({ provider, token: personal }))))
      assert.deepStrictEqual(yield* ask, { token: personal, attempts: 2, text: "ok" })
      yield* answer(Stream.concat(begun, Stream.fail(unavailable("cut"))))
      const asked = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(asked), { attempts: 2, text: "ok" })
    }).pipe(Effect.provide(broker()))
  )

  it.effect("aborts the upstream's call and gives the lease back when the caller leaves, in every phase", () =>
    Effect.gen(function* () {
      yield* add("p", "personal")
      const { answer, delay, openChats } = yield* ScriptedWarp
      const released = Effect.gen(function* () {
        assert.strictEqual(yield* openChats, 0)
        assert.strictEqual(yield* leased, 0)
      })
      yield* delay("refresh", "1 hour")
      const renewing = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(renewing)
      yield* released
      // The renewal itself goes on, so that a rotated secret is not lost with the caller.
      yield* TestClock.adjust("1 hour")

      yield* delay("chat", "1 hour")
      const connecting = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(connecting)
      yield* released

      yield* answer(Stream.never)
      const waiting = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* openChats, 1)
      yield* Fiber.interrupt(waiting)
      yield* released

      yield* answer(Stream.concat(Stream.make(ChatEvent.Text({ text: "begun" })), Stream.never))
      const scope = yield* Scope.make()
      yield* Scope.provide(sending({ ...request, stream: true }), scope)
      assert.strictEqual(yield* openChats, 1)
      assert.strictEqual(yield* leased, 1)
      yield* Scope.close(scope, Exit.void)
      yield* released
    }).pipe(Effect.provide(broker()))
  )

  it.effect("holds no more than one lease while it goes from token to token", () =>
    Effect.gen(function* () {
      yield* Effect.forEach(["a", "b", "c"], (name) => add(name, "anonymous"))
      yield* add("p", "personal")
      yield* ScriptedWarp.use(({ delay }) => delay("chat", "1 second", 4))
      const asked = yield* Effect.forkChild(ask, { startImmediately: true })
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(yield* leased, 1)
        yield* TestClock.adjust("1 millis")
      }
      assert.strictEqual((yield* Fiber.join(asked)).attempts, 4)
    }).pipe(Effect.provide(broker({ quotaPerToken: (user) => (user.includes("p") ? 9 : 0) })))
  )

  it.effect("has the upstream asked for the quota of a token that was refused, and believes it", () =>
    Effect.gen(function* () {
      const token = yield* add("a", "anonymous")
      yield* add("p", "personal")
      yield* ask
      yield* ask
      yield* TestClock.adjust("1 second")
      const quota = (yield* TokenPool.use((pool) => pool.list())).find(({ id }) => id === token)?.quota
      assert.deepInclude(quota, { limit: 1, used: 1, unlimited: false })
    }).pipe(Effect.provide(broker({ quotaPerToken: (user) => (user.includes("a") ? 1 : 9) })))
  )
})

describe("QuotaWatch", () => {
  it.effect("does not believe an answer that was asked for before the token was refused", () =>
    Effect.gen(function* () {
      const token = yield* add("a", "anonymous")
      // The first question, asked after the first answer, is still open when the quota ends.
      const { delay } = yield* ScriptedWarp
      yield* delay("quota", "1 minute")
      yield* delay("quota", "1 hour")
      yield* ask
      yield* TestClock.adjust(1)
      yield* ask
      yield* Effect.flip(ask)
      assert.strictEqual(yield* stateOf(token), "exhausted")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* stateOf(token), "exhausted")
      assert.strictEqual((yield* calls).quota, 2)
    }).pipe(Effect.provide(broker({ quotaPerToken: 2, minting: false })))
  )
})
