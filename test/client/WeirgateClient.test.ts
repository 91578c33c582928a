import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { BadRequest, type Reason, type TokenCalls, WeirgateClient, WeirgateError } from "../../src/client/index.ts"
import { type Patience, waitBefore } from "../../src/client/retrying.ts"
import * as Reasons from "../../src/client/WeirgateError.ts"
import { answer, apiKey, done, lent, paths, refusal, refused, reset, server, silent } from "./scripted.ts"

const secret = "synthetic-token-secret-0001"
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
/** What it fails with, after all the time it may take. */
const failure = <A, R>(effect: Effect.Effect<A, WeirgateError, R>) =>
  Effect.gen(function* () {
    const fiber = yield* begin(Effect.flip(effect))
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })
const success = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* begin(effect)
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })
const reasonOf = <A, R>(effect: Effect.Effect<A, WeirgateError, R>) =>
  Effect.map(failure(effect), ({ reason }) => reason)
const shown = (error: unknown) => `${String(error)} ${JSON.stringify(error)} ${Cause.pretty(Cause.fail(error))}`

describe("what is sent", () => {
  it.effect("carries the key, and the fields that were given", () =>
    Effect.gen(function* () {
      const { seen, use } = server({ [paths.get]: [lent(1)], [paths.add]: [done] })
      const token = yield* use(({ tokens }) => tokens.get({ strategy: "best", provider: undefined }))
      yield* use(({ tokens }) => tokens.add({ token: Redacted.make(secret), name: "mine" }))
      assert.strictEqual(Redacted.value(token.token), "synthetic-token-1")
      assert.notInclude(shown(token), "synthetic-token-1")
      assert.deepStrictEqual(
        seen.map(({ at: _at, ...rest }) => rest),
        [
          { method: "GET", path: "/api/token/get?strategy=best", authorization: `Bearer ${apiKey}`, body: undefined },
          {
            method: "POST",
            path: "/api/token/add",
            authorization: `Bearer ${apiKey}`,
            body: { token: secret, name: "mine" }
          }
        ]
      )
    })
  )

  it.effect("keeps a path in the base URL", () =>
    Effect.gen(function* () {
      const { seen, use } = server({ "/gate/api/token/get": [lent(1)] })
      yield* use(({ tokens }) => tokens.get(), { baseUrl: new URL("https://weirgate.test/gate/") })
      assert.strictEqual(seen.length, 1)
    })
  )

  it.effect(
    "is refused before it is sent when the contract has no place for it, naming the field and not the secret",
    () =>
      Effect.gen(function* () {
        const { seen, use } = server({})
        const spaced = `${secret} with spaces`
        const error = yield* failure(use(({ tokens }) => tokens.add({ token: Redacted.make(spaced) })))
        assert.instanceOf(error.reason, BadRequest)
        assert.strictEqual(error.reason.param, "token")
        assert.strictEqual(error.status, undefined)
        assert.notInclude(shown(error), secret)
        assert.strictEqual(seen.length, 0)
      })
  )

  it.effect("goes nowhere with options that cannot be used, which are named and not repeated", () =>
    Effect.gen(function* () {
      const key = Redacted.make(apiKey)
      const at = "http://weirgate.test"
      const flaws = [
        ["baseUrl", { baseUrl: "weirgate.test", apiKey: key }],
        ["baseUrl", { baseUrl: `http://user:${secret}@weirgate.test`, apiKey: key }],
        ["baseUrl", { baseUrl: "http://weirgate.test/?a=b", apiKey: key }],
        ["apiKey", { baseUrl: at, apiKey: Redacted.make(`${secret}\nx: y`) }],
        ["apiKey", { baseUrl: at, apiKey: Redacted.make("") }],
        ["timeout", { baseUrl: at, apiKey: key, timeout: 0 }],
        ["retry.tries", { baseUrl: at, apiKey: key, retry: { tries: 0 } }]
      ] as const
      for (const [param, options] of flaws) {
        const { use } = server({})
        const error = yield* failure(use(({ tokens }) => tokens.get(), options))
        assert.instanceOf(error.reason, BadRequest)
        assert.strictEqual(error.reason.param, param)
        assert.notInclude(shown(error), secret)
      }
    })
  )
})

