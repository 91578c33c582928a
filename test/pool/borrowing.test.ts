import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { add, call, start, world } from "./pools.ts"

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

  it.effect("leaves its turn to one that must be probed first, which would stay out for ever else", () =>
    Effect.gen(function* () {
      for (const strategy of ["priority", "round_robin", "best"] as const) {
        const pool = yield* start({ strategy })
        const other = yield* add(pool, "a")
        const id = yield* add(pool, "b")
        yield* call(pool, { _tag: "AccessRejected" }, { only: id })
        assert.strictEqual((yield* pool.get(id)).state._tag, "cooling")
        yield* TestClock.adjust("1 hour")
        yield* call(pool, { _tag: "Succeeded", latencyMs: 1 }, { only: other })
        for (let i = 0; i < 10; i++) {
          const lease = pool.take({ provider: "warp" })
          if (lease !== undefined) assert.isTrue(lease.endedWell(1))
          // The way it goes then.
          else yield* call(pool, { _tag: "Succeeded", latencyMs: 1 })
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual((yield* pool.get(id)).state._tag, "active", strategy)
        const listed = yield* pool.list()
        assert.isTrue(listed.every(({ leased }) => leased === 0))
        yield* pool.remove(id)
      }
    }).pipe(Effect.provide(world()))
  )
})
