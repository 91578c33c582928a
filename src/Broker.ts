/** A whole broker, wired: from the store and an upstream to answered requests. */
import { Layer } from "effect"
import { Acquisition, type AcquisitionOptions } from "./acquisition/Acquisition.ts"
import { Cache, type CacheOptions } from "./acquisition/Cache.ts"
import { Dedup, type DedupOptions } from "./acquisition/Dedup.ts"
import { Predictor } from "./acquisition/Predictor.ts"
import { RateLimiter, type RateLimiterOptions } from "./acquisition/RateLimiter.ts"
import { Renewer } from "./pool/Renewer.ts"
import { type PoolOptions, TokenPool } from "./pool/TokenPool.ts"
import type { Provider, Route } from "./domain/Provider.ts"
import { Catalog } from "./traffic/Catalog.ts"
import { Gateway, type GatewayOptions } from "./traffic/Gateway.ts"
import { Governor, type GovernorOptions } from "./traffic/Governor.ts"
import { ModelClients } from "./traffic/ModelClients.ts"
import { offering, warp } from "./traffic/offering.ts"
import { Traces, type TracesOptions } from "./traffic/Traces.ts"
import { QuotaWatch } from "./traffic/QuotaWatch.ts"

export interface BrokerOptions {
  readonly acquisition?: RateLimiterOptions & AcquisitionOptions
  readonly cache?: CacheOptions
  readonly dedup?: DedupOptions
  readonly pool?: PoolOptions
  readonly traffic?: GatewayOptions & GovernorOptions
  readonly traces?: TracesOptions
  /** Default: Warp alone. */
  readonly providers?: ReadonlyArray<Provider>
  readonly routes?: ReadonlyArray<Route>
}

/**
 * Needs a `Store`, a `Vault`, a `Renewer`, a `WarpClient` and an `OpenAiClient`; exposes every service, so that a program can
 * take any of them. The keys of the providers are put into the pool.
 */
export const layerWithRenewer = ({
  acquisition = {},
  cache = {},
  dedup = {},
  pool = {},
  providers = [warp],
  routes = [],
  traces = {},
  traffic = {}
}: BrokerOptions = {}) =>
  Layer.effectDiscard(offering(providers, routes)).pipe(
    Layer.provideMerge(Gateway.layerWith(traffic)),
    Layer.provideMerge(
      Layer.mergeAll(QuotaWatch.layer, Traces.layerWith(traces), ModelClients.layer, Governor.layerWith(traffic))
    ),
    Layer.provideMerge(Catalog.layer),
    Layer.provideMerge(Acquisition.layerWith(acquisition)),
    Layer.provideMerge(
      Layer.mergeAll(
        RateLimiter.layerWith(acquisition),
        Cache.layerWith(cache),
        Dedup.layerWith(dedup),
        Predictor.layer
      )
    ),
    Layer.provideMerge(TokenPool.layerWith(pool))
  )

/** The same with the tokens renewed at Warp: needs no `Renewer`. */
export const layerWith = (options: BrokerOptions = {}) =>
  layerWithRenewer(options).pipe(Layer.provideMerge(Renewer.layerWarp))

export const layer = layerWith()
