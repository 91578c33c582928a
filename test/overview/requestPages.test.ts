import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { before, placeAt } from "../../src/overview/requestPages.ts"

/** Many begin at one instant. */
const Instants = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))).check(
  Schema.isMaxLength(25)
)
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))

const request = (at: number, id: string) => ({ id, startedAt: new Date(at).toISOString() })
const ids = (items: ReadonlyArray<{ readonly id: string }>) => items.map(({ id }) => id)

describe("pages of requests", () => {
  it.effect.prop(
    "hold each once, the latest first, though others come anywhere and go between two pages, and in whichever order they are",
    [Instants, Limit],
    ([instants, limit]) =>
      Effect.sync(() => {
        const stay = instants.map((at, i) => request(at, `req-${i.toString(36)}`))
        const seen: Array<string> = []
        let place: ReturnType<typeof placeAt>
        for (let n = 0; n <= stay.length + 3; n++) {
          const guests = [request(9, `guest-${n}`), request(n % 6, `guest-${n}-more`), request(0, `guest-${n}-too`)]
          const page = before(n % 2 === 0 ? stay : [...guests, ...stay.toReversed()], place, limit)
          assert.isAtMost(page.items.length, limit)
          seen.push(...ids(page.items).filter((id) => !id.startsWith("guest")))
          if (page.next === undefined) break
          place = placeAt(page.next)
          assert.isDefined(place)
        }
        const latestFirst = stay
          .map((one, i) => ({ ...one, i }))
          .toSorted((a, b) => b.startedAt.localeCompare(a.startedAt) || b.i - a.i)
        assert.deepStrictEqual(seen, ids(latestFirst))
      })
  )

  it("have the later of two ids of one instant first, also when it is longer", () => {
    const all = [request(1, "req-z"), request(1, "req-10"), request(1, "req-zz")]
    assert.deepStrictEqual(ids(before(all, undefined, 9).items), ["req-zz", "req-10", "req-z"])
  })

  it("begin before an instant when that is all that is said, and at no other text", () => {
    const all = [request(1, "a"), request(2, "b"), request(3, "c")]
    assert.deepStrictEqual(ids(before(all, placeAt("3"), 9).items), ["b", "a"])
    for (const text of ["", "soon", "-1", "1.", "1.a b", "1.a.b"]) assert.isUndefined(placeAt(text), text)
  })
})
