/** `GET /v1/performance`: live numbers, read from the services. */
import { Clock, Duration, Effect } from "effect"
import { warpProvider, wopanProvider } from "../domain/Provider.ts"
import { Acquisition } from "../acquisition/Acquisition.ts"
import { Cache } from "../acquisition/Cache.ts"
import { Dedup } from "../acquisition/Dedup.ts"
import { type Prediction, Predictor } from "../acquisition/Predictor.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Gateway } from "../traffic/Gateway.ts"
import { Governor, type ProviderStanding } from "../traffic/Governor.ts"
import type { PerformanceReport, Token } from "./performanceReport.ts"
import { currentOf, quotaStatusOf, recommend } from "./smartManager.ts"

const provider = warpProvider
const shownDecisions = 50

/** Reads every service once; waits for the store only. */
export const performance = Effect.gen(function* () {
  const now = yield* Clock.currentTimeMillis
  const held = yield* TokenPool.use((pool) => pool.list())
  // The drive's tokens ask no model.
  const views = held.filter((token) => token.provider !== wopanProvider)
  const predictor = yield* Predictor
  const predictions = yield* Effect.forEach(views, ({ provider, kind, id }) =>
    predictor.predict({ provider, kind, token: id })
  )
  const tokens = views.map((view, i) => tokenOf(view, predictions[i]))
  const coolingUntil = yield* TokenPool.use((pool) => pool.coolingUntil(provider))
  const { accuracy = null, brier = null, predictions: scored } = yield* predictor.score(provider)
  return {
    status: "ok",
    timestamp: now / 1000,
    token_management: yield* tokenManagement(
      now,
      tokens.filter((token) => token.provider === provider)
    ),
    predictor: { predictions: scored, accuracy, brier },
    decisions: yield* Acquisition.use((acquisition) => acquisition.decisions(shownDecisions)),
    traffic: yield* traffic,
    pool: { tokens, coolingUntil: coolingUntil ?? null }
  } satisfies PerformanceReport
})

const traffic = Effect.gen(function* () {
  const governor = yield* Governor
  const { granted, inUse, meanWaitMs, refused, waiting } = yield* governor.statistics
  const providers = (yield* governor.providers).map(providerOf)
  return { waiting, in_use: inUse, granted, refused, mean_wait: meanWaitMs / 1000, providers }
})

const providerOf = (standing: ProviderStanding) => ({
  name: standing.name,
  limits: standing.limits,
  allowed: standing.allowed,
  in_use: standing.inUse,
  last_minute: standing.lastMinute,
  waiting: standing.waiting,
  held_until: standing.heldUntil ?? null,
  paused: standing.paused,
  targets: standing.targets.map(({ circuit, model, source = null, until = null }) => ({
    model,
    circuit,
    until,
    source
  }))
})

const tokenManagement = Effect.fnUntraced(function* (now: number, tokens: ReadonlyArray<Token>) {
  const budget = yield* RateLimiter.use((limiter) => limiter.statistics(provider))
  const dedup = yield* Dedup.use((dedup) => dedup.statistics(provider))
  const cache = yield* Cache.use((cache) => cache.statistics)
  const served = yield* Gateway.use((gateway) => gateway.statistics)
  const { limits } = budget
  const wait = Math.max(0, budget.nextAllowedAt - now)
  const current = currentOf(tokens)
  return {
    smart_manager: {
      current_token: {
        exists: current !== undefined,
        type: current?.kind ?? "none",
        quota_status: current === undefined ? "unknown" : quotaStatusOf(current),
        usage_count: current?.served ?? 0,
        error_count: current?.failed ?? 0,
        expires_in: typeof current?.accessExpiresAt === "number" ? (current.accessExpiresAt - now) / 1000 : null
      },
      anonymous_requests: {
        this_hour: budget.hourly,
        max_per_hour: limits.hourly,
        remaining: Math.max(0, limits.hourly - budget.hourly)
      },
      performance: {
        successful_requests: served.succeeded,
        failed_requests: served.failed,
        avg_response_time: served.meanFirstEventMs / 1000
      },
      recommendation: recommend(current, wait)
    },
    rate_limiter: {
      total_requests: budget.totalAttempts,
      hourly_requests: budget.hourly,
      daily_requests: budget.daily,
      consecutive_failures: budget.consecutiveFailures,
      last_successful_request: budget.lastSucceededAt === undefined ? null : budget.lastSucceededAt / 1000,
      failure_types: budget.failureTypes,
      limits: { max_per_hour: limits.hourly, max_per_day: limits.daily },
      next_allowed_in: wait / 1000
    },
    deduplicator: {
      active_requests: dedup.active,
      total_request_types: dedup.recent.length,
      dedup_window: Duration.toSeconds(dedup.window),
      seen: dedup.seen,
      duplicates: dedup.duplicates,
      removed: dedup.shareRemoved * 100,
      recent_requests: dedup.recent.map((recent) => ({ ...recent, age: recent.age / 1000 }))
    },
    cache: {
      cache_size: cache.size,
      cache_hits: cache.hits,
      cache_misses: cache.misses,
      hit_rate: cache.hitRate * 100,
      cache_ttl: Duration.toSeconds(cache.timeToLive)
    },
    processing_requests: yield* Acquisition.use((acquisition) => acquisition.processing)
  } satisfies PerformanceReport["token_management"]
})

const tokenOf = (view: TokenView, prediction: Prediction | undefined): Token => {
  const { lastUsedAt = null, accessExpiresAt = null, quota = null, ...rest } = view
  const { level = "HIGH", confidence = 0, chance = 0 } = prediction ?? {}
  return { ...rest, lastUsedAt, accessExpiresAt, quota, predicted: { level, confidence, chance } }
}
