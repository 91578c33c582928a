import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Pages from "../../src/overview/pages.ts"

const Letter = Schema.Literals(["a", "b", "ä", ""])
const Named = Schema.Struct({ provider: Letter, name: Letter })
const Several = Schema.Array(Named).check(Schema.isMaxLength(25))
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))
describe("pages of what has names", () => {
  it.effect.prop(
    "hold each once in one order, though others come and go between two pages",
    [Several, Limit],
    ([given, limit]) =>
      Effect.sync(() => {
        const stay = given.map((one, i) => ({ ...one, id: `id-${i}` }))
        const guest = { provider: "a", name: "a", id: "guest" }
        const seen: Array<string> = []
        let after: ReturnType<typeof Pages.placeAt>
        for (let n = 0; n <= stay.length + 2; n++) {
          const page = Pages.named(n % 2 === 0 ? stay : [guest, ...stay.toReversed()], after, limit)
          assert.isAtMost(page.items.length, limit)
          seen.push(...page.items.map(({ id }) => id).filter((id) => id !== guest.id))
          if (page.next === undefined) break
          after = Pages.placeAt(page.next)
          assert.isDefined(after)
        }
        const whole = Pages.named(stay, undefined, 1_000).items.map(({ id }) => id)
        assert.deepStrictEqual(seen, whole)
        assert.sameMembers(
          seen,
          stay.map(({ id }) => id)
        )
      })
  )

  it("take no cursor that is none", () => {
    const written = ["{}", "[1]", "null"].map((text) => Buffer.from(text).toString("base64url"))
    for (const cursor of ["", "synthetic", ...written]) assert.isUndefined(Pages.placeAt(cursor))
  })
})

describe("pages of a journal", () => {
  it("begin at the place that was told, or at an instant, and nowhere else", () => {
    assert.deepStrictEqual(Pages.behindOf(Pages.cursorOf(57)), { place: 57 })
    assert.deepStrictEqual(Pages.behindOf("1795262768697"), { at: 1_795_262_768_697 })
    for (const text of ["", "p", "soon", "-1", "1.", "1.2", "1e3", "p1 ", "P1", "9".repeat(16)]) {
      assert.isUndefined(Pages.behindOf(text), text)
    }
  })
})
