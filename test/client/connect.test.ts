import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted } from "effect"
import {
  connect,
  type ConnectOptions,
  TokenFault,
  type Weirgate,
  WeirgateClient,
  WeirgateError
} from "../../src/client/index.ts"
import { apiKey, contractServer } from "./contractServer.ts"

const secret = "synthetic-token-secret-0002"

const connected = (options: Partial<ConnectOptions> = {}) =>
  Effect.gen(function* () {
    const server = yield* contractServer
    const weirgate = yield* Effect.acquireRelease(
      Effect.sync(() => connect({ baseUrl: server.url, apiKey, retry: { delay: 1 }, ...options })),
      (weirgate) => Effect.promise(() => weirgate.close())
    )
    return { ...server, weirgate }
  })

/** What it rejects with. */
const rejection = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => assert.fail("it was to be rejected"),
      (error: unknown) => error
    )
  )
const reasonOf = (call: () => Promise<unknown>) =>
  Effect.map(rejection(call), (error) => {
    assert.instanceOf(error, WeirgateError)
    return error.reason
  })

describe("the client over fetch", () => {
  it.live("speaks the contract with a server made from it", () =>
    Effect.gen(function* () {
      const server = yield* contractServer
      const { drive, tokens, withToken } = yield* WeirgateClient.pipe(
        Effect.provide(WeirgateClient.layerFetch({ baseUrl: server.url, apiKey: Redacted.make(apiKey) }))
      )
      const token = Redacted.make(secret)
      assert.deepStrictEqual(yield* tokens.add({ token, name: "mine" }), {
        id: "token-1",
        name: "mine",
        provider: "wopan"
      })
      assert.strictEqual((yield* Effect.flip(tokens.add({ token }))).reason._tag, "TokenHeld")
      assert.strictEqual((yield* tokens.remove({ token })).name, "Token-1")
      assert.strictEqual((yield* Effect.flip(tokens.remove({ token }))).code, "token_unknown")
      assert.strictEqual((yield* tokens.stats()).overall_success_rate, 100)
      assert.strictEqual((yield* drive.files({ folder: "a/b c", realtime: false })).data.folder, "a/b c false")
      const { url } = yield* drive.download({ url: "a/b.txt" })
      assert.strictEqual(Redacted.value(url), "https://drive.test/a/b.txt")
      const name = yield* withToken({ provider: "warp" }, ({ name }) => Effect.succeed(name))
      assert.strictEqual(name, "Token-1")
      assert.deepStrictEqual(server.reports, [
        { lease: "lease-1", provider: "warp", success: true, outcome: "succeeded" }
      ])
    })
  )

  it.live("follows no redirect, which would take the key along", () =>
    Effect.gen(function* () {
      const server = yield* contractServer
      const { tokens } = yield* WeirgateClient.pipe(
        Effect.provide(
          WeirgateClient.layerFetch({ baseUrl: `${server.url}/elsewhere`, apiKey: Redacted.make(apiKey), retry: false })
        )
      )
      assert.strictEqual((yield* Effect.flip(tokens.get())).reason._tag, "Unavailable")
      assert.strictEqual((yield* Effect.flip(tokens.add({ token: Redacted.make(secret) }))).reason._tag, "Unavailable")
    })
  )

  it.live("sends a change again to a server that was not listening, and knows that nothing was sent", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(contractServer)
      const { tokens } = yield* WeirgateClient.pipe(
        Effect.provide(
          WeirgateClient.layerFetch({ baseUrl: url, apiKey: Redacted.make(apiKey), retry: { delay: 1, tries: 2 } })
        )
      )
      const { reason } = yield* Effect.flip(tokens.add({ token: Redacted.make(secret) }))
      assert.deepStrictEqual(
        [reason._tag, reason.code, "mayBeDone" in reason && reason.mayBeDone],
        ["Unavailable", "ECONNREFUSED", false]
      )
    })
  )
})

