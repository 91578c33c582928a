import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import type { Asked } from "../../src/batch/Answerer.ts"
import * as Patience from "../../src/batch/patience.ts"
import * as Tally from "../../src/batch/tally.ts"

const Chance = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Tries = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000 }))
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000_000 }))

const day = Duration.hours(24)
const usual: Patience.Circumstances = { now: 0, answered: 0, giveUpAfter: day, chance: 0 }

const unanswered = (more: { readonly stated?: number | undefined; readonly wasCalled?: boolean } = {}): Asked => ({
  _tag: "Unanswered",
  reason: "synthetic",
  retryAfter: more.stated === undefined ? undefined : Duration.millis(more.stated),
  wasCalled: more.wasCalled === true
})

const pauseOf = (tries: number, stated: number | undefined, chance: number) => {
  const verdict = Patience.judge({ ...Patience.begin(0), tries }, unanswered({ stated }), { ...usual, chance })
  return verdict._tag === "Again" ? verdict.pause : assert.fail("it is over")
}

describe("patience", () => {
  it("ends with an answer, good or bad", () => {
    const common = { status: 200, requestId: "req", body: "{}" }
    const answered: Asked = { _tag: "Answered", ...common, usage: undefined }
    assert.deepInclude(Patience.judge(Patience.begin(0), answered, usual), { _tag: "Done", failure: undefined })
    for (const [code, failure] of [
      ["bad", "200 bad"],
      [null, "200"]
    ] as const) {
      const verdict = Patience.judge(Patience.begin(0), { _tag: "Refused", ...common, code }, usual)
      assert.deepInclude(verdict, { _tag: "Done", failure })
    }
  })

  it.prop(
    "waits at least as long as was stated, up to five minutes, and little longer",
    [Tries, Millis, Chance],
    ([tries, stated, chance]) => {
      const pause = pauseOf(tries, stated, chance)
      assert.isAtLeast(pause, Math.min(stated, Patience.longest))
      assert.isAtMost(pause, Math.min(stated, Patience.longest) + 1_000)
    }
  )

  it.prop(
    "doubles a pause that nobody stated, up to five minutes, and scatters it",
    [Tries, Chance],
    ([tries, chance]) => {
      const whole = Math.min(Patience.longest, 1_000 * 2 ** tries)
      const pause = pauseOf(tries, undefined, chance)
      assert.isAtLeast(pause, whole / 2)
      assert.isAtMost(pause, whole)
    }
  )

  it("ends when the time is over, and asks once more right before", () => {
    const hour = Duration.toMillis("1 hour")
    const at = (now: number) =>
      Patience.judge({ ...Patience.begin(500), tries: 20 }, unanswered(), {
        ...usual,
        giveUpAfter: Duration.hours(1),
        now
      })
    assert.deepInclude(at(hour + 499), { _tag: "Again", pause: 1 })
    assert.deepInclude(at(hour + 500), { _tag: "Done", failure: "batch_expired" })
  })

  it("blames a request only for failures between which others for its model were answered", () => {
    /** Whether it is given up, after failures at which so many others had been answered; undefined for one that nobody saw. */
    const isGivenUp = (failures: ReadonlyArray<number | undefined>) => {
      let patience = Patience.begin(0)
      for (const answered of failures) {
        const asked = unanswered({ wasCalled: answered !== undefined })
        const verdict = Patience.judge(patience, asked, { ...usual, answered: answered ?? 0 })
        if (verdict._tag === "Done") return verdict.failure === "upstream_failed"
        patience = verdict.patience
      }
      return false
    }
    const upTo = (n: number) => Array.from({ length: n }, (_, i) => i)
    assert.isTrue(isGivenUp(upTo(Patience.mostStrikes)))
    assert.isFalse(isGivenUp(upTo(Patience.mostStrikes - 1)))
    assert.isFalse(isGivenUp(Array.from({ length: 100 }, () => 7)))
    assert.isFalse(isGivenUp(Array.from({ length: 100 }, () => undefined)))
    assert.isTrue(isGivenUp(upTo(Patience.mostStrikes).flatMap((n) => [n, undefined, n])))
  })
})

describe("a tally", () => {
  it("goes as fast as in the last minute, or since it began", () => {
    const tally = Tally.make(1_000_000)
    for (let i = 0; i < 10; i++) tally.ended(1_000_000 + i * 100)
    assert.strictEqual(tally.rate(1_000_000), 10)
    assert.strictEqual(tally.rate(1_005_000), 2)
    assert.strictEqual(tally.rate(1_058_000), 10 / 58)
    assert.strictEqual(tally.rate(1_060_000), 0)
    tally.ended(2_000_000)
    assert.strictEqual(tally.rate(2_000_000), 1 / 60)
  })
})
