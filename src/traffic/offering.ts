/** Puts an offer into effect: what is resolved, what is limited, and the keys as tokens of the pool. */
import { Duration, Effect } from "effect"
import { defaultTimeouts, type Provider, type Route, warpProvider, type WarpProvider } from "../domain/Provider.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import * as AttemptMetrics from "./attemptMetrics.ts"
import { Catalog } from "./Catalog.ts"
import { Governor } from "./Governor.ts"
import { offerOf } from "./routing.ts"

const timeouts = {
  connect: Duration.fromInputUnsafe(defaultTimeouts.connect),
  headers: Duration.fromInputUnsafe(defaultTimeouts.headers),
  firstToken: Duration.fromInputUnsafe(defaultTimeouts.firstToken),
  idle: Duration.fromInputUnsafe(defaultTimeouts.idle),
  total: Duration.fromInputUnsafe(defaultTimeouts.total)
}

/** Warp with nothing said about it: its limits are its tokens' quotas. */
export const warp: WarpProvider = {
  name: warpProvider,
  kind: "warp",
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  timeouts,
  models: undefined
}

/**
 * Requests under way keep what they have begun with. A key that is offered no more is taken out of the pool; one that is
 * offered again keeps its state. Keys come first, so that no request finds a target without one.
 */
export const offering = Effect.fnUntraced(function* (
  providers: ReadonlyArray<Provider>,
  routes: ReadonlyArray<Route>
): Effect.fn.Return<void, StoreUnavailable, Catalog | Governor | TokenPool> {
  const pool = yield* TokenPool
  const offered = new Set<string>()
  for (const provider of providers) {
    if (provider.kind !== "openai") continue
    for (const { kind, name, secret } of provider.keys) {
      offered.add(yield* pool.add({ provider: provider.name, name, kind, credential: { access: secret } }))
    }
  }
  yield* (yield* Governor).configure(providers)
  yield* Effect.forEach(providers, ({ name }) => AttemptMetrics.begin(name), { discard: true })
  yield* (yield* Catalog).replace(offerOf(providers, routes))
  const stale = (yield* pool.list()).filter(({ id, name }) => isConfigured.test(name) && !offered.has(id))
  yield* Effect.forEach(stale, ({ id }) => Effect.catchTag(pool.remove(id), "TokenUnknown", () => Effect.void))
})

/** Names that only the configuration gives. */
const isConfigured = /^(env|literal|keyless):/
