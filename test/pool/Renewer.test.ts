import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as Failure from "../../src/domain/Failure.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"

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
