import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type AlertEvent, AlertRecord, step } from "../../src/monitoring/alertState.ts"
import type { Judgement } from "../../src/monitoring/rules.ts"

const timing = { holdFor: 30_000, clearFor: 60_000 }
const subject = { rule: "provider_down", subject: "a" } as const
const judgements: Readonly<Record<"holds" | "clear" | "unknown", Judgement | undefined>> = {
  holds: { ...subject, state: "holds", message: "synthetic", values: { targets: 1 } },
  clear: undefined,
  unknown: { ...subject, state: "unknown" }
}

const Look = Schema.Struct({
  after: Schema.Literals([1, 4_000, 9_999, 10_000]),
  by: Schema.Literals(["p", "q", "r"]),
  // What lasts is what matters.
  sees: Schema.Literals(["holds", "holds", "holds", "clear", "clear", "unknown"]),
  times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))
})
const History = Schema.Array(Look).check(Schema.isMinLength(3), Schema.isMaxLength(12))

type Seen = { readonly now: number; readonly by: string; readonly sees: keyof typeof judgements }

/** Each look as many times as it says. */
const looksOf = (history: typeof History.Type, by?: string): ReadonlyArray<Seen> => {
  let now = 1_000_000
  return history.flatMap((look) =>
    Array.from({ length: look.times }, () => ({ now: (now += look.after), by: by ?? look.by, sees: look.sees }))
  )
}

const stored = Schema.fromJsonString(AlertRecord)
const play = (looks: ReadonlyArray<Seen>) => {
  let record: AlertRecord | undefined
  const events: Array<AlertEvent> = []
  for (const { by, now, sees } of looks) {
    const { event, next } = step(record, judgements[sees], { now, by }, timing)
    if (event !== undefined) events.push(event)
    record = next && Schema.decodeSync(stored)(Schema.encodeSync(stored)(next))
  }
  return events
}

describe("an alert", () => {
  it.prop("of one process fires and recovers when the whole history says so", [History], ([history]) => {
    const looks = looksOf(history, "p").map((look) => ({
      ...look,
      sees: look.sees === "unknown" ? ("clear" as const) : look.sees
    }))
    const expected: Array<readonly [string, number, number]> = []
    let isActive = false
    let began = 0
    looks.forEach(({ now, sees }, i) => {
      // The first of the looks in a row that saw the same.
      let first = i
      while (looks[first - 1]?.sees === sees) first--
      const lasted = now - (looks[first]?.now ?? now)
      if (!isActive && sees === "holds" && lasted >= timing.holdFor) {
        isActive = true
        began = now - lasted
        expected.push(["fired", now, began])
      } else if (isActive && sees === "clear" && lasted >= timing.clearFor) {
        isActive = false
        expected.push(["recovered", now, began])
      }
    })
    assert.deepStrictEqual(
      play(looks).map(({ at, event, since }) => [event, at, since] as const),
      expected
    )
  })

  it.prop(
    "of several processes is told alternately, and never against what one of them sees",
    [History],
    ([history]) => {
      const looks = looksOf(history)
      const events = play(looks)
      events.forEach(({ at, event, since }, i) => {
        assert.strictEqual(event, i % 2 === 0 ? "fired" : "recovered")
        if (event === "fired") {
          assert.isAtLeast(at - since, timing.holdFor)
          assert.isTrue(looks.some(({ now, sees }) => now === at && sees === "holds"))
          assert.isTrue(looks.some(({ now, sees }) => now === since && sees === "holds"))
        } else {
          const held = looks.filter(({ now, sees }) => sees === "holds" && now <= at && now > at - timing.clearFor)
          assert.lengthOf(held, 0)
        }
      })
    }
  )

  it("that nobody stands for any more begins anew", () => {
    const seen = (now: number, sees: Seen["sees"], by = "p") => ({ now, by, sees })
    assert.deepStrictEqual(play([seen(0, "holds"), seen(60_000, "holds", "q"), seen(89_999, "holds", "q")]), [])
    const [event] = play([seen(0, "holds"), seen(60_000, "holds", "q"), seen(90_000, "holds", "q")])
    assert.deepInclude(event, { event: "fired", since: 60_000, at: 90_000 })
  })

  it("that is seen to hold again for a moment has the whole time to be clear once more", () => {
    const seen = (now: number, sees: Seen["sees"]) => ({ now, by: "p", sees })
    const fired = [0, 10_000, 20_000, 30_000].map((now) => seen(now, "holds"))
    const relapsed = [seen(31_000, "clear"), seen(32_000, "holds"), seen(33_000, "clear")]
    assert.lengthOf(play([...fired, ...relapsed, seen(92_999, "clear")]), 1)
    assert.lengthOf(play([...fired, ...relapsed, seen(93_000, "clear")]), 2)
  })

  it("whose process has ended recovers when the others find it clear", () => {
    const seen = (now: number, sees: Seen["sees"], by: string) => ({ now, by, sees })
    const fired = [0, 10_000, 20_000, 30_000].map((now) => seen(now, "holds", "p"))
    const after = Array.from({ length: 12 }, (_, i) => seen(40_000 + i * 10_000, "clear", "q"))
    assert.deepStrictEqual(
      play([...fired, ...after]).map(({ at, event }) => [event, at]),
      [
        ["fired", 30_000],
        ["recovered", 140_000]
      ]
    )
  })

  it("is told and recovers in its time although the clock was set back by hours meanwhile", () => {
    const looks = (from: number, times: number, sees: Seen["sees"], by = "p") =>
      Array.from({ length: times }, (_, i) => ({ now: from + i * 10_000, by, sees }))
    const hours = 10 * 3_600_000
    const told = (...seen: ReadonlyArray<ReadonlyArray<Seen>>) =>
      play(seen.flat()).map(({ at, event }) => [event, at] as const)
    // Set back before it was told, after that, and while it was clear; each process looks on alone.
    assert.deepStrictEqual(told(looks(hours, 2, "holds"), looks(0, 4, "holds")), [["fired", 30_000]])
    assert.deepStrictEqual(told(looks(hours, 4, "holds"), looks(0, 2, "holds"), looks(20_000, 7, "clear")), [
      ["fired", hours + 30_000],
      ["recovered", 80_000]
    ])
    assert.deepStrictEqual(
      told(looks(hours, 4, "holds"), looks(hours + 40_000, 2, "clear"), looks(0, 7, "clear")).slice(1),
      [["recovered", 60_000]]
    )
    assert.deepStrictEqual(told(looks(hours, 4, "holds"), looks(0, 12, "clear", "q")).slice(1), [
      ["recovered", 110_000]
    ])
  })
})
