import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as OpenLeases from "../../src/manager/openLeases.ts"

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Step = Schema.Union([
  Schema.TaggedStruct("Open", { caller: below(2), token: below(2), digest: below(3) }),
  Schema.TaggedStruct("Open", { caller: below(2), token: below(2), digest: below(3) }),
  Schema.TaggedStruct("Close", { nth: below(20) }),
  Schema.TaggedStruct("Find", { caller: below(2), token: below(3), digest: below(4) })
])
const History = Schema.Array(Step).check(Schema.isMaxLength(60))

describe("open leases", () => {
  it.effect.prop(
    "are found, closed and given up as a plain list in the order of opening would be",
    [History],
    ([steps]) =>
      Effect.sync(() => {
        const open = OpenLeases.make<OpenLeases.Entry>(5)
        let model: ReadonlyArray<OpenLeases.Entry> = []
        let opened = 0
        for (const step of steps) {
          if (step._tag === "Open") {
            const lease = {
              id: `${opened++}`,
              caller: `${step.caller}`,
              token: `${step.token}`,
              digest: `${step.digest}`
            }
            const all = [...model, lease]
            const crowdedOut = open.open(lease)
            assert.strictEqual(crowdedOut !== undefined, all.length > 5)
            if (crowdedOut !== undefined) {
              const of = (caller: string) => all.filter((other) => other.caller === caller)
              assert.strictEqual(crowdedOut, of(crowdedOut.caller)[0])
              for (const { caller } of all) assert.isAtMost(of(caller).length, of(crowdedOut.caller).length)
            }
            model = all.filter((other) => other !== crowdedOut)
          } else if (step._tag === "Close") {
            const lease = model.find(({ id }) => id === `${step.nth}`)
            assert.strictEqual(open.close(`${step.nth}`), lease)
            model = model.filter((other) => other !== lease)
          } else {
            const own = model.filter(({ caller }) => caller === `${step.caller}`)
            const expected =
              own.find(({ digest }) => digest === `${step.digest}`) ??
              own.find(({ token }) => token === `${step.token}`)
            assert.strictEqual(open.oldestOf(`${step.caller}`, `${step.digest}`, `${step.token}`), expected)
          }
          assert.strictEqual(open.size(), model.length)
          assert.strictEqual(open.oldest(), model[0])
        }
      })
  )
})
