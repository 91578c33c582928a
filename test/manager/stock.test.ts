import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { NewManagedToken } from "../../src/manager/TokenManager.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { secretOf, start, world } from "./managers.ts"

const wopan = (name: string | undefined, rest: Partial<NewManagedToken> = {}): NewManagedToken => ({
  provider: "wopan",
  name,
  token: secretOf(name ?? "nameless"),
  ...rest
})
const many = (n: number, first = 0) => Array.from({ length: n }, (_, i) => wopan(`many-${first + i}`))

describe("add", () => {
  it.effect("gives the first free number to a token without a name, and kind shared", () =>
    Effect.gen(function* () {
      const { manager, pool } = yield* start()
      const add = (secret: string, name?: string) =>
        manager.add({ provider: "wopan", name, token: Redacted.make(secret) })
      assert.strictEqual((yield* add("s1")).name, "Token-1")
      assert.strictEqual((yield* add("s2", "Token-2")).name, "Token-2")
      const third = yield* add("s3")
      assert.strictEqual(third.name, "Token-3")
      yield* manager.remove({ provider: "wopan", name: "Token-1" })
      assert.strictEqual((yield* add("s4")).name, "Token-1")
      assert.strictEqual((yield* pool.get(third.id)).kind, "shared")
      assert.strictEqual((yield* manager.add({ provider: "warp", token: Redacted.make("w") })).name, "Token-1")
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "refuses the same secret at the same provider, whichever of a token's it is, and a name that is taken",
    () =>
      Effect.gen(function* () {
        const { add, manager, pool } = yield* start()
        yield* add("a", { refresh: secretOf("a-refresh") })
        for (const token of [secretOf("a"), secretOf("a-refresh")]) {
          assert.deepInclude(yield* Effect.flip(add("b", { token })), { _tag: "TokenHeld", by: "token", name: "a" })
          const asRefresh = add("b", { token: secretOf("new"), refresh: token })
          assert.deepInclude(yield* Effect.flip(asRefresh), { _tag: "TokenHeld", by: "token", name: "a" })
        }
        assert.deepInclude(yield* Effect.flip(add("a", { token: secretOf("b") })), { by: "name", name: "a" })
        // The secret it was added with stays its own after a rotation.
        yield* pool.add({ provider: "wopan", name: "a", kind: "shared", credential: { access: secretOf("rotated") } })
        assert.deepInclude(yield* Effect.flip(add("b", { token: secretOf("rotated") })), { by: "token", name: "a" })
        yield* manager.add({ provider: "warp", name: "a", token: secretOf("a") })
        assert.strictEqual((yield* manager.list("wopan")).length, 1)
      }).pipe(Effect.provide(world))
  )

  it.effect("lets one of several win that add the same token at once, in one process and in two", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      for (const [i, of] of [
        [here, here],
        [here, there],
        [there, here, there, here]
      ].entries()) {
        const results = yield* Effect.all(
          of.map((process, j) =>
            Effect.result(process.add(`name-${i}-${j}`, { token: Redacted.make(`synthetic-same-${i}`) }))
          ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 1)
      }
      yield* here.pool.sync
      assert.strictEqual((yield* here.manager.list("wopan")).length, 3)
    }).pipe(Effect.provide(world))
  )

  it.effect("gives different names to tokens that two processes add at once", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      const added = yield* Effect.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 === 0 ? here : there).manager.add({ provider: "wopan", token: Redacted.make(`synthetic-${i}`) })
        ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        new Set(added.map(({ name }) => name)),
        new Set(Array.from({ length: 10 }, (_, i) => `Token-${i + 1}`))
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("holds a token that comes disabled, and lends it once it is enabled", () =>
    Effect.gen(function* () {
      const { add, get, pool } = yield* start()
      const { id, isActive } = yield* add("a", { disabled: true })
      assert.isFalse(isActive)
      yield* Effect.flip(get())
      yield* pool.enable(id)
      assert.strictEqual((yield* get()).id, id)
    }).pipe(Effect.provide(world))
  )

  it.effect("refuses a provider that is not there", () =>
    Effect.gen(function* () {
      const { manager } = yield* start()
      const error = yield* Effect.flip(manager.addAll([...many(2), wopan("x", { provider: "nowhere" })]))
      assert.strictEqual(error._tag, "ProviderUnknown")
      assert.strictEqual((yield* manager.list("wopan")).length, 0)
    }).pipe(Effect.provide(world))
  )
})

describe("addAll", () => {
  it.effect("adds a thousand tokens, in their order, for every process on the store", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      const added = yield* here.manager.addAll(many(1_000))
      assert.deepStrictEqual(
        added.map(({ name }) => name),
        many(1_000).map(({ name }) => name)
      )
      assert.strictEqual(new Set(added.map(({ id }) => id)).size, 1_000)
      assert.deepInclude(yield* Effect.flip(there.add("other", { token: secretOf("many-7") })), { name: "many-7" })
      assert.strictEqual((yield* there.manager.list("wopan")).length, 1_000)
      assert.strictEqual(Redacted.value((yield* there.get()).access).slice(0, 20), "synthetic-token-many")
    }).pipe(Effect.provide(world))
  )

  it.effect("is taken over by the other processes within five seconds", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      yield* here.manager.addAll(many(3))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* there.manager.list("wopan")).length, 3)
    }).pipe(Effect.provide(world))
  )

  it.effect("adds none when one of them is held, or is there twice, and says which", () =>
    Effect.gen(function* () {
      const { add, manager } = yield* start()
      yield* add("many-3")
      assert.deepInclude(yield* Effect.flip(manager.addAll(many(5))), { by: "token", name: "many-3", index: 3 })
      const twice = [...many(2, 10), wopan("x", { token: secretOf("many-10") })]
      assert.deepInclude(yield* Effect.flip(manager.addAll(twice)), { by: "token", name: "many-10", index: 2 })
      const named = [...many(2, 10), wopan("many-11", { token: secretOf("x") })]
      assert.deepInclude(yield* Effect.flip(manager.addAll(named)), { by: "name", name: "many-11", index: 2 })
      assert.strictEqual((yield* manager.list("wopan")).length, 1)
      const clashes = yield* manager.clashes([...many(5), ...twice, wopan("many-3", { token: secretOf("y") })])
      assert.deepStrictEqual(clashes, [
        { index: 3, by: "token", name: "many-3" },
        { index: 7, by: "token", name: "many-10", earlier: 5 },
        { index: 8, by: "name", name: "many-3" }
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("adds none when the store fails in the middle", () =>
    Effect.gen(function* () {
      const store = yield* Store
      let sets = 0
      const failing = Store.of({
        ...store,
        transact: (step) =>
          store.transact((records) =>
            step({
              get: records.get,
              set: (collection, key, record) => {
                if (++sets > 7) throw new Error("synthetic")
                records.set(collection, key, record)
              }
            })
          )
      })
      const { manager } = yield* start().pipe(Effect.provideService(Store, failing))
      assert.instanceOf(yield* Effect.flip(manager.addAll(many(5))), StoreUnavailable)
      const after = yield* start()
      assert.strictEqual((yield* manager.list("wopan")).length, 0)
      assert.strictEqual((yield* after.manager.list("wopan")).length, 0)
      assert.strictEqual((yield* after.manager.addAll(many(5))).length, 5)
    }).pipe(Effect.provide(world))
  )
})

describe("remove", () => {
  it.effect("takes a token by its secret, its id or its name, also one that another process has just added", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      const provider = "wopan"
      const { id } = yield* there.add("by-id")
      for (const name of ["by-secret", "by-name"]) yield* there.add(name)
      assert.strictEqual((yield* here.manager.remove({ provider, id })).name, "by-id")
      assert.strictEqual((yield* here.manager.remove({ provider, token: secretOf("by-secret") })).name, "by-secret")
      assert.strictEqual((yield* here.manager.remove({ provider, name: "by-name" })).name, "by-name")
      for (const which of [{ id }, { token: secretOf("by-secret") }, { name: "by-name" }, {}]) {
        assert.strictEqual((yield* Effect.flip(here.manager.remove({ provider, ...which })))._tag, "TokenNotHeld")
      }
      assert.strictEqual((yield* here.manager.list(provider)).length, 0)
      yield* here.add("by-name")
    }).pipe(Effect.provide(world))
  )

  it.effect("takes none when what is said of it is not of the same, or it is another provider's", () =>
    Effect.gen(function* () {
      const { add, manager } = yield* start()
      yield* add("a")
      yield* add("b")
      for (const which of [
        { provider: "wopan", name: "a", token: secretOf("b") },
        { provider: "warp", name: "a" }
      ]) {
        assert.strictEqual((yield* Effect.flip(manager.remove(which)))._tag, "TokenNotHeld")
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("ends the leases of the token", () =>
    Effect.gen(function* () {
      const { add, get, manager, report } = yield* start()
      yield* add("a")
      const { lease } = yield* get()
      yield* manager.remove({ provider: "wopan", name: "a" })
      assert.strictEqual((yield* Effect.flip(report({ lease })))._tag, "TokenNotHeld")
    }).pipe(Effect.provide(world))
  )
})

describe("list and export", () => {
  it.effect("show the tokens by name, the one never a secret, the other what makes them again", () =>
    Effect.gen(function* () {
      const { add, manager } = yield* start()
      yield* add("b", { refresh: secretOf("refresh"), kind: "personal", accessExpiresAt: 9e12 })
      yield* add("a", { disabled: true })
      yield* manager.add({ provider: "warp", name: "w", token: secretOf("w") })
      const listed = yield* manager.list("wopan")
      assert.deepStrictEqual(
        listed.map(({ name, state }) => [name, state]),
        [
          ["a", "disabled"],
          ["b", "active"]
        ]
      )
      assert.notInclude(JSON.stringify(listed), "synthetic")
      const exported = [...(yield* manager.export("wopan")), ...(yield* manager.export("warp"))]
      const elsewhere = yield* Effect.provide(
        Effect.gen(function* () {
          const other = yield* start()
          yield* other.manager.addAll(exported)
          return [...(yield* other.manager.export("wopan")), ...(yield* other.manager.export("warp"))]
        }),
        world,
        { local: true }
      )
      const plain = (tokens: ReadonlyArray<NewManagedToken>) =>
        tokens.map(({ refresh, token, ...rest }) => ({
          ...rest,
          token: token && Redacted.value(token),
          refresh: refresh && Redacted.value(refresh)
        }))
      assert.deepStrictEqual(plain(elsewhere), plain(exported))
      assert.deepStrictEqual(plain(exported)[1], {
        provider: "wopan",
        name: "b",
        kind: "personal",
        accessExpiresAt: 9e12,
        token: "synthetic-token-b",
        refresh: "synthetic-token-refresh"
      })
      assert.deepInclude(plain(exported)[2], { provider: "warp", token: "synthetic-token-w", refresh: undefined })
    }).pipe(Effect.provide(world))
  )
})
