/** A whole broker, wired: from the store and an upstream to answered requests. */
import { Layer } from "effect"
import { Acquisition } from "./acquisition/Acquisition.ts"
import { Cache } from "./acquisition/Cache.ts"
import { Dedup } from "./acquisition/Dedup.ts"
import { Predictor } from "./acquisition/Predictor.ts"
import { RateLimiter, type RateLimiterOptions } from "./acquisition/RateLimiter.ts"
import { Renewer } from "./pool/Renewer.ts"
import { type PoolOptions, TokenPool } from "./pool/TokenPool.ts"
import { Completions } from "./traffic/Completions.ts"
import { QuotaWatch } from "./traffic/QuotaWatch.ts"

export interface BrokerOptions {
  readonly acquisition?: RateLimiterOptions & { readonly alertAbove?: number }
  readonly pool?: PoolOptions
}

/** Needs a `Store`, a `Vault` and a `WarpClient`; exposes every service, so that a program can take any of them. */
export const layerWith = ({ acquisition = {}, pool = {} }: BrokerOptions = {}) => {
  const { alertAbove, ...limits } = acquisition
  return Completions.layer.pipe(
    Layer.provideMerge(QuotaWatch.layer),
    Layer.provideMerge(Acquisition.layerWith(alertAbove === undefined ? {} : { alertAbove })),
    Layer.provideMerge(Layer.mergeAll(RateLimiter.layerWith(limits), Cache.layer, Dedup.layer, Predictor.layer)),
    Layer.provideMerge(TokenPool.layerWith(pool)),
    Layer.provideMerge(Renewer.layerWarp)
  )
}

export const layer = layerWith()
