import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { add, start, world } from "./pools.ts"

describe("a token that is taken at once", () => {
  it.effect("comes from all that there are in turns, also from those that nobody has used yet", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const names = ["a", "b", "c"]
      for (const name of names) yield* add(pool, name)
      const taken = new Set<string>()
      for (let i = 0; i < 20; i++) {
        const lease = pool.take({ provider: "warp" })
        if (lease === undefined) {
          // The way it goes then.
          yield* Effect.scoped(pool.lease({ provider: "warp" }))
          yield* Effect.yieldNow
          continue
        }
        taken.add(lease.name)
        assert.isTrue(lease.endedWell(1))
      }
      assert.deepStrictEqual([...taken].toSorted(), names)
      const listed = yield* pool.list()
      assert.isTrue(listed.every(({ leased }) => leased === 0))
    }).pipe(Effect.provide(world()))
  )
})
