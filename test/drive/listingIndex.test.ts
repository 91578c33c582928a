import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as ListingIndex from "../../src/drive/listingIndex.ts"

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Step = Schema.Struct({ forgets: Schema.Boolean, key: small(9), entries: small(9) })
const Steps = Schema.Array(Step)
const Limits = Schema.Struct({ listings: small(5), entries: small(20) })

describe("listing index", () => {
  it.effect.prop("names the oldest, and no more of them than it takes", [Limits, Steps], ([limits, steps]) =>
    Effect.sync(() => {
      const index = ListingIndex.make(limits)
      let model: Array<readonly [key: string, entries: number]> = []
      steps.forEach(({ entries, forgets, key }, at) => {
        const name = `k${key}`
        model = model.filter(([known]) => known !== name)
        if (forgets) index.forget(name)
        else {
          model.push([name, entries])
          index.note(name, { listedAt: at, entries })
        }
        const expected: Array<string> = []
        while (model.length > limits.listings || model.reduce((sum, [, held]) => sum + held, 0) > limits.entries) {
          expected.push(model.shift()?.[0] ?? "")
        }
        assert.deepStrictEqual(index.surplus(), expected)
        for (const gone of index.surplus()) index.forget(gone)
        assert.deepStrictEqual(
          [...index.keys()],
          model.map(([known]) => known)
        )
      })
    })
  )

  it("takes over what was kept before by when it was listed, in whatever order it comes", () => {
    const kept = (listedAt: number) => ({ listedAt, entries: 1 })
    const index = ListingIndex.make({ listings: 1, entries: 10 }, [
      ["b", kept(2)],
      ["c", kept(3)],
      ["a", kept(1)]
    ])
    assert.deepStrictEqual(index.surplus(), ["a", "b"])
  })
})
