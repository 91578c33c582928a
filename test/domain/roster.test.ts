import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Effect } from "effect"
import { Roster } from "../../src/domain/roster.ts"

const Act = Schema.Struct({
  act: Schema.Literals(["add", "delete"]),
  of: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
})

describe("a roster", () => {
  it.effect.prop("has those that were added and not deleted, each once", [Schema.Array(Act)], ([acts]) =>
    Effect.sync(() => {
      const members = Array.from({ length: 6 }, (_, id) => ({ id, place: -1 }))
      const roster = new Roster<(typeof members)[number]>()
      const naive = new Set<number>()
      for (const { act, of } of acts) {
        const member = members[of]
        if (member === undefined) continue
        roster[act](member)
        naive[act](of)
        for (const each of members) assert.strictEqual(roster.has(each), naive.has(each.id))
      }
      const visited: Array<number> = []
      roster.each(({ id }) => visited.push(id))
      assert.deepStrictEqual(visited.toSorted(), [...naive].toSorted())
    })
  )

  it("visits each once, also when visiting deletes it", () => {
    const members = Array.from({ length: 10 }, (_, id) => ({ id, place: -1 }))
    const roster = new Roster<(typeof members)[number]>()
    for (const member of members) roster.add(member)
    const visited: Array<number> = []
    roster.each((member) => {
      visited.push(member.id)
      roster.delete(member)
    })
    assert.strictEqual(new Set(visited).size, 10)
    assert.strictEqual(visited.length, 10)
    assert.isFalse(members.some((member) => roster.has(member)))
  })
})