describe("what is answered", () => {
  const read = (...replies: Parameters<typeof server>[0][string]) => {
    const { use } = server({ [paths.stats]: replies })
    return failure(use(({ tokens }) => tokens.stats()))
  }

  it.effect("becomes a reason that says what to do, from D4's frame", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<[number, string, Reason["_tag"]]> = [
        [400, "invalid_request_error", "BadRequest"],
        [401, "invalid_api_key", "Unauthorized"],
        [403, "role_not_allowed", "Forbidden"],
        [404, "token_unknown", "NotFound"],
        [404, "no_token", "NoToken"],
        [409, "token_held", "TokenHeld"],
        [409, "name_taken", "Conflict"],
        [413, "invalid_request_error", "BadRequest"],
        [429, "key_rate_limited", "Limited"],
        [500, "internal_error", "Unavailable"],
        [503, "no_token", "NoToken"],
        [503, "store_unavailable", "Unavailable"]
      ]
      for (const [status, type, tag] of table) {
        const error = yield* read(refusal(status, type))
        assert.deepStrictEqual(
          [error.reason._tag, error.status, error.code, error.message],
          [tag, status, type, `refused: ${type}`]
        )
      }
    })
  )

  it.effect("names the field and the wait", () =>
    Effect.gen(function* () {
      const bad = yield* read(refusal(400, "invalid_request_error", { param: "provider" }))
      assert.strictEqual(bad.reason._tag === "BadRequest" && bad.reason.param, "provider")
      const limited = yield* read(refusal(429, "key_rate_limited", { retry_after: 61 }))
      assert.strictEqual(limited.retryAfterSeconds, 61)
    })
  )

  it.effect("is understood in OpenAI's frame too", () =>
    Effect.gen(function* () {
      const error = { message: "busy", type: "rate_limit_error", param: null, code: null }
      const limited = yield* read(answer(429, { error }, { "retry-after": "120" }))
      assert.deepStrictEqual(
        [limited.reason._tag, limited.code, limited.message, limited.retryAfterSeconds],
        ["Limited", "rate_limit_error", "busy", 120]
      )
    })
  )

  it.effect("is none of Weirgate's when it keeps to no frame, and is not quoted", () =>
    Effect.gen(function* () {
      for (const reply of [
        answer(404, `<html>${secret}</html>`),
        answer(302, "", { location: "http://elsewhere.test" }),
        answer(200, `<html>${secret}</html>`),
        answer(200, { code: 200, success: true, data: { tokens: secret } })
      ]) {
        const error = yield* read(reply)
        assert.strictEqual(error.reason._tag, "Unintelligible")
        assert.notInclude(shown(error), secret)
      }
      assert.strictEqual((yield* read(answer(502, "<html>"))).reason._tag, "Unavailable")
    })
  )

  it.effect("is not repeated where it holds the key or a token that was sent", () =>
    Effect.gen(function* () {
      const echo = refusal(400, "invalid_request_error", { error: `cannot read ${secret} of ${apiKey}` })
      const { use } = server({ [paths.add]: [echo] })
      const error = yield* failure(use(({ tokens }) => tokens.add({ token: Redacted.make(secret) })))
      assert.notInclude(shown(error), secret)
      assert.notInclude(shown(error), apiKey)
    })
  )

  it.effect("is given without its frame", () =>
    Effect.gen(function* () {
      const told = {
        data: ["a", "b"],
        count: 2,
        source: "cache" as const,
        age: 60,
        listed_at: "2026-01-01T00:00:00.000Z",
        account: "Token-1",
        failure: null,
        timestamp: "2026-01-01T00:01:00.000Z"
      }
      const { seen, use } = server({ [paths.folders]: [answer(200, { code: 200, success: true, ...told })] })
      assert.deepStrictEqual(yield* use(({ drive }) => drive.folders({ folder: "x/y", realtime: true })), told)
      assert.strictEqual(seen[0]?.path, "/api/folders?realtime=true&folder=x%2Fy")
    })
  )
})

