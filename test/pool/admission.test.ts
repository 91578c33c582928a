import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Store } from "../../src/store/Store.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { tokenCollection } from "../../src/pool/holdings.ts"
import { add, lease, start, StoreFaults, world } from "./pools.ts"
import { accessRejected } from "./records.ts"

const newcomer = (name: string, secret = name) => ({
  provider: "warp",
  name,
  kind: "shared" as const,
  credential: { access: Redacted.make(`synthetic-${secret}`) }
})

describe("several tokens at once", () => {
  it.effect("are lent at once, found by their secrets, and there after a restart", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const ids = yield* pool.addAll([newcomer("a"), newcomer("b")])
      assert.include(ids, (yield* lease(pool)).id)
      assert.strictEqual(yield* pool.find("warp", Redacted.make("synthetic-b")), ids[1])
      assert.isUndefined(yield* pool.find("other", Redacted.make("synthetic-b")))
      const again = yield* start()
      assert.deepStrictEqual((yield* again.list()).map(({ id }) => id).toSorted(), [...ids].toSorted())
      const { access } = yield* again.credentialOf(ids[0] ?? assert.fail("no token"))
      assert.strictEqual(access && Redacted.value(access), "synthetic-a")
    }).pipe(Effect.provide(world()))
  )

  it.effect("are none when the store fails", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const faults = yield* StoreFaults
      yield* pool.addAll([newcomer("a")])
      faults.fails = true
      assert.strictEqual((yield* Effect.flip(pool.addAll([newcomer("b"), newcomer("c")])))._tag, "StoreUnavailable")
      faults.fails = false
      yield* pool.sync
      assert.strictEqual((yield* pool.list()).length, 1)
      assert.strictEqual((yield* pool.addAll([newcomer("b"), newcomer("c")])).length, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("take a name that was left by a token that is gone", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const pool = yield* start()
      const [id = assert.fail("no token")] = yield* pool.addAll([newcomer("a")])
      // As by one who died between the two steps of removing it.
      yield* store.modify(tokenCollection, id, () => [undefined, undefined])
      yield* pool.sync
      const [next] = yield* pool.addAll([newcomer("a", "b")])
      assert.notStrictEqual(next, id)
      assert.strictEqual(yield* add(pool, "a", "shared", { access: Redacted.make("synthetic-c") }), next)
    }).pipe(Effect.provide(world()))
  )

  it.effect("are decided on again when another process adds some between the decision and the writing", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const there = yield* start()
      let meanwhile: Effect.Effect<unknown, unknown> = Effect.void
      const interrupted = Store.of({
        ...store,
        transact: (step) =>
          Effect.suspend(() => {
            const first = meanwhile
            meanwhile = Effect.void
            return Effect.andThen(Effect.ignore(first), store.transact(step))
          })
      })
      const here = yield* start().pipe(Effect.provideService(Store, interrupted))

      meanwhile = there.addAll([newcomer("x", "same")])
      const sameToken = yield* Effect.flip(here.addAll([newcomer("a"), newcomer("b", "same")]))
      assert.deepInclude(sameToken._tag === "TokensClash" ? sameToken.clashes[0] : {}, {
        index: 1,
        by: "token",
        name: "x"
      })
      meanwhile = there.addAll([newcomer("c")])
      const sameName = yield* Effect.flip(here.addAll([newcomer("c", "other")]))
      assert.deepInclude(sameName._tag === "TokensClash" ? sameName.clashes[0] : {}, {
        index: 0,
        by: "name",
        name: "c"
      })
      meanwhile = there.add({ ...newcomer("d"), kind: "shared" })
      const addedSingly = yield* Effect.flip(here.addAll([newcomer("d", "another")]))
      assert.strictEqual(addedSingly._tag, "TokensClash")
      meanwhile = there.addAll([newcomer("e")])
      yield* here.addAll([newcomer("f")])
      assert.deepStrictEqual((yield* here.list()).map(({ name }) => name).toSorted(), ["c", "d", "e", "f", "x"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("do not take the name of one that another process has added a moment ago", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      yield* here.addAll([newcomer("z")])
      yield* add(there, "a")
      const error = yield* Effect.flip(here.addAll([newcomer("b"), newcomer("a", "other")]))
      assert.strictEqual(error._tag, "TokensClash")
      assert.deepInclude(error._tag === "TokensClash" ? error.clashes[0] : {}, { index: 1, by: "name", name: "a" })
    }).pipe(Effect.provide(world()))
  )
})

describe("an outcome that is settled from afar", () => {
  it.effect("is not held against a newer secret, and is nothing to a token that is gone", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      const { generation } = yield* lease(pool)
      yield* add(pool, "a", "anonymous", { access: Redacted.make("synthetic-new") })
      yield* pool.settle(id, { outcome: accessRejected, generation })
      assert.strictEqual((yield* pool.get(id)).state._tag, "active")
      yield* pool.settle(id, { outcome: accessRejected, generation: generation + 1, detail: "no" })
      const { lastFailure, state } = yield* pool.get(id)
      assert.strictEqual(state._tag, "cooling")
      assert.deepInclude(lastFailure, { outcome: "AccessRejected", detail: "no" })
      yield* pool.settle(TokenId.make("nobody"), { outcome: accessRejected, generation: 0 })
    }).pipe(Effect.provide(world()))
  )
})
