import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { TokenId } from "../../src/domain/Token.ts"
import * as Holdings from "../../src/pool/holdings.ts"
import type { TokenEvent } from "../../src/pool/tokenState.ts"
import { StoreFaults, world } from "./pools.ts"
import { added, quotaExhausted, report, succeeded } from "./records.ts"

const id = TokenId.make("id-a")
const namesOf = (holdings: Holdings.Holdings, provider: string) => {
  const visited: Array<string> = []
  holdings.each(provider, ({ name }) => visited.push(name))
  assert.deepStrictEqual(
    visited,
    holdings.of(provider).map(({ name }) => name)
  )
  return visited
}

describe("the holdings", () => {
  it.effect("tell the tokens of a provider, those that others add and remove included", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* Holdings.make, yield* Holdings.make]
      yield* one.commit(id, added())
      const other = TokenId.make("id-other")
      yield* two.commit(other, { ...added("other"), id: other, provider: "other" } as TokenEvent)
      assert.deepStrictEqual([namesOf(one, "warp"), namesOf(one, "other")], [["a"], []])
      yield* one.sync
      assert.deepStrictEqual([namesOf(one, "warp"), namesOf(one, "other")], [["a"], ["other"]])
      yield* two.sync
      yield* two.commit(id, { _tag: "Removed" })
      assert.deepStrictEqual(namesOf(two, "warp"), [])
      assert.deepStrictEqual(namesOf(one, "warp"), ["a"])
      yield* one.sync
      assert.deepStrictEqual(namesOf(one, "warp"), [])
      assert.deepStrictEqual(namesOf(yield* Holdings.make, "other"), ["other"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("know a token that could not be stored", () =>
    Effect.gen(function* () {
      const holdings = yield* Holdings.make
      const faults = yield* StoreFaults
      faults.fails = true
      yield* Effect.flip(holdings.commit(id, added()))
      assert.deepStrictEqual(namesOf(holdings, "warp"), ["a"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("give up statistics when the store is away for long, and nothing else", () =>
    Effect.gen(function* () {
      const holdings = yield* Holdings.make
      const faults = yield* StoreFaults
      yield* holdings.commit(id, added())
      faults.fails = true
      yield* holdings.record(id, 0, report(quotaExhausted()))
      for (let at = 1; at <= 10_001; at++) yield* holdings.record(id, at, report({ _tag: "CallerFault" }))
      faults.fails = false
      yield* TestClock.adjust("1 second")
      const stored = (yield* Holdings.make).get(id)
      assert.strictEqual(stored?.state._tag, "exhausted")
      assert.isBelow(stored?.served ?? 0, 10_001)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tell the store of successes in a row as of one event, and lose none of them while it is away", () =>
    Effect.gen(function* () {
      const holdings = yield* Holdings.make
      const faults = yield* StoreFaults
      yield* holdings.commit(id, added())
      faults.fails = true
      for (let at = 1; at <= 20_000; at++) yield* holdings.record(id, at, report(succeeded))
      const known = holdings.get(id)
      faults.fails = false
      yield* TestClock.adjust("1 second")
      const stored = (yield* Holdings.make).get(id)
      assert.deepStrictEqual([stored?.succeeded, stored?.served], [20_000, 20_000])
      assert.deepStrictEqual({ ...stored, window: stored?.window.length }, { ...known, window: known?.window.length })
    }).pipe(Effect.provide(world()))
  )
})