describe("a call that fails for now", () => {
  const get = ({ tokens }: { readonly tokens: TokenCalls }) => tokens.get()
  /** That the waits are at least these, and longer by at most a fifth. */
  const assertWaits = (times: ReadonlyArray<number>, ...waits: ReadonlyArray<number>) => {
    const actual = times.slice(1).map((at, index) => at - times[index]!)
    assert.strictEqual(actual.length, waits.length, String(actual))
    actual.forEach((wait, index) => {
      assert.isAtLeast(wait, waits[index]!)
      assert.isAtMost(wait, Math.ceil(waits[index]! * 1.2))
    })
  }

  it.effect("is made three times in all, a second and two apart", () =>
    Effect.gen(function* () {
      for (const reply of [
        refused,
        reset,
        refusal(502, "upstream_error"),
        refusal(503, "store_unavailable"),
        refusal(504, "x")
      ]) {
        const { times, use } = server({ [paths.get]: [reply] })
        assert.strictEqual((yield* reasonOf(use(get)))._tag, "Unavailable")
        assertWaits(times(paths.get), 1_000, 2_000)
      }
    })
  )

  it.effect("succeeds with the try that does", () =>
    Effect.gen(function* () {
      const { times, use } = server({ [paths.get]: [refused, refusal(503, "shutting_down"), lent(1)] })
      assert.strictEqual((yield* success(use(get))).lease, "lease-1")
      assertWaits(times(paths.get), 1_000, 2_000)
    })
  )

  it.effect("is given up after 5 seconds of silence and made again, each time", () =>
    Effect.gen(function* () {
      const { times, use } = server({ [paths.get]: [silent] })
      const reason = yield* reasonOf(use(get))
      assert.deepStrictEqual([reason._tag, reason.code], ["Unavailable", "timeout"])
      assertWaits(times(paths.get), 6_000, 7_000)
    })
  )

  it.effect("ends by its deadline, also in the middle of a try", () =>
    Effect.gen(function* () {
      const { use } = server({ [paths.get]: [silent] })
      const fiber = yield* begin(Effect.exit(use(get, { deadline: "7500 millis" })))
      yield* TestClock.adjust("7499 millis")
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
    })
  )

  it.effect("comes back when the server says, and not before", () =>
    Effect.gen(function* () {
      for (const reply of [
        refusal(429, "key_rate_limited", { retry_after: 7 }),
        refusal(429, "key_rate_limited", {}, { "retry-after": "7" }),
        refusal(503, "shutting_down", { retry_after: 7 }),
        refusal(404, "no_token", { retry_after: 7 })
      ]) {
        const { times, use } = server({ [paths.get]: [reply, lent(1)] })
        yield* success(use(get))
        assertWaits(times(paths.get), 7_000)
      }
    })
  )

  it.effect("fails at once, with the time, when the server asks for a longer wait than it may have", () =>
    Effect.gen(function* () {
      const { times, use } = server({ [paths.get]: [refusal(429, "key_rate_limited", { retry_after: 11 })] })
      const error = yield* Effect.flip(use(get))
      assert.deepStrictEqual([error.reason._tag, error.retryAfterSeconds], ["Limited", 11])
      assert.strictEqual(times(paths.get).length, 1)
      const patient = server({ [paths.get]: [refusal(429, "key_rate_limited", { retry_after: 11 }), lent(1)] })
      yield* success(patient.use(get, { retry: { longestWait: "20 seconds" } }))
      assertWaits(patient.times(paths.get), 11_000)
    })
  )

  it.effect("does not wait for a try that the deadline would not allow", () =>
    Effect.gen(function* () {
      const { use } = server({ [paths.get]: [refusal(429, "key_rate_limited", { retry_after: 9 })] })
      const error = yield* Effect.flip(use(get, { deadline: "8 seconds" }))
      assert.strictEqual(error.retryAfterSeconds, 9)
    })
  )

  it.effect("is not made again when it would fail again", () =>
    Effect.gen(function* () {
      for (const reply of [
        refusal(400, "invalid_request_error"),
        refusal(401, "invalid_api_key"),
        refusal(403, "role_not_allowed"),
        refusal(404, "provider_unknown"),
        refusal(404, "no_token"),
        refusal(500, "internal_error"),
        answer(200, "no json")
      ]) {
        const { times, use } = server({ [paths.get]: [reply] })
        yield* failure(use(get))
        assert.strictEqual(times(paths.get).length, 1)
      }
      const { times, use } = server({ [paths.get]: [refused] })
      yield* failure(use(get, { retry: false }))
      assert.strictEqual(times(paths.get).length, 1)
    })
  )

  it.effect("that changes something is made again only when nothing was sent, or it was refused for now", () =>
    Effect.gen(function* () {
      const changes = [
        [paths.add, ({ tokens }: WeirgateClient["Service"]) => tokens.add({ token: Redacted.make(secret) })],
        [paths.remove, ({ tokens }: WeirgateClient["Service"]) => tokens.remove({ token: Redacted.make(secret) })],
        [
          paths.report,
          ({ tokens }: WeirgateClient["Service"]) => tokens.report({ token: Redacted.make(secret), success: true })
        ]
      ] as const
      for (const [path, change] of changes) {
        for (const reply of [refused, refusal(503, "store_unavailable"), refusal(429, "key_rate_limited")]) {
          const { times, use } = server({ [path]: [reply, done] })
          yield* success(use(change))
          assert.strictEqual(times(path).length, 2, path)
        }
        for (const reply of [reset, silent, refusal(502, "bad_gateway"), refusal(504, "timeout")]) {
          const { times, use } = server({ [path]: [reply, done] })
          const reason = yield* reasonOf(use(change))
          assert.isTrue(reason._tag === "Unavailable" && reason.mayBeDone, path)
          assert.strictEqual(times(path).length, 1, path)
        }
      }
    })
  )

  it.effect("says that a token is held, although it may be the call itself that has added it", () =>
    Effect.gen(function* () {
      const { use } = server({ [paths.add]: [refusal(503, "shutting_down"), refusal(409, "token_held")] })
      const reason = yield* reasonOf(use(({ tokens }) => tokens.add({ token: Redacted.make(secret) })))
      assert.strictEqual(reason._tag, "TokenHeld")
    })
  )

  it.effect("is not made again when it is interrupted in its wait", () =>
    Effect.gen(function* () {
      const { times, use } = server({ [paths.get]: [refused] })
      const fiber = yield* begin(use(get))
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(times(paths.get).length, 1)
    })
  )
})

