import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { admit } from "../../../src/sandbox/warp/creationLimit.ts"

const perMinute = { count: 5, millis: 60_000 }
const perHour = { count: 10, millis: 3_600_000 }

const Gaps = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }))).check(
  Schema.isMaxLength(60)
)

describe("creationLimit", () => {
  it("admits the fifth creation in a minute and refuses the sixth", () => {
    assert.isTrue(admit([0, 1, 2, 3], 4, [perMinute]).admitted)
    assert.isFalse(admit([0, 1, 2, 3, 4], 5, [perMinute]).admitted)
  })

  it("still refuses one millisecond before the oldest creation leaves the window, and admits as it leaves", () => {
    const five = [0, 10, 20, 30, 40]
    assert.isFalse(admit(five, 59_999, [perMinute]).admitted)
    assert.isTrue(admit(five, 60_000, [perMinute]).admitted)
  })

  it("holds every window, not only the shortest", () => {
    const ten = Array.from({ length: 10 }, (_, index) => index * 120_000)
    assert.isFalse(admit(ten, 3_599_999, [perMinute, perHour]).admitted)
    assert.isTrue(admit(ten, 3_600_000, [perMinute, perHour]).admitted)
  })

  it("does not count an attempt that was refused", () => {
    const five = [0, 10, 20, 30, 40]
    assert.deepStrictEqual(admit(five, 50, [perMinute]), { admitted: false, created: five })
  })

  it("does not open when the clock is set back", () => {
    assert.isFalse(admit([100_000, 100_001, 100_002, 100_003, 100_004], 10, [perMinute]).admitted)
  })

  it("remembers nothing older than the longest window", () => {
    assert.deepStrictEqual(admit([0, 1, 2], 3_600_002, [perMinute, perHour]).created, [3_600_002])
  })

  it.prop(
    "decides as one who remembers every creation would",
    { gaps: Gaps },
    ({ gaps }) => {
      const all: Array<number> = []
      let remembered: ReadonlyArray<number> = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        const within = (millis: number) => all.filter((at) => now - at < millis).length
        const expected = within(perMinute.millis) < perMinute.count && within(perHour.millis) < perHour.count
        const decision = admit(remembered, now, [perMinute, perHour])
        assert.strictEqual(decision.admitted, expected)
        remembered = decision.created
        if (decision.admitted) all.push(now)
      }
    },
    { arbitrary: { runs: 1_000 } }
  )
})
