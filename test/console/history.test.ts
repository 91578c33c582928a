/** The plots' numbers, against a model that keeps every step in a map. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type History, merged, rates, sums } from "../../src/console/history.ts"

const step = 5_000
const hour = 3_600_000

const history = (from: number, values: ReadonlyArray<number>): History => ({
  step,
  at: values.map((_, i) => (from + i) * step),
  requests: values,
  failures: values.map((value) => value % 2),
  waiting: values.map((value) => value + 1),
  throttled: values.map(() => 0),
  acquisitions: values.map(() => 1)
})

/** Each event's steps follow on those before, overlap them, or leave some out. */
const Told = Schema.Array(
  Schema.Struct({
    skipped: Schema.Int.check(Schema.isBetween({ minimum: -3, maximum: 5 })),
    values: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))).check(Schema.isMaxLength(800))
  })
).check(Schema.isMaxLength(8))

describe("the history of the console", () => {
  it.prop("is the newest that was told of each step, for an hour, with a gap where nothing was", [Told], ([events]) => {
    let shown: History | undefined
    const model = new Map<number, number>()
    let next = 1_000
    for (const { skipped, values } of events) {
      const from = Math.max(0, next + skipped)
      shown = merged(shown, history(from, values))
      for (const at of model.keys()) if (values.length > 0 && at >= from * step) model.delete(at)
      values.forEach((value, i) => model.set((from + i) * step, value))
      if (values.length > 0) next = from + values.length
    }
    const last = Math.max(...model.keys())
    const expected = [...model].filter(([at]) => at > last - hour).toSorted(([a], [b]) => a - b)
    const known = (shown?.at ?? []).map((at, i) => [at, shown?.requests[i] ?? null] as const)
    assert.deepStrictEqual(known.filter(([, value]) => value !== null).slice(-expected.length), expected)
    for (const [i, [at]] of known.entries()) {
      const before = known[i - 1]
      if (before === undefined) continue
      assert.isAbove(at, before[0])
      if (at - before[0] > step) assert.isNull(before[1], "a gap begins with a step of which nothing is known")
    }
    for (const column of [shown?.failures, shown?.waiting, shown?.throttled, shown?.acquisitions]) {
      assert.strictEqual(column?.length, shown?.at.length)
    }
  })

  it("tells rates of whole steps, and sums over gaps", () => {
    assert.deepStrictEqual(rates([10, null, 5, 3], step), [2, null, 1, null])
    assert.deepStrictEqual(sums([1, null, 0, 2]), [1, 1, 1, 3])
  })
})
