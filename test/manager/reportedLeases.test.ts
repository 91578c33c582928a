import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as ReportedLeases from "../../src/manager/reportedLeases.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"

const collection = { name: "reported_lease", schema: Schema.Struct({ until: Schema.Finite }) }
const minute = 60_000

/** A store that fails while it is told to. */
const failing = Effect.map(Store, (store) => {
  const state = { fails: false }
  return {
    state,
    store: Store.of({
      ...store,
      modify: (collection, key, change) =>
        Effect.suspend(() =>
          state.fails
            ? Effect.fail(new StoreUnavailable({ operation: "write", detail: "synthetic" }))
            : store.modify(collection, key, change)
        )
    })
  }
})

describe("reported leases", () => {
  it.effect("are remembered for as long as one could be reported again, and no longer", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const reported = yield* ReportedLeases.make(store)
      for (let i = 0; i < 20; i++) assert.isTrue(yield* reported.claim(`a-${i}`, i * minute))
      const kept = Effect.map(store.all(collection), (all) => [...all.keys()])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual((yield* kept).length, 10)
      assert.isFalse(yield* reported.claim("a-10", 10 * minute))
      yield* TestClock.adjust("20 minutes")
      assert.deepStrictEqual(yield* kept, [])
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("are told to the store at the end, if it could not be told before", () =>
    Effect.gen(function* () {
      const { state, store } = yield* failing
      const scope = yield* Scope.make()
      const reported = yield* Scope.provide(ReportedLeases.make(store), scope)
      state.fails = true
      assert.isTrue(yield* reported.claim("a", minute))
      assert.isFalse(yield* reported.claim("a", minute))
      state.fails = false
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(yield* (yield* ReportedLeases.make(store)).claim("a", minute))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("are ten thousand at most that the store does not know", () =>
    Effect.gen(function* () {
      const { state, store } = yield* failing
      const reported = yield* ReportedLeases.make(store)
      state.fails = true
      for (let i = 0; i <= 10_000; i++) yield* reported.claim(`a-${i}`, minute)
      assert.isFalse(yield* reported.claim("a-1", minute))
      assert.isTrue(yield* reported.claim("a-0", minute))
      state.fails = false
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