describe("a report of its own", () => {
  const report = ({ tokens }: WeirgateClient["Service"]) => tokens.report({ lease: "lease-1", success: true })

  it.effect("is repeated until it lands", () =>
    Effect.gen(function* () {
      const { use } = server({ [paths.report]: [reset, refusal(502, "bad_gateway"), done] })
      assert.strictEqual((yield* success(use(report)))?.state, "active")
    })
  )

  it.effect("has landed when it is refused as reported after a try whose answer was lost, and only then", () =>
    Effect.gen(function* () {
      const reported = refusal(409, "lease_reported")
      assert.strictEqual(yield* success(server({ [paths.report]: [reset, reported] }).use(report)), undefined)
      for (const replies of [[reported], [refused, reported]]) {
        const error = yield* failure(server({ [paths.report]: replies }).use(report))
        assert.deepStrictEqual([error.reason._tag, error.code], ["Conflict", "lease_reported"])
      }
    })
  )
})

describe("the wait before the next try", () => {
  const patience: Patience = { tries: 3, delay: 1_000, longestWait: 10_000, timeout: 5_000, deadline: 30_000 }
  const Wait = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60_000 }))

  it.effect.prop(
    "is never shorter than what the server states, never longer than what is left, and none beyond the longest",
    [Wait, Wait, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })), Wait],
    ([stated, left, tried, chance]) =>
      Effect.sync(() => {
        const retryAfter = Duration.millis(stated)
        const reason = new Reasons.Limited({ code: "key_rate_limited", detail: "", status: 429, retryAfter })
        const wait = waitBefore(reason, "repeatable", tried, patience, left, chance / 60_001)
        if (wait === undefined) {
          assert.isTrue(tried === 3 || stated > 10_000 || Math.ceil(stated * 1.2) >= left)
        } else {
          assert.isTrue(tried < 3 && stated <= 10_000 && wait >= stated && wait < left)
        }
      })
  )
})
