import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { countNew } from "../../src/overview/newest.ts"

const List = Schema.Array(Schema.Literals(["a", "b", "c"])).check(Schema.isMaxLength(12))
const Few = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))

describe("what is new in a list of the newest", () => {
  it.effect.prop("is what was put in front of it, when no two are the same", [Few, Few, Few], ([old, fresh, keep]) =>
    Effect.sync(() => {
      const of = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name}${i}`)
      const before = of("old", old).slice(0, keep)
      const now = [...of("new", fresh), ...before].slice(0, keep)
      assert.strictEqual(countNew(before, now), Math.min(fresh, keep))
      assert.strictEqual(countNew(before, before), 0)
      assert.strictEqual(countNew([], now), now.length)
    })
  )

  it.effect.prop(
    "is never more than was put in front, though some are the same, and explains the list",
    [List, List],
    ([before, fresh]) =>
      Effect.sync(() => {
        const now = [...fresh, ...before]
        const told = countNew(before, now)
        if (before.length > 0) assert.isAtMost(told, fresh.length)
        const common = Math.min(now.length - told, before.length)
        assert.deepStrictEqual(now.slice(told, told + common), before.slice(0, common))
      })
  )
})
