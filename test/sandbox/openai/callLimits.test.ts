import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as CallLimiter from "../../../src/sandbox/openai/callLimits.ts"
import type { CallLimits } from "../../../src/sandbox/openai/callLimits.ts"

const none: CallLimits = { concurrency: null, rpm: null }
const minute = 60_000

/** What becomes of calls that arrive at these instants and end at once. */
const arriving = (limits: CallLimits, ...times: ReadonlyArray<number>) => {
  const limiter = CallLimiter.make()
  return times.map((now) => {
    const refused = limiter.arrive(now, limits)
    if (refused === undefined) limiter.leave()
    return refused
  })
}

const Limit = Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })))
const Step = Schema.Union([
  Schema.TaggedStruct("Arrive", { after: Schema.Literals([0, 1, 500, 7_000, 29_999, 30_000, 59_999, 60_000]) }),
  Schema.TaggedStruct("Arrive", { after: Schema.Literals([0, 0, 1, 2_000]) }),
  Schema.TaggedStruct("Leave", {})
])
const History = Schema.Struct({
  limits: Schema.Struct({ concurrency: Limit, rpm: Limit }),
  steps: Schema.Array(Step).check(Schema.isMinLength(5), Schema.isMaxLength(80))
})

describe("callLimits", () => {
  it("lets a call in exactly a minute after the one that filled the window, and not a millisecond before", () => {
    assert.deepStrictEqual(arriving({ ...none, rpm: 1 }, 0, minute - 1, minute, 2 * minute - 1, 2 * minute), [
      undefined,
      "rpm",
      undefined,
      "rpm",
      undefined
    ])
  })

  it("slides: what was let in late in one minute counts in the next", () => {
    const late = [minute - 2, minute - 1]
    assert.deepStrictEqual(arriving({ ...none, rpm: 2 }, ...late, minute, minute + 50_000, 2 * minute - 2), [
      undefined,
      undefined,
      "rpm",
      "rpm",
      undefined
    ])
  })

  it("names the concurrency first, for it is the nearer remedy", () => {
    const limiter = CallLimiter.make()
    const limits = { concurrency: 1, rpm: 1 }
    assert.isUndefined(limiter.arrive(0, limits))
    assert.strictEqual(limiter.arrive(1, limits), "concurrency")
    limiter.leave()
    assert.strictEqual(limiter.arrive(2, limits), "rpm")
  })

  it("counts what was let in without a limit against a limit that is set later", () => {
    const limiter = CallLimiter.make()
    for (let call = 0; call < 3; call++) limiter.arrive(call, none)
    assert.strictEqual(limiter.arrive(10, { ...none, rpm: 3 }), "rpm")
    assert.strictEqual(limiter.arrive(10, { ...none, concurrency: 3 }), "concurrency")
  })

  it("opens no window when the clock goes back", () => {
    assert.deepStrictEqual(arriving({ ...none, rpm: 1 }, 100_000, 10_000, 100_001), [undefined, "rpm", "rpm"])
  })

  it("forgets all but the calls at work when it is reset", () => {
    const limiter = CallLimiter.make()
    limiter.arrive(0, none)
    limiter.arrive(0, { ...none, rpm: 1 })
    limiter.leave()
    limiter.arrive(0, none)
    limiter.reset()
    assert.deepStrictEqual(limiter.seen(), { atOnceMost: 1, minuteMost: 0, refusedByLimit: 0 })
    assert.strictEqual(limiter.arrive(0, { concurrency: 1, rpm: 1 }), "concurrency")
    limiter.leave()
    assert.isUndefined(limiter.arrive(0, { concurrency: 1, rpm: 1 }))
  })

  it("holds and forgets a hundred thousand calls in a minute", () => {
    const limiter = CallLimiter.make()
    for (let call = 0; call < 100_010; call++) limiter.arrive(call % 2 === 0 ? 0 : 1, none)
    assert.strictEqual(limiter.seen().minuteMost, 100_000)
    assert.isUndefined(limiter.arrive(minute + 1, { ...none, rpm: 1 }))
    assert.strictEqual(limiter.arrive(minute + 1, { ...none, rpm: 1 }), "rpm")
  })

  it.prop(
    "decides and remembers as one who keeps every arrival and looks at every window",
    { history: History },
    ({ history: { limits, steps } }) => {
      const limiter = CallLimiter.make()
      const admitted: Array<number> = []
      let now = 1_000
      let atWork = 0
      const expected = { atOnceMost: 0, minuteMost: 0, refusedByLimit: 0 }
      for (const step of steps) {
        if (step._tag === "Leave") {
          if (atWork === 0) continue
          atWork--
          limiter.leave()
          continue
        }
        now += step.after
        const recent = admitted.filter((time) => now - time < minute).length
        const broken =
          limits.concurrency !== null && atWork + 1 > limits.concurrency
            ? "concurrency"
            : limits.rpm !== null && recent + 1 > limits.rpm
              ? "rpm"
              : undefined
        assert.strictEqual(limiter.arrive(now, limits), broken)
        if (broken === undefined) {
          admitted.push(now)
          atWork++
        } else expected.refusedByLimit++
        expected.atOnceMost = Math.max(expected.atOnceMost, atWork)
      }
      // A window that holds the most begins with an arrival.
      for (const start of admitted) {
        const within = admitted.filter((time) => time >= start && time < start + minute).length
        expected.minuteMost = Math.max(expected.minuteMost, within)
        assert.isAtMost(within, limits.rpm ?? Number.POSITIVE_INFINITY)
      }
      assert.deepStrictEqual(limiter.seen(), expected)
    },
    { arbitrary: { runs: 1_000 } }
  )
})
