import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { atMost, evenly } from "../../src/traffic/pace.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
/** How long after the one before each comes, in milliseconds: at once, close together, far apart. */
const Gaps = Schema.Array(Schema.Union([Schema.Literal(0), between(1, 30), between(100, 1_500)])).check(
  Schema.isMaxLength(200)
)

const instantsOf = (gaps: ReadonlyArray<number>) => {
  let now = 1_000_000
  return gaps.map((gap) => (now += gap))
}

/** The greatest number of them within any span, as it begins with one of them. */
const densest = (instants: ReadonlyArray<number>, span: number) =>
  Math.max(0, ...instants.map((from) => instants.filter((at) => at >= from && at < from + span).length))

describe("a pace", () => {
  it.effect.prop(
    "allows what has fewer than the most behind it in the span, and nothing else",
    [Gaps, between(0, 6), between(1, 2_000)],
    ([gaps, most, span]) =>
      Effect.sync(() => {
        const may = atMost(most, span)
        const done: Array<number> = []
        for (const now of instantsOf(gaps)) {
          const expected = done.filter((at) => now - at < span).length < most
          assert.strictEqual(may(now), expected, `at ${now} after ${done.join(", ")}`)
          if (expected) done.push(now)
        }
        assert.isAtMost(densest(done, span), most)
      })
  )

  it.effect.prop(
    "that is even allows no more than so many in any second, none close to the one before, and the first that is not",
    [Gaps, between(0, 40)],
    ([gaps, perSecond]) =>
      Effect.sync(() => {
        const may = evenly(perSecond)
        const picked: Array<number> = []
        for (const now of instantsOf(gaps)) {
          const last = picked.at(-1)
          const expected = perSecond > 0 && (last === undefined || (now - last) * perSecond >= 1_000)
          assert.strictEqual(may(now), expected)
          if (expected) picked.push(now)
        }
        assert.isAtMost(densest(picked, 1_000), perSecond)
      })
  )

  it("that is even takes its share of a second in which one comes every millisecond, from all of it", () => {
    const may = evenly(5)
    const picked = Array.from({ length: 1_000 }, (_, at) => at).filter((at) => may(at))
    assert.deepStrictEqual(picked, [0, 200, 400, 600, 800])
  })

  it("does not stop when the clock is set back, and allows no more than the most anew", () => {
    const may = atMost(3, 1_000)
    const allowed = (at: number) => Array.from({ length: 10 }, () => may(at)).filter(Boolean).length
    assert.strictEqual(allowed(10_000_000), 3)
    assert.strictEqual(allowed(5_000), 3)
    assert.strictEqual(allowed(5_999), 0)
    assert.strictEqual(allowed(6_000), 3)
  })
})
