/**
 * Remembers which tokens were acquired for what, so that a need met before costs the upstream nothing. It holds no secret:
 * the pool lends the token with the one it has now.
 */
import { Clock, Context, Duration, Effect, Layer, Metric, Schedule } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { Scope } from "effect"
import type { TokenId } from "../domain/Token.ts"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import type { AcquiredToken } from "./decision.ts"
import * as rules from "./tokenCache.ts"

export type { CacheKey } from "./tokenCache.ts"

export interface CacheOptions {
  /** Default 3600 seconds; a token goes earlier when the secret it came with ends. */
  readonly timeToLive?: Duration.Input
  /** The most tokens; beyond it the least recently used goes (default 100). */
  readonly capacity?: number
  /** Default 300 seconds. */
  readonly sweepEvery?: Duration.Input
}

export interface CacheStatistics {
  readonly size: number
  readonly capacity: number
  readonly hits: number
  readonly misses: number
  /** 0 to 1; 0 before the first look. */
  readonly hitRate: number
  readonly timeToLive: Duration.Duration
}

export class Cache extends Context.Service<
  Cache,
  {
    /**
     * The token for the need, if one is there, in its time, and `stillValid` says yes; one that is not valid any more goes.
     * Shared by all processes on one store; survives restarts. Never waits.
     */
    get<E, R>(
      key: rules.CacheKey,
      stillValid: (token: TokenId) => Effect.Effect<boolean, E, R>
    ): Effect.Effect<AcquiredToken | undefined, E | StoreUnavailable, R>
    /** As `get`, but counts neither as a hit nor as a use. */
    peek<E, R>(
      key: rules.CacheKey,
      stillValid: (token: TokenId) => Effect.Effect<boolean, E, R>
    ): Effect.Effect<AcquiredToken | undefined, E | StoreUnavailable, R>
    put(
      key: rules.CacheKey,
      token: { readonly id: TokenId; readonly expiresAt?: number | undefined }
    ): Effect.Effect<void, StoreUnavailable>
    invalidate(token: TokenId): Effect.Effect<void, StoreUnavailable>
    /** Counts are this process's, since its start. */
    readonly statistics: Effect.Effect<CacheStatistics, StoreUnavailable>
  }
>()("weirgate/acquisition/Cache") {
  static readonly layerWith = (options: CacheOptions = {}): Layer.Layer<Cache, never, Store> =>
    Layer.effect(
      Cache,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Cache, never, Store> = Cache.layerWith()
}

const cached: Collection<rules.Entries> = { name: "token-cache", schema: rules.Entries }
/** One record: what goes when the cache is full depends on all of them. */
const record = "entries"

const make = Effect.fnUntraced(function* (
  options: CacheOptions
): Effect.fn.Return<Cache["Service"], never, Store | Scope.Scope> {
  const store = yield* Store
  yield* fromZero(Object.values(lookups))
  const timeToLive = Duration.fromInputUnsafe(options.timeToLive ?? "3600 seconds")
  const limits: rules.CacheRules = { timeToLive: Duration.toMillis(timeToLive), capacity: options.capacity ?? 100 }
  const counted = { hits: 0, misses: 0 }

  const read = Effect.map(store.get(cached, record), (found) => found ?? rules.empty)
  const update = (f: (current: rules.Entries) => rules.Entries) =>
    store.modify(cached, record, (current) => [undefined, f(current ?? rules.empty)])
  const invalidate = (token: TokenId) => update((current) => rules.remove(current, token))

  const sweep = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    update((current) => rules.sweep(current, now, limits))
  ).pipe(
    Effect.catch((error) => Effect.logWarning(`the cache was not swept: ${error.message}`)),
    Effect.annotateLogs({ service: "Cache" })
  )
  yield* Effect.forkScoped(Effect.schedule(sweep, Schedule.spaced(options.sweepEvery ?? "300 seconds")))

  const peek: Cache["Service"]["peek"] = Effect.fnUntraced(function* (key, stillValid) {
    const entry = rules.find(yield* read, key, yield* Clock.currentTimeMillis, limits)
    if (entry === undefined) return undefined
    const { token: id, provider, kind } = entry
    if (yield* stillValid(id)) return { id, provider, kind }
    yield* invalidate(id)
    return undefined
  })

  return Cache.of({
    peek,
    get: Effect.fn("Cache.get")(function* <E, R>(
      key: rules.CacheKey,
      stillValid: (token: TokenId) => Effect.Effect<boolean, E, R>
    ) {
      const found = yield* peek(key, stillValid)
      if (found === undefined) {
        counted.misses += 1
        yield* Metric.update(lookups.miss, 1)
      } else {
        counted.hits += 1
        yield* Metric.update(lookups.hit, 1)
        yield* update((current) => rules.touch(current, key))
      }
      return found
    }),
    put: Effect.fn("Cache.put")(function* ({ context, kind, provider }, { id: token, expiresAt }) {
      const cachedAt = yield* Clock.currentTimeMillis
      const expiry = expiresAt === undefined ? {} : { expiresAt }
      const entry: rules.Entry = { provider, kind, context, token, cachedAt, ...expiry }
      yield* update((current) => rules.put(rules.sweep(current, cachedAt, limits), entry, limits))
    }),
    invalidate,
    statistics: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const { hits, misses } = counted
      return {
        size: rules.sweep(yield* read, now, limits).entries.length,
        capacity: limits.capacity,
        hits,
        misses,
        hitRate: hits === 0 ? 0 : hits / (hits + misses),
        timeToLive
      }
    })
  })
})

const lookupsTotal = Metric.counter("weirgate_token_cache_lookups_total", {
  description: "Looks into the cache of acquired tokens",
  incremental: true
})
const lookups = {
  hit: Metric.withAttributes(lookupsTotal, { result: "hit" }),
  miss: Metric.withAttributes(lookupsTotal, { result: "miss" })
}
