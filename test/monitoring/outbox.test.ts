import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { AlertEvent } from "../../src/monitoring/alertState.ts"
import { gapAfter, mostTries, Outbox, put, release, settle, take } from "../../src/monitoring/outbox.ts"

const event = (subject: string, at = 0): AlertEvent => ({
  id: `provider_down:${subject}`,
  rule: "provider_down",
  subject,
  event: "fired",
  at,
  since: at,
  message: "synthetic",
  values: {}
})

const Action = Schema.Union([
  Schema.TaggedStruct("Put", { subject: Schema.Literals(["a", "b", "c"]) }),
  Schema.TaggedStruct("Take", { by: Schema.Literals(["p", "q"]) }),
  Schema.TaggedStruct("Take", { by: Schema.Literals(["p", "q"]) }),
  Schema.TaggedStruct("Settle", { by: Schema.Literals(["p", "q"]), isDelivered: Schema.Boolean }),
  Schema.TaggedStruct("Settle", { by: Schema.Literals(["p", "q"]), isDelivered: Schema.Boolean }),
  Schema.TaggedStruct("Leave", { by: Schema.Literals(["p", "q"]) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 10_000, 29_999, 30_000, 20 * 60_000]) })
])
const History = Schema.Array(Action).check(Schema.isMinLength(10), Schema.isMaxLength(80))

describe("the outbox", () => {
  it.prop("has one delivery out at a time, each alert's oldest, and none before it is due", [History], ([history]) => {
    const stored = Schema.fromJsonString(Outbox)
    let outbox: Outbox | undefined
    let now = 0
    /** What waits, as it came. */
    let model: Array<{ readonly number: number; readonly alert: string; tries: number; dueAt: number }> = []
    const out = new Map<string, { readonly number: number; readonly until: number }>()
    let number = 0

    for (const action of history) {
      switch (action._tag) {
        case "Put": {
          const filled = put(outbox, [event(action.subject, now)], now)
          assert.strictEqual(filled.lost, 0)
          outbox = filled.outbox
          model.push({ number: ++number, alert: `provider_down:${action.subject}`, tries: 0, dueAt: now })
          break
        }
        case "Take": {
          const taken = take(outbox, now, action.by)
          assert.strictEqual(taken.lost, 0)
          const isOthers = [...out].some(([by, { until }]) => by !== action.by && now < until)
          const ready = model.find(
            ({ alert, dueAt }, i) => dueAt <= now && model.findIndex((other) => other.alert === alert) === i
          )
          assert.strictEqual(taken.delivery?.number, isOthers ? undefined : ready?.number)
          if (taken.delivery !== undefined) {
            out.clear()
            out.set(action.by, { number: taken.delivery.number, until: now + 30_000 })
          } else if (!isOthers && model.length > 0) {
            const heads = model.filter(({ alert }, i) => model.findIndex((other) => other.alert === alert) === i)
            assert.strictEqual(taken.wakeAt, Math.min(...heads.map(({ dueAt }) => dueAt)))
          }
          outbox = outbox && taken.outbox
          break
        }
        case "Settle": {
          const held = out.get(action.by)
          if (held === undefined) break
          out.delete(action.by)
          const settled = settle(outbox, held.number, action.isDelivered, now, action.by)
          const entry = model.find((one) => one.number === held.number)
          if (entry !== undefined) {
            entry.tries += 1
            entry.dueAt = now + gapAfter(entry.tries)
            const isOver = action.isDelivered || entry.tries === mostTries
            assert.strictEqual(settled.isGivenUp, isOver && !action.isDelivered)
            if (isOver) model = model.filter((one) => one !== entry)
          }
          outbox = settled.outbox
          break
        }
        case "Leave":
          out.delete(action.by)
          outbox = outbox && release(outbox, action.by)
          break
        case "Wait":
          now += action.ms
      }
      outbox = outbox && Schema.decodeSync(stored)(Schema.encodeSync(stored)(outbox))
      assert.deepStrictEqual(
        (outbox?.deliveries ?? []).map(({ alert, dueAt, number, tries }) => ({ number, alert, tries, dueAt })),
        model
      )
    }
  })

  it("tries ten times over about an hour", () => {
    const gaps = Array.from({ length: mostTries - 1 }, (_, i) => gapAfter(i + 1))
    assert.deepStrictEqual(gaps.slice(0, 3), [10_000, 20_000, 40_000])
    assert.closeTo(
      gaps.reduce((sum, gap) => sum + gap, 0),
      60 * 60_000,
      2 * 60_000
    )
  })

  it("is free half a minute after whoever had taken from it is gone", () => {
    const { outbox } = put(undefined, [event("a")], 0)
    const taken = take(outbox, 0, "p").outbox
    assert.deepInclude(take(taken, 29_999, "q"), { delivery: undefined, wakeAt: 30_000 })
    assert.strictEqual(take(taken, 30_000, "q").delivery?.number, 1)
  })

  it("gives up the oldest beyond five hundred, and what is a day old", () => {
    const many = Array.from({ length: 501 }, (_, i) => event(`p${i}`))
    const { lost, outbox } = put(undefined, many, 0)
    assert.strictEqual(lost, 1)
    assert.strictEqual(outbox.deliveries[0]?.alert, "provider_down:p1")
    assert.strictEqual(take(outbox, 86_399_999, "p").lost, 0)
    assert.deepInclude(take(outbox, 86_400_000, "p"), { lost: 500, delivery: undefined })
  })

  it("is not held up by a claim or a pause from before the clock was set back", () => {
    const day = 24 * 3_600_000
    const claimed = take(put(undefined, [event("a", day)], day).outbox, day, "p")
    assert.strictEqual(take(claimed.outbox, 0, "q").delivery?.number, 1)
    const failed = settle(claimed.outbox, 1, false, day, "p").outbox
    assert.strictEqual(take(failed, 0, "q").delivery?.number, 1)
    assert.isUndefined(take(failed, day, "q").delivery)
  })
})
