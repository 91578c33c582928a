import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Facts, idOf, judge } from "../../src/monitoring/rules.ts"

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))
const Circuit = Schema.Literals(["closed", "open", "half_open", "returning"])
const Case = Schema.Struct({
  hourly: Count,
  daily: Count,
  hourlyLimit: Count,
  dailyLimit: Count,
  above: Count,
  usable: Count,
  exhausted: Count,
  lasts: Schema.Boolean,
  circuits: Schema.Array(Circuit).check(Schema.isMaxLength(3)),
  /** 0: none. */
  pause: Schema.Literals([0, 1, 60_000, 60_001])
})

const now = 1_000_000
const factsOf = (one: typeof Case.Type): Facts => ({
  now,
  budgets: [
    {
      provider: "p",
      hourly: one.hourly,
      daily: one.daily,
      limits: { hourly: one.hourlyLimit, daily: one.dailyLimit }
    }
  ],
  tokens: [
    {
      provider: "p",
      held: one.usable + one.exhausted,
      usable: one.usable,
      states: { exhausted: one.exhausted },
      lasts: one.lasts
    }
  ],
  standings: [
    {
      name: "p",
      heldUntil: one.pause === 0 ? undefined : now + one.pause,
      targets: one.circuits.map((circuit, i) => ({ model: `m${i}`, circuit, until: undefined, source: undefined }))
    }
  ]
})

describe("the rules", () => {
  it.prop("hold when what they are about is so, and not otherwise", [Case], ([one]) => {
    const facts = factsOf(one)
    const { circuits, daily, dailyLimit, exhausted, hourly, hourlyLimit, lasts, pause, usable } = one
    const isOut = circuits.length > 0 && circuits.every((circuit) => circuit === "open" || circuit === "half_open")
    const isHeld = pause > 0 && !(exhausted > 0 && usable === 0)
    const isDown = isOut || (isHeld && pause > 60_000)
    const expected = {
      "acquisition_rate:p": hourly > one.above ? "holds" : "clear",
      "acquisition_budget:p": hourly >= hourlyLimit || daily >= dailyLimit ? "holds" : "clear",
      "tokens_unusable:p": exhausted > 0 && usable === 0 ? "holds" : "clear",
      "quota_ending:p": usable > 0 ? (lasts ? "clear" : "holds") : exhausted > 0 ? "unknown" : "clear",
      "provider_down:p": isDown ? "holds" : circuits.length === 0 || isHeld ? "unknown" : "clear"
    }
    const judged = judge(facts, one.above)
    const found = Object.fromEntries(judged.map((judgement) => [idOf(judgement), judgement.state]))
    assert.lengthOf(judged, Object.keys(found).length)
    for (const [id, state] of Object.entries(expected)) assert.strictEqual(found[id] ?? "clear", state, id)
  })
})
