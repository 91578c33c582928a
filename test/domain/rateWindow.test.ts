import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as RateWindow from "../../src/domain/rateWindow.ts"

const margin = 250
const span = 60_000 + margin

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Step = Schema.Union([
  Schema.TaggedStruct("Take", { weight: below(4) }),
  Schema.TaggedStruct("Take", { weight: below(4) }),
  Schema.TaggedStruct("Stamp", { which: below(8) }),
  Schema.TaggedStruct("Stamp", { which: below(8) }),
  Schema.TaggedStruct("GiveBack", { which: below(8) }),
  Schema.TaggedStruct("Correct", { which: below(20), weight: below(9) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 249, 5_000, 29_999, 60_250]) }),
  Schema.TaggedStruct("JumpBack", { ms: Schema.Literals([1, 45_000]) })
])
const History = Schema.Array(Step).check(Schema.isMinLength(10), Schema.isMaxLength(80))

/** All that was ever taken, looked through each time. */
interface Naive {
  readonly place: RateWindow.Place
  weight: number
  at: number | undefined
  isGone: boolean
}

const counts = ({ at, isGone }: Naive, now: number) => !isGone && (at === undefined || at + span > now)
const used = (all: ReadonlyArray<Naive>, now: number) =>
  all.filter((each) => counts(each, now)).reduce((sum, { weight }) => sum + weight, 0)

describe("a rate window", () => {
  it("holds a burst of its limit, and the next at the millisecond at which the first is a minute and the margin old", () => {
    const window = RateWindow.make(40, margin)
    for (let i = 0; i < 40; i++) {
      assert.strictEqual(window.earliest(i, 1), i)
      window.stamp(window.take(1), i)
    }
    assert.strictEqual(window.earliest(100, 1), span)
    assert.strictEqual(window.earliest(span - 1, 1), span)
    assert.strictEqual(window.earliest(span, 1), span)
    window.stamp(window.take(1), span)
    assert.strictEqual(window.earliest(span, 1), span + 1)
  })

  it("counts a call that has not left yet, and does not know for how long; one that never leaves is given back", () => {
    const window = RateWindow.make(1, margin)
    const place = window.take(1)
    assert.isUndefined(window.earliest(0, 1))
    window.giveBack(place)
    assert.strictEqual(window.earliest(0, 1), 0)
    const late = window.take(1)
    window.stamp(late, 5_000)
    window.giveBack(late)
    assert.strictEqual(window.earliest(5_000, 1), 5_000 + span)
  })

  it("lets through what is heavier than the limit when nothing else is there", () => {
    const window = RateWindow.make(10, margin)
    assert.strictEqual(window.earliest(0, 25), 0)
    window.stamp(window.take(25), 0)
    assert.strictEqual(window.earliest(0, 1), span)
    assert.strictEqual(window.earliest(0, 25), span)
  })

  it("forgets also where nobody asks, without a limit", () => {
    const window = RateWindow.make(undefined, margin)
    const first = window.take(1)
    window.stamp(first, 0)
    window.stamp(window.take(1), span)
    assert.isTrue(first.isGone)
  })

  it("takes the real weight for the reckoned one", () => {
    const window = RateWindow.make(10, margin)
    const place = window.take(10)
    window.stamp(place, 0)
    assert.strictEqual(window.earliest(0, 4), span)
    window.correct(place, 3)
    assert.strictEqual(window.earliest(0, 4), 0)
  })

  it.prop(
    "agrees with looking through all that was ever taken, in any history, also when the clock jumps back",
    [History, below(12)],
    ([history, spare]) => {
      const limit = spare + 1
      const window = RateWindow.make(limit, margin)
      const all: Array<Naive> = []
      let now = 1_000_000
      let latest = Number.NEGATIVE_INFINITY
      for (const step of history) {
        const pending = all.filter(({ at, isGone }) => at === undefined && !isGone)
        switch (step._tag) {
          case "Take": {
            const weight = step.weight + 1
            const free = used(all, now)
            const fits = free === 0 || free + weight <= limit
            const earliest = window.earliest(now, weight)
            assert.strictEqual(earliest === now, fits)
            if (earliest !== undefined && earliest > now) {
              const then = used(all, earliest)
              assert.isTrue(then === 0 || then + weight <= limit)
              const before = used(all, earliest - 1)
              assert.isFalse(before === 0 || before + weight <= limit)
            }
            if (fits) all.push({ place: window.take(weight), weight, at: undefined, isGone: false })
            break
          }
          case "Stamp": {
            const one = pending[step.which % Math.max(1, pending.length)]
            if (one === undefined) break
            window.stamp(one.place, now)
            latest = Math.max(latest, now)
            one.at = latest
            break
          }
          case "GiveBack": {
            const one = pending[step.which % Math.max(1, pending.length)]
            if (one === undefined) break
            window.giveBack(one.place)
            one.isGone = true
            break
          }
          case "Correct": {
            const live = all.filter((each) => counts(each, now))
            const one = live[step.which % Math.max(1, live.length)]
            if (one === undefined) break
            window.used(now)
            window.correct(one.place, step.weight)
            one.weight = step.weight
            break
          }
          case "Wait":
            now += step.ms
            break
          case "JumpBack":
            // What has been forgotten before the jump is not remembered after it.
            for (const each of all) if (each.at !== undefined && !counts(each, now)) each.isGone = true
            window.used(now)
            now -= step.ms
            break
        }
        assert.strictEqual(window.used(now), used(all, now))
      }
    },
    { arbitrary: { runs: 1_000, size: 80 } }
  )
})
