/** Denials that are told as one. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Decision } from "../../src/acquisition/decision.ts"
import { Folding, window } from "../../src/acquisition/folding.ts"

const decision = (at: number, caller: string, answer: Decision["answer"] = "denied"): Decision => ({
  at,
  provider: "synthetic",
  caller,
  errorContext: "quota exhausted",
  step: "policy",
  answer,
  reason: "too soon",
  inputs: {}
})

const Deed = Schema.Struct({
  later: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000 })),
  caller: Schema.Literals(["a", "b", "c"]),
  answer: Schema.Literals(["denied", "denied", "denied", "token", "failed"]),
  look: Schema.Boolean
})

const countOf = (decisions: ReadonlyArray<Decision>) => decisions.reduce((sum, { times = 1 }) => sum + times, 0)

describe("denials that say the same", () => {
  it.prop(
    "are all counted, the first at once, and at most two entries of each in ten seconds",
    [Schema.Array(Deed)],
    ([deeds]) => {
      const folding = new Folding()
      const kept: Array<Decision> = []
      const first = new Map<string, number>()
      let now = 0
      for (const { answer, caller, later, look } of deeds) {
        now += later
        if (look) kept.push(...folding.over(now))
        const told = folding.put(decision(now, caller, answer))
        kept.push(...told)
        const isAlone = told.some(({ at, times }) => at === now && times === undefined)
        if (answer === "denied") {
          const since = first.get(caller)
          const isFirst = since === undefined || now >= since + window
          assert.strictEqual(isAlone, isFirst)
          if (isFirst) first.set(caller, now)
        } else {
          assert.isTrue(isAlone, "what is no denial stands by itself")
        }
      }
      kept.push(...folding.end(now))
      assert.strictEqual(countOf(kept), deeds.length)
      assert.isFalse(folding.isWaiting)
      for (const caller of ["a", "b", "c"]) {
        const denied = kept.filter((one) => one.answer === "denied" && one.caller === caller)
        for (const [i, { at }] of denied.entries()) {
          const third = denied[i + 3]
          if (third !== undefined) assert.isAtLeast(third.at - at, window)
        }
      }
      assert.deepStrictEqual(
        kept.map(({ at }) => at),
        kept.map(({ at }) => at).toSorted((a, b) => a - b)
      )
    }
  )

  it("begin anew when the clock was set back", () => {
    const folding = new Folding()
    assert.lengthOf(folding.put(decision(50_000, "a")), 1)
    assert.lengthOf(folding.put(decision(50_001, "a")), 0)
    const told = folding.put(decision(10, "a"))
    assert.deepStrictEqual(
      told.map(({ times }) => times),
      [1, undefined]
    )
  })

  it("of more callers than it holds close the oldest, and lose none", () => {
    const folding = new Folding()
    const kept: Array<Decision> = []
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 700; n++) kept.push(...folding.put(decision(n, `caller ${n}`)))
    kept.push(...folding.end(1_000))
    assert.strictEqual(countOf(kept), 1_400)
  })
})
