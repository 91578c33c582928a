import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Cache, type CacheKey, type CacheOptions } from "../../src/acquisition/Cache.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"

const world = Store.layerMemory
const layer = Cache.layer.pipe(Layer.provideMerge(world))
const need = (context = "default"): CacheKey => ({ provider: "warp", kind: "anonymous", context })
const token = (name: string, expiresAt?: number) => ({ id: TokenId.make(name), expiresAt })
const valid = () => Effect.succeed(true)
const invalid = () => Effect.succeed(false)
const get = (context?: string, stillValid: () => Effect.Effect<boolean> = valid) =>
  Cache.use((cache) => cache.get(need(context), stillValid))
const put = (name: string, context?: string, expiresAt?: number) =>
  Cache.use((cache) => cache.put(need(context), token(name, expiresAt)))
const statistics = Cache.use((cache) => cache.statistics)
const another = (options: CacheOptions = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.buildWithScope(Layer.fresh(Cache.layerWith(options)), yield* Effect.scope)
    return Context.get(context, Cache)
  })

describe("Cache", () => {
  it.effect("names the token that was put for the same need, and counts", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* get())
      yield* put("a", undefined, 1_000_000)
      assert.deepStrictEqual(yield* get(), { id: TokenId.make("a"), provider: "warp", kind: "anonymous" })
      assert.isUndefined(yield* get("vision"))
      yield* get()
      assert.deepInclude(yield* statistics, { hits: 2, misses: 2, hitRate: 0.5, size: 1 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("gives a token for an hour, and not a millisecond longer", () =>
    Effect.gen(function* () {
      yield* put("a")
      yield* TestClock.adjust(3_599_999)
      assert.isDefined(yield* get())
      yield* TestClock.adjust(1)
      assert.isUndefined(yield* get())
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks whether the token is still valid, and forgets one that is not", () =>
    Effect.gen(function* () {
      yield* put("a")
      assert.isUndefined(yield* get(undefined, invalid))
      assert.isUndefined(yield* get())
      assert.deepInclude(yield* statistics, { hits: 0, misses: 2, size: 0 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("counts nothing and marks nothing as used when it is only looked at", () =>
    Effect.gen(function* () {
      const cache = yield* another({ capacity: 2 })
      yield* cache.put(need("a"), token("a"))
      yield* cache.put(need("b"), token("b"))
      assert.isDefined(yield* cache.peek(need("a"), valid))
      yield* cache.put(need("c"), token("c"))
      assert.isUndefined(yield* cache.peek(need("a"), valid))
      assert.deepInclude(yield* cache.statistics, { hits: 0, misses: 0, size: 2 })
    }).pipe(Effect.provide(world))
  )

  it.effect("holds a hundred, of which the least recently used goes", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 100; i++) yield* put(`t${i}`, `c${i}`)
      yield* get("c0")
      yield* put("new", "new")
      assert.isDefined(yield* get("c0"))
      assert.isUndefined(yield* get("c1"))
      assert.strictEqual((yield* statistics).size, 100)
    }).pipe(Effect.provide(layer))
  )

  it.effect("survives a restart, and is shared by processes", () =>
    Effect.gen(function* () {
      yield* put("a")
      const other = yield* another()
      assert.strictEqual((yield* other.get(need(), valid))?.id, TokenId.make("a"))
      yield* other.invalidate(TokenId.make("a"))
      assert.isUndefined(yield* get())
    }).pipe(Effect.provide(layer))
  )

  it.effect("sweeps every 300 seconds", () =>
    Effect.gen(function* () {
      yield* put("a", undefined, 10_000)
      yield* TestClock.adjust(299_999)
      assert.include(JSON.stringify(yield* stored), "default")
      yield* TestClock.adjust(1)
      assert.notInclude(JSON.stringify(yield* stored), "default")
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails when the store does", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(get()))._tag, "StoreUnavailable")
    }).pipe(
      Effect.provide(
        Cache.layer.pipe(
          Layer.provide(Layer.mock(Store, { get: () => Effect.fail(broken), modify: () => Effect.fail(broken) }))
        )
      )
    )
  )
})

const broken = new StoreUnavailable({ operation: "read", detail: "synthetic" })
const stored = Store.use((store) =>
  Effect.map(store.all({ name: "token-cache", schema: Schema.Json }), (records) => [...records.values()])
)
