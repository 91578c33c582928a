import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Latencies from "../../src/overview/latencies.ts"

const Times = Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(200)
)
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 1 }))

const counted = (times: ReadonlyArray<number>) => {
  const counts = Latencies.none()
  for (const time of times) Latencies.add(counts, time)
  return counts
}

describe("latencies", () => {
  it.effect.prop(
    "tell a quantile that is never too small, and too large by less than a bucket's ratio",
    [Times, Share],
    ([times, q]) =>
      Effect.sync(() => {
        const sorted = times.toSorted((a, b) => a - b)
        const exact = sorted[Math.max(1, Math.ceil(q * times.length)) - 1] ?? Number.NaN
        const told = Latencies.quantile(counted(times), q) ?? Number.NaN
        assert.isAtLeast(told * (1 + 1e-9), exact)
        assert.isBelow(told, exact * Latencies.ratio * (1 + 1e-9))
      })
  )

  it.effect.prop(
    "of what came since an instant are those that came since, whatever was before",
    [Times, Times],
    ([old, fresh]) =>
      Effect.sync(() => {
        const both = counted([...old, ...fresh])
        assert.deepStrictEqual(Latencies.since(both, counted(old)), counted(fresh))
        assert.strictEqual(Latencies.total(both), old.length + fresh.length)
      })
  )

  it("of nothing there are none, and what takes longer than the last bucket is in it", () => {
    assert.isUndefined(Latencies.quantile(Latencies.none(), 0.5))
    const counts = counted([0, Number.MAX_VALUE])
    assert.strictEqual(Latencies.total(counts), 2)
    assert.strictEqual(Latencies.quantile(counts, 0.5), 1)
    assert.strictEqual(Latencies.quantile(counts, 1), 2 ** 20)
  })
})
