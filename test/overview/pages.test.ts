import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Pages from "../../src/overview/pages.ts"

const Letter = Schema.Literals(["a", "b", "ä", ""])
const Named = Schema.Struct({ provider: Letter, name: Letter })
const Several = Schema.Array(Named).check(Schema.isMaxLength(25))
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))
const Instants = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))).check(
  Schema.isMaxLength(25)
)

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
  it.effect.prop(
    "hold each once, also those of one instant, though new ones come in front between two pages",
    [Instants, Limit],
    ([instants, limit]) =>
      Effect.sync(() => {
        const journal = instants.toSorted((a, b) => b - a).map((at, id) => ({ at, id }))
        const seen: Array<number> = []
        let all: ReadonlyArray<{ readonly at: number; readonly id: number }> = journal
        let point: ReturnType<typeof Pages.pointAt>
        for (let n = 0; n <= journal.length; n++) {
          const page = Pages.before(all, point, limit)
          seen.push(...page.items.map(({ id }) => id))
          if (page.next === undefined) break
          point = Pages.pointAt(page.next)
          all = [{ at: 5, id: 1_000 + n }, ...all]
        }
        assert.deepStrictEqual(
          seen,
          journal.map(({ id }) => id)
        )
      })
  )

  it("begin at an instant, too, and nowhere else", () => {
    const all = [{ at: 3 }, { at: 2 }, { at: 2 }, { at: 1 }]
    const page = Pages.before(all, Pages.pointAt("2"), 10)
    assert.deepStrictEqual(page, { items: [{ at: 1 }], next: undefined })
    for (const text of ["", "soon", "-1", "1.", "1.2.3", "1e3"]) assert.isUndefined(Pages.pointAt(text))
  })
})
