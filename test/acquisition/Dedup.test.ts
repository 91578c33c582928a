import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { AcquisitionRequest } from "../../src/acquisition/Acquisition.ts"
import type { Verdict } from "../../src/acquisition/decision.ts"
import { Dedup } from "../../src/acquisition/Dedup.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { Store } from "../../src/store/Store.ts"

const request = (change: Partial<AcquisitionRequest> = {}): AcquisitionRequest => ({
  provider: "warp",
  caller: "alice",
  errorContext: "no token for warp",
  ...change
})
const id = TokenId.make("t1")
const token = { id, provider: "warp", kind: "anonymous" } as const
const step = "upstream"
const answered: Verdict = { step, answer: "token", reason: "made", token, inputs: {} }
const failed: Verdict = { step, answer: "failed", reason: "synthetic", inputs: {} }
const denied: Verdict = { step: "rate_limiter", answer: "denied", reason: "synthetic", inputs: {} }

const background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const process = Effect.gen(function* () {
  const context = yield* Layer.buildWithScope(Layer.fresh(Dedup.layer), yield* Effect.scope)
  return Context.get(context, Dedup)
})

describe("Dedup", () => {
  it.effect("tells how the same request ended, until 300 seconds after it began", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      assert.deepStrictEqual(yield* dedup.look(request()), { earlier: undefined, elsewhere: undefined })
      yield* dedup.registered(request(), Effect.succeed(answered))
      yield* TestClock.adjust(299_999)
      const { earlier } = yield* dedup.look(request({ errorContext: "No token for WARP" }))
      assert.deepStrictEqual(earlier, { ending: { _tag: "Answered", token: id }, timeLeft: Duration.millis(1) })
      assert.isUndefined((yield* dedup.look(request({ caller: "bob" }))).earlier)
      yield* TestClock.adjust(1)
      assert.isUndefined((yield* dedup.look(request())).earlier)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("remembers a failure, and nothing of a denial or of work that was stopped", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      yield* dedup.registered(request({ caller: "fails" }), Effect.succeed(failed))
      yield* dedup.registered(request({ caller: "denied" }), Effect.succeed(denied))
      const stopped = yield* background(dedup.registered(request({ caller: "stops" }), Effect.never))
      yield* Fiber.interrupt(stopped)
      const ending = (caller: string) =>
        Effect.map(dedup.look(request({ caller })), ({ earlier }) => earlier?.ending._tag)
      assert.strictEqual(yield* ending("fails"), "Failed")
      assert.isUndefined(yield* ending("denied"))
      assert.isUndefined(yield* ending("stops"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("sees work of another process, waits for its end, and tells how it ended", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* process, yield* process]
      const gate = yield* Deferred.make<Verdict>()
      yield* background(a.registered(request(), Deferred.await(gate)))
      const { earlier, elsewhere } = yield* b.look(request())
      assert.isUndefined(earlier)
      assert.strictEqual(elsewhere?.as, "same")
      assert.strictEqual((yield* b.look(request({ caller: "bob" }))).elsewhere?.as, "other")
      const waiting = yield* background(b.awaitElsewhere("warp", elsewhere?.id ?? ""))
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(waiting.pollUnsafe())
      yield* Deferred.succeed(gate, answered)
      yield* TestClock.adjust(250)
      yield* Fiber.join(waiting)
      const after = yield* b.look(request())
      assert.deepStrictEqual(after.earlier?.ending, { _tag: "Answered", token: id })
      assert.isUndefined(after.elsewhere)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("waits for another process for two minutes at most", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* process, yield* process]
      yield* background(a.registered(request(), Effect.never))
      const { elsewhere } = yield* b.look(request())
      const waiting = yield* background(b.awaitElsewhere("warp", elsewhere?.id ?? ""))
      yield* TestClock.adjust("119 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("sees no other process in what this process itself is at work on", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      yield* background(dedup.registered(request(), Effect.never))
      assert.deepStrictEqual(yield* dedup.look(request()), { earlier: undefined, elsewhere: undefined })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("knows whether the same request is under way here, and shares its verdict", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      const gate = yield* Deferred.make<Verdict>()
      const share = (change?: Partial<AcquisitionRequest>) =>
        background(dedup.share(request(change), () => Deferred.await(gate)))
      const [led, same, other] = [yield* share(), yield* share(), yield* share({ caller: "bob" })]
      assert.isTrue(yield* dedup.isUnderWay(request()))
      assert.isFalse(yield* dedup.isUnderWay(request({ caller: "bob" })))
      assert.strictEqual(yield* dedup.processing, 1)
      yield* Deferred.succeed(gate, answered)
      for (const [fiber, as] of [
        [led, "led"],
        [same, "same"],
        [other, "other"]
      ] as const) {
        assert.deepStrictEqual(yield* Fiber.join(fiber), { as, leader: request(), verdict: answered })
      }
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("lets three work at once, and gives the place back when one is stopped", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      let working = 0
      const work = Effect.acquireUseRelease(
        Effect.sync(() => void (working += 1)),
        () => Effect.never,
        () => Effect.sync(() => void (working -= 1))
      )
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (i) =>
        background(dedup.registered(request({ provider: `p${i}` }), work))
      )
      assert.strictEqual(working, 3)
      yield* Effect.forEach(fibers.slice(0, 1), Fiber.interrupt)
      yield* Effect.yieldNow
      assert.strictEqual(working, 3)
      yield* Effect.forEach(fibers, Fiber.interrupt)
      assert.strictEqual(working, 0)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("counts what it has seen and removed, and shows the last five", () =>
    Effect.gen(function* () {
      const dedup = yield* process
      for (let i = 0; i < 7; i++) {
        yield* dedup.registered(request({ caller: `caller-${i}` }), Effect.succeed(answered))
        yield* TestClock.adjust("1 second")
      }
      yield* dedup.count({ duplicate: false, removed: false })
      for (const removed of [true, true, true, false]) yield* dedup.count({ duplicate: true, removed })
      const { recent, ...statistics } = yield* dedup.statistics("warp")
      assert.deepInclude(statistics, { seen: 5, duplicates: 4, removed: 3, shareRemoved: 0.75, active: 0 })
      assert.deepStrictEqual(
        recent.map(({ age, caller, context }) => [caller, age, context]),
        [6, 5, 4, 3, 2].map((i) => [`caller-${i}`, (7 - i) * 1_000, "no token for warp"])
      )
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
