import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Replicas from "../../src/store/Replicas.ts"
import { type Collection, Store, StoreUnavailable } from "../../src/store/Store.ts"

const Sum = Schema.Struct({ sum: Schema.Int, at: Schema.Finite })
const sums: Collection<typeof Sum.Type> = { name: "sum", schema: Sum }
const fold: Replicas.Fold<typeof Sum.Type, number> = (current, at, event) =>
  Number.isNaN(event) ? undefined : { sum: (current?.sum ?? 0) + event, at }
const make = Replicas.make({ collection: sums, fold })
const stored = Store.use((store) => store.get(sums, "k"))

/** A store whose writes can be made to fail or to wait. */
const faulty = Effect.gen(function* () {
  const store = yield* Store
  const fault = { fails: false, waits: undefined as Deferred.Deferred<void> | undefined }
  const modify: Store["Service"]["modify"] = (collection, key, change) =>
    Effect.suspend(() => {
      if (fault.fails) return Effect.fail(new StoreUnavailable({ operation: "write", detail: "synthetic" }))
      const write = store.modify(collection, key, change)
      return fault.waits === undefined ? write : Effect.andThen(Deferred.await(fault.waits), write)
    })
  return { fault, store: Store.of({ ...store, modify }) }
})

describe("Replicas", () => {
  it.effect("folds at once, and stores a second later", () =>
    Effect.gen(function* () {
      const replicas = yield* make
      replicas.record("k", 0, 1)
      replicas.record("k", 5, 2)
      assert.deepStrictEqual(replicas.get("k"), { sum: 3, at: 5 })
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(yield* stored)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* stored, { sum: 3, at: 5 })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("stores events that it can put together as one, but none with one that is being stored", () =>
    Effect.gen(function* () {
      const folded: Array<number> = []
      const { fault, store } = yield* faulty
      const replicas = yield* Replicas.make({
        collection: sums,
        fold: (current: typeof Sum.Type | undefined, at, event: number) => {
          folded.push(event)
          return fold(current, at, event)
        },
        merged: (earlier, later) => (earlier > 0 && later > 0 ? earlier + later : undefined)
      }).pipe(Effect.provideService(Store, store))
      for (const event of [1, 2, 3, -1, 4]) replicas.record("k", 0, event)
      assert.strictEqual(replicas.get("k")?.sum, 9)
      folded.length = 0
      fault.waits = yield* Deferred.make<void>()
      yield* TestClock.adjust("1 second")
      replicas.record("k", 1, 5)
      yield* Deferred.succeed(fault.waits, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* stored, { sum: 14, at: 1 })
      assert.deepStrictEqual(replicas.get("k"), { sum: 14, at: 1 })
      assert.deepStrictEqual(
        folded.filter((event) => event !== 5),
        [6, -1, 4]
      )
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("commits with what was recorded before, and stores nothing twice", () =>
    Effect.gen(function* () {
      const replicas = yield* make
      replicas.record("k", 0, 1)
      yield* TestClock.adjust(7)
      assert.deepStrictEqual(yield* replicas.commit("k", 10), { sum: 11, at: 7 })
      assert.deepStrictEqual(yield* stored, { sum: 11, at: 7 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* stored, { sum: 11, at: 7 })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("adds up what two processes observe", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* make, yield* make]
      a.record("k", 0, 1)
      b.record("k", 0, 10)
      yield* a.commit("k", 100)
      yield* b.sync
      yield* a.sync
      assert.strictEqual(a.get("k")?.sum, 111)
      assert.strictEqual(b.get("k")?.sum, 111)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("takes over what another process has removed", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* make, yield* make]
      yield* a.commit("k", 1)
      yield* b.sync
      assert.strictEqual(b.get("k")?.sum, 1)
      yield* a.commit("k", Number.NaN)
      yield* b.sync
      assert.isUndefined(b.get("k"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("stores what is pending when its scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const replicas = yield* Scope.provide(make, scope)
      replicas.record("k", 0, 4)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.strictEqual((yield* stored)?.sum, 4)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("keeps events while the store is away, and stores each once when it is back", () =>
    Effect.gen(function* () {
      const { fault, store } = yield* faulty
      const replicas = yield* Effect.provideService(make, Store, store)
      fault.fails = true
      const error = yield* Effect.flip(replicas.commit("k", 1))
      assert.strictEqual(error._tag, "StoreUnavailable")
      replicas.record("k", 0, 2)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(replicas.get("k")?.sum, 3)
      fault.fails = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* stored)?.sum, 3)
      assert.strictEqual(replicas.get("k")?.sum, 3)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("loses nothing that is recorded while a write is under way", () =>
    Effect.gen(function* () {
      const { fault, store } = yield* faulty
      const replicas = yield* Effect.provideService(make, Store, store)
      const gate = yield* Deferred.make<void>()
      fault.waits = gate
      const commit = yield* Effect.forkChild(replicas.commit("k", 1), { startImmediately: true })
      replicas.record("k", 0, 20)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(commit))?.sum, 21)
      assert.strictEqual((yield* stored)?.sum, 1)
      yield* replicas.sync
      assert.strictEqual((yield* stored)?.sum, 21)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("gives up only what is expendable, when the store is away for long", () =>
    Effect.gen(function* () {
      const { fault, store } = yield* faulty
      const replicas = yield* Effect.provideService(
        Replicas.make({ collection: sums, fold, expendable: (event) => event === 1 }),
        Store,
        store
      )
      fault.fails = true
      replicas.record("k", 0, 1_000_000)
      for (let i = 0; i < 10_005; i++) replicas.record("k", 0, 1)
      fault.fails = false
      yield* replicas.sync
      // One event of weight and as many of the others as are kept.
      assert.strictEqual((yield* stored)?.sum, 1_000_000 + 9_999)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("stores the other records when one cannot be stored", () =>
    Effect.gen(function* () {
      const replicas = yield* make
      replicas.record("bad", 0, 0.5)
      replicas.record("k", 0, 2)
      const error = yield* Effect.flip(replicas.sync)
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.strictEqual((yield* stored)?.sum, 2)
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
