import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { namesOf } from "../../src/manager/tokenNames.ts"

const Name = Schema.Literals(["Token-1", "Token-2", "Token-3", "Token-5", "other", "Token-01"])
const Wanted = Schema.Array(Schema.Union([Name, Schema.Undefined])).check(Schema.isMaxLength(8))

describe("names", () => {
  it("are Token-1, Token-2, … where none is given", () => {
    assert.deepStrictEqual(namesOf([undefined, undefined], new Set()), ["Token-1", "Token-2"])
  })

  it.effect.prop(
    "are the first free numbers, whatever is taken or wanted; those given stay",
    [Wanted, Schema.Array(Name)],
    ([wanted, held]) =>
      Effect.sync(() => {
        const names = namesOf(wanted, new Set(held))
        const used = new Set<string>([...held, ...wanted.filter((name) => name !== undefined)])
        for (const [i, name] of wanted.entries()) {
          const free = Array.from({ length: 99 }, (_, n) => `Token-${n + 1}`).find((other) => !used.has(other))
          assert.strictEqual(names[i], name ?? free)
          used.add(names[i] ?? "")
        }
        assert.strictEqual(names.length, wanted.length)
      })
  )
})
