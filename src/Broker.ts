/** A whole broker, wired: from the store and an upstream to answered requests. */
import { Layer } from "effect"
import { Acquisition, type AcquisitionOptions } from "./acquisition/Acquisition.ts"
import { Cache, type CacheOptions } from "./acquisition/Cache.ts"
import { Dedup, type DedupOptions } from "./acquisition/Dedup.ts"
import { Predictor } from "./acquisition/Predictor.ts"
import { RateLimiter, type RateLimiterOptions } from "./acquisition/RateLimiter.ts"
import { Renewer } from "./pool/Renewer.ts"
import { type PoolOptions, TokenPool } from "./pool/TokenPool.ts"
import { Completions } from "./traffic/Completions.ts"
import { QuotaWatch } from "./traffic/QuotaWatch.ts"

export interface BrokerOptions {
  readonly acquisition?: RateLimiterOptions & AcquisitionOptions
  readonly cache?: CacheOptions
  readonly dedup?: DedupOptions
  readonly pool?: PoolOptions
}

/** Needs a `Store`, a `Vault` and a `WarpClient`; exposes every service, so that a program can take any of them. */
export const layerWith = ({ acquisition = {}, cache = {}, dedup = {}, pool = {} }: BrokerOptions = {}) =>
  Completions.layer.pipe(
    Layer.provideMerge(QuotaWatch.layer),
    Layer.provideMerge(Acquisition.layerWith(acquisition)),
    Layer.provideMerge(
      Layer.mergeAll(
        RateLimiter.layerWith(acquisition),
        Cache.layerWith(cache),
        Dedup.layerWith(dedup),
        Predictor.layer
      )
    ),
    Layer.provideMerge(TokenPool.layerWith(pool)),
    Layer.provideMerge(Renewer.layerWarp)
  )

export const layer = layerWith()