describe("connect", () => {
  it.live("gives the same calls as promises, with secrets as strings", () =>
    Effect.gen(function* () {
      const { reports, weirgate } = yield* connected()
      yield* Effect.promise(async () => {
        const { drive, tokens } = weirgate
        await tokens.add({ token: secret, name: undefined, expires_at: "2026-01-02T03:04:05Z" })
        const lent = await tokens.get("best")
        assert.strictEqual(lent.token, "synthetic-token-1")
        assert.strictEqual((await tokens.report({ lease: lent.lease, success: false, error: "x" }))?.state, "active")
        assert.strictEqual((await tokens.remove({ token: secret })).id, "token-1")
        assert.strictEqual((await tokens.stats()).total_tokens, 0)
        assert.strictEqual((await drive.files()).data.file_count, 0)
        assert.strictEqual((await drive.download({ url: "a" })).url, "https://drive.test/a")
      })
      assert.deepStrictEqual(reports, [{ lease: "lease-1", success: false, error: "x" }])
    })
  )

  it.live("rejects with a WeirgateError, and throws one for options that cannot be used", () =>
    Effect.gen(function* () {
      const { url, weirgate } = yield* connected({ apiKey: "wg-another-key" })
      assert.strictEqual((yield* reasonOf(() => weirgate.tokens.get()))._tag, "Unauthorized")
      const unusable = yield* reasonOf(() => weirgate.tokens.add({ token: `${secret} `, expires_at: "tomorrow" }))
      assert.strictEqual(unusable._tag, "BadRequest")
      assert.notInclude(JSON.stringify(unusable), secret)
      assert.throws(() => connect({ baseUrl: url, apiKey: "" }), WeirgateError)
      assert.throws(() => connect({ baseUrl: "nowhere", apiKey }), WeirgateError)
    })
  )

  it.live("reports how use ended, and rejects with what use rejected with", () =>
    Effect.gen(function* () {
      const { reports, weirgate } = yield* connected()
      const given = yield* Effect.promise(() => weirgate.withToken("best", ({ token }) => token))
      assert.strictEqual(given, "synthetic-token-1")
      const rejected = { message: "status 500" }
      assert.strictEqual(yield* rejection(() => weirgate.withToken("best", () => Promise.reject(rejected))), rejected)
      const thrown = new TypeError("thrown at once")
      const throwing = () => {
        throw thrown
      }
      assert.strictEqual(yield* rejection(() => weirgate.withToken("best", throwing)), thrown)
      assert.deepStrictEqual(
        reports.map(({ error, lease, outcome }) => [lease, outcome, error]),
        [
          ["lease-1", "succeeded", undefined],
          ["lease-2", "failed", "status 500"],
          ["lease-3", "failed", "thrown at once"]
        ]
      )
    })
  )

  it.live("makes a call again with another token, and waits for one that comes soon", () =>
    Effect.gen(function* () {
      const { refusals, refuse, reports, weirgate } = yield* connected({ retry: { delay: 1, tries: 2 } })
      refusals.push(refuse(503, "store_unavailable"))
      const name = yield* Effect.promise(() =>
        weirgate.withToken("round_robin", async ({ name }) => {
          if (name === "Token-1") throw new TokenFault({ outcome: "quota_exhausted", message: "spent" })
          return name
        })
      )
      assert.strictEqual(name, "Token-2")
      assert.deepStrictEqual(
        reports.map(({ error, outcome }) => [outcome, error]),
        [
          ["quota_exhausted", "spent"],
          ["succeeded", undefined]
        ]
      )
    })
  )

  it.live("ends a call with its signal, for the caller and for the server", () =>
    Effect.gen(function* () {
      const { came, weirgate, went } = yield* connected()
      const controller = new AbortController()
      const reason = new Error("no longer wanted")
      const calling = yield* Effect.forkChild(
        rejection(() => weirgate.drive.folders({ folder: "x" }, { signal: controller.signal })),
        { startImmediately: true }
      )
      yield* Deferred.await(came)
      controller.abort(reason)
      assert.strictEqual(yield* Fiber.join(calling), reason)
      yield* Deferred.await(went)
      assert.strictEqual(yield* rejection(() => weirgate.tokens.get("best", { signal: controller.signal })), reason)
    })
  )

  it.live("hands use a signal that ends with the call, whose end is reported as no failure", () =>
    Effect.gen(function* () {
      const { reports, weirgate } = yield* connected()
      const controller = new AbortController()
      let seen: AbortSignal | undefined
      const error = yield* rejection(() =>
        weirgate.withToken(
          "best",
          (_, { signal }) => {
            seen = signal
            controller.abort()
            return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("cut"))))
          },
          { signal: controller.signal }
        )
      )
      assert.strictEqual(error, controller.signal.reason)
      assert.isTrue(seen?.aborted)
      const given = new DOMException("given up", "AbortError")
      assert.strictEqual(yield* rejection(() => weirgate.withToken("best", () => Promise.reject(given))), given)
      // Nobody waits for these.
      yield* Effect.sleep("10 millis").pipe(
        Effect.repeat({ while: () => reports.length < 2 }),
        Effect.timeout("5 seconds")
      )
      assert.deepStrictEqual(
        reports.map(({ outcome }) => outcome),
        ["abandoned", "abandoned"]
      )
    })
  )

  it.live("ends what is under way when it is closed, and refuses further calls", () =>
    Effect.gen(function* () {
      const { came, url, weirgate, went } = yield* connected()
      const waiting = yield* Effect.forkChild(
        reasonOf(() => weirgate.drive.folders()),
        { startImmediately: true }
      )
      yield* Deferred.await(came)
      yield* Effect.promise(() => weirgate.close())
      yield* Deferred.await(went)
      assert.strictEqual((yield* Fiber.join(waiting)).code, "closed")
      assert.strictEqual((yield* reasonOf(() => weirgate.tokens.get())).code, "closed")
      let disposed: Weirgate
      yield* Effect.promise(async () => {
        await using again = connect({ baseUrl: url, apiKey })
        disposed = again
        await again.tokens.stats()
      })
      assert.strictEqual((yield* reasonOf(() => disposed.tokens.stats())).code, "closed")
    })
  )
})
