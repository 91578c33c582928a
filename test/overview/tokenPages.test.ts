import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as TokenPages from "../../src/overview/tokenPages.ts"

const Letter = Schema.Literals(["a", "b", "ä", ""])
const Named = Schema.Struct({ provider: Letter, name: Letter })
const Several = Schema.Array(Named).check(Schema.isMaxLength(25))
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))

describe("pages of tokens", () => {
  it.effect.prop(
    "hold each once in one order, though others come and go between two pages",
    [Several, Limit],
    ([given, limit]) =>
      Effect.sync(() => {
        const stay = given.map((one, i) => ({ ...one, id: `id-${i}` }))
        const guest = { provider: "a", name: "a", id: "guest" }
        const seen: Array<string> = []
        let after: ReturnType<typeof TokenPages.placeAt>
        for (let n = 0; n <= stay.length + 2; n++) {
          const page = TokenPages.after(n % 2 === 0 ? stay : [guest, ...stay.toReversed()], after, limit)
          assert.isAtMost(page.items.length, limit)
          seen.push(...page.items.map(({ id }) => id).filter((id) => id !== guest.id))
          if (page.next === undefined) break
          after = TokenPages.placeAt(page.next)
          assert.isDefined(after)
        }
        const whole = TokenPages.after(stay, undefined, 1_000).items.map(({ id }) => id)
        assert.deepStrictEqual(seen, whole)
        assert.sameMembers(
          seen,
          stay.map(({ id }) => id)
        )
      })
  )

  it("take no cursor that is none", () => {
    const written = ["{}", "[1]", "null"].map((text) => Buffer.from(text).toString("base64url"))
    for (const cursor of ["", "synthetic", ...written]) assert.isUndefined(TokenPages.placeAt(cursor))
  })
})
