import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as Failure from "../../src/domain/Failure.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { ScriptedWopan } from "../../src/testing/ScriptedWopan.ts"

const provider = "warp"
const renew = Renewer.use((renewer) => renewer.renew(provider, Redacted.make("synthetic-refresh")))
const attempts = Effect.flatMap(ScriptedWarp, (warp) => Effect.map(warp.calls, (calls) => calls.refresh))
const layer = Renewer.layerWarp.pipe(Layer.provideMerge(ScriptedWarp.layer()))
const throttledFor = (retryAfter?: Duration.Duration) =>
  new Failure.Throttled({ provider, signature: "s", ...(retryAfter && { retryAfter }) })
const unavailable = new Failure.UpstreamUnavailable({ provider, reason: "connection", detail: "synthetic" })

describe("Renewer", () => {
  it.effect("answers with what the upstream gives", () =>
    Effect.gen(function* () {
      assert.strictEqual(Redacted.value((yield* renew).access), "scripted-access-1")
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks three times over a passing failure, half a second and a second apart, and no more", () =>
    Effect.gen(function* () {
      yield* (yield* ScriptedWarp).fail("refresh", unavailable, 9)
      const asking = yield* Effect.forkChild(Effect.flip(renew), { startImmediately: true })
      for (const [elapsed, asked] of [
        [0, 1],
        [499, 1],
        [1, 2],
        [999, 2],
        [1, 3]
      ] as const) {
        yield* TestClock.adjust(elapsed)
        assert.strictEqual(yield* attempts, asked)
      }
      assert.deepStrictEqual(yield* Fiber.join(asking), unavailable)
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks once when the refusal is for good", () =>
    Effect.gen(function* () {
      const refusals = [
        new Failure.RefreshRejected({ provider, code: "TOKEN_EXPIRED" }),
        new Failure.AccountBlocked({ provider, reason: "terms" })
      ]
      for (const [i, refusal] of refusals.entries()) {
        yield* (yield* ScriptedWarp).fail("refresh", refusal)
        assert.deepStrictEqual(yield* Effect.flip(renew), refusal)
        assert.strictEqual(yield* attempts, i + 1)
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("waits as long as it was asked to, if that is short", () =>
    Effect.gen(function* () {
      yield* (yield* ScriptedWarp).fail("refresh", throttledFor(Duration.seconds(5)))
      const asking = yield* Effect.forkChild(renew)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* attempts, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(asking)
      assert.strictEqual(yield* attempts, 2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails for now when the wait would be long or was not named", () =>
    Effect.gen(function* () {
      for (const retryAfter of [Duration.millis(5_001), undefined]) {
        yield* (yield* ScriptedWarp).fail("refresh", throttledFor(retryAfter))
        assert.strictEqual((yield* Effect.flip(renew))._tag, "Throttled")
      }
      assert.strictEqual(yield* attempts, 2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("of a program that only looks renews none, and blames no token for it", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(renew)
      assert.strictEqual(failure._tag, "UpstreamUnavailable")
      assert.include(failure.message, "this program renews no token")
    }).pipe(Effect.provide(Renewer.layerNone))
  )
})

describe("Renewer of each provider", () => {
  const layer = Renewer.layer.pipe(Layer.provideMerge(Layer.mergeAll(ScriptedWarp.layer(), ScriptedWopan.layer())))
  const renewAt = (provider: string, refresh: Redacted.Redacted) =>
    Renewer.use((renewer) => renewer.renew(provider, refresh))
  const renewWopan = Effect.gen(function* () {
    const { refresh } = yield* (yield* ScriptedWopan).secrets("account-1")
    return yield* renewAt("wopan", refresh)
  })
  const asked = Effect.flatMap(ScriptedWopan, ({ calls }) => Effect.map(calls, ({ refresh }) => refresh))
  const failing = (fields: Omit<ConstructorParameters<typeof Failure.UpstreamUnavailable>[0], "provider">) =>
    new Failure.UpstreamUnavailable({ provider: "wopan", ...fields })

  it.effect("asks the upstream that the provider is", () =>
    Effect.gen(function* () {
      const warp = yield* renewAt("warp", Redacted.make("synthetic-refresh"))
      assert.strictEqual(Redacted.value(warp.access), "scripted-access-1")
      const wopan = yield* renewWopan
      assert.strictEqual(Redacted.value(wopan.access), "scripted-access-account-1-2")
      assert.deepStrictEqual([yield* attempts, yield* asked], [1, 1])
    }).pipe(Effect.provide(layer))
  )

  it.effect("renews at no other, and blames no token for it", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(renewAt("elsewhere", Redacted.make("synthetic-refresh")))
      assert.deepStrictEqual(
        failure,
        new Failure.UpstreamUnavailable({
          provider: "elsewhere",
          reason: "internal",
          detail: "its tokens cannot be renewed here"
        })
      )
      assert.deepStrictEqual([yield* attempts, yield* asked], [0, 0])
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks again at Warp, whose renewals can be repeated, whatever came between", () =>
    Effect.gen(function* () {
      for (const reason of ["timeout", "connection", "cut"] as const) {
        yield* (yield* ScriptedWarp).fail(
          "refresh",
          new Failure.UpstreamUnavailable({ provider, reason, detail: "synthetic" })
        )
        const asking = yield* Effect.forkChild(renewAt("warp", Redacted.make("synthetic-refresh")))
        yield* TestClock.adjust("500 millis")
        yield* Fiber.join(asking)
      }
      assert.strictEqual(yield* attempts, 6)
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks WoPan again only when it has said that it did not renew", () =>
    Effect.gen(function* () {
      const wopan = yield* ScriptedWopan
      for (const failure of [
        failing({ reason: "status", detail: "it answered with code 9999" }),
        failing({ reason: "status", status: 503, detail: "synthetic" }),
        new Failure.Throttled({ provider: "wopan", signature: "429 page", retryAfter: Duration.millis(500) })
      ]) {
        const before = yield* asked
        yield* wopan.fail("refresh", failure)
        const asking = yield* Effect.forkChild(renewWopan, { startImmediately: true })
        yield* TestClock.adjust("499 millis")
        assert.strictEqual(yield* asked, before + 1)
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(asking)
        assert.strictEqual(yield* asked, before + 2)
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("does not offer WoPan a secret again that may be void, when the answer did not come", () =>
    Effect.gen(function* () {
      const wopan = yield* ScriptedWopan
      for (const failure of [
        failing({ reason: "timeout", detail: "synthetic" }),
        failing({ reason: "connection", detail: "synthetic" }),
        failing({ reason: "cut", detail: "synthetic" }),
        failing({ reason: "malformed", detail: "synthetic" }),
        ...[500, 502, 504].map((status) => failing({ reason: "status", status, detail: "synthetic" }))
      ]) {
        const before = yield* asked
        yield* wopan.loseRefresh(failure)
        assert.deepStrictEqual(yield* Effect.flip(renewWopan), failure)
        assert.strictEqual(yield* asked, before + 1)
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails for now when the upstream will be away for longer than a renewal may wait", () =>
    Effect.gen(function* () {
      const away = failing({ reason: "status", status: 503, retryAfter: Duration.millis(5_001), detail: "synthetic" })
      yield* (yield* ScriptedWopan).fail("refresh", away)
      assert.deepStrictEqual(yield* Effect.flip(renewWopan), away)
      assert.strictEqual(yield* asked, 1)
    }).pipe(Effect.provide(layer))
  )
})
