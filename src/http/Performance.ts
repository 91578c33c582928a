/** `GET /v1/performance`: live numbers, under the key names that scripts written for the original servers read. */
import { Clock, Duration, Effect, Schema } from "effect"
import { warpProvider, wopanProvider } from "../domain/Provider.ts"
import { Acquisition, Decision } from "../acquisition/Acquisition.ts"
import { Cache } from "../acquisition/Cache.ts"
import { Dedup } from "../acquisition/Dedup.ts"
import { type Prediction, Predictor } from "../acquisition/Predictor.ts"
import { levels } from "../domain/quotaLevel.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { priorityOf, TokenKind } from "../domain/Token.ts"
import { TokenState, type TokenView } from "../pool/tokenState.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Gateway } from "../traffic/Gateway.ts"
import { Governor, type ProviderStanding } from "../traffic/Governor.ts"

const Count = Schema.Int
const Seconds = Schema.Finite
/** 0 to 100, as the original servers wrote shares. */
const Percent = Schema.Finite
/** Epoch milliseconds. */
const Instant = Schema.Finite

const TokenManagement = Schema.Struct({
  smart_manager: Schema.Struct({
    /** The token that the next request would be served with, or the one used last when none is usable. */
    current_token: Schema.Struct({
      exists: Schema.Boolean,
      type: Schema.Literals(["personal", "shared", "anonymous", "none"]),
      quota_status: Schema.Literals(["available", "low", "exhausted", "unknown"]),
      usage_count: Count,
      error_count: Count,
      expires_in: Schema.NullOr(Seconds)
    }),
    anonymous_requests: Schema.Struct({ this_hour: Count, max_per_hour: Count, remaining: Count }),
    performance: Schema.Struct({ successful_requests: Count, failed_requests: Count, avg_response_time: Seconds }),
    recommendation: Schema.Struct({
      action: Schema.Literals(["keep_current", "request_anonymous", "wait"]),
      reason: Schema.String,
      priority: Schema.Literals(["low", "medium", "high"])
    })
  }),
  rate_limiter: Schema.Struct({
    total_requests: Count,
    hourly_requests: Count,
    daily_requests: Count,
    consecutive_failures: Count,
    last_successful_request: Schema.NullOr(Seconds),
    failure_types: Schema.Record(Schema.String, Count),
    limits: Schema.Struct({ max_per_hour: Count, max_per_day: Count }),
    next_allowed_in: Seconds
  }),
  deduplicator: Schema.Struct({
    active_requests: Count,
    total_request_types: Count,
    dedup_window: Seconds,
    seen: Count,
    duplicates: Count,
    removed: Percent,
    recent_requests: Schema.Array(
      Schema.Struct({ id: Schema.String, age: Seconds, context: Schema.String, caller: Schema.String })
    )
  }),
  cache: Schema.Struct({
    cache_size: Count,
    cache_hits: Count,
    cache_misses: Count,
    hit_rate: Percent,
    cache_ttl: Seconds
  }),
  processing_requests: Count
})

const Token = Schema.Struct({
  id: Schema.String,
  provider: Schema.String,
  name: Schema.String,
  kind: TokenKind,
  state: TokenState,
  usable: Schema.Boolean,
  createdAt: Instant,
  lastUsedAt: Schema.NullOr(Instant),
  accessExpiresAt: Schema.NullOr(Instant),
  served: Count,
  succeeded: Count,
  failed: Count,
  leased: Count,
  quota: Schema.NullOr(
    Schema.Struct({ limit: Schema.Finite, used: Schema.Finite, unlimited: Schema.Boolean, at: Instant })
  ),
  predicted: Schema.Struct({
    level: Schema.Literals(levels),
    confidence: Schema.Finite,
    /** The chance that the next call finds the quota used up. */
    chance: Schema.Finite
  })
})

const Allowed = Schema.Union([Schema.Finite, Schema.Literal("unlimited")])
const Limit = Schema.Union([Schema.Finite, Schema.Literals(["unlimited", "unknown"])])

const Traffic = Schema.Struct({
  waiting: Count,
  in_use: Count,
  granted: Count,
  refused: Count,
  mean_wait: Seconds,
  providers: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      limits: Schema.Struct({ concurrency: Limit, rpm: Limit, tpm: Limit }),
      /** The limits as they are kept: those that nobody told us are learned. */
      allowed: Schema.Struct({ concurrency: Allowed, rpm: Allowed }),
      in_use: Count,
      last_minute: Count,
      waiting: Count,
      held_until: Schema.NullOr(Instant),
      paused: Schema.Boolean,
      targets: Schema.Array(
        Schema.Struct({
          model: Schema.String,
          circuit: Schema.Literals(["closed", "open", "half_open", "returning"]),
          until: Schema.NullOr(Instant),
          source: Schema.NullOr(Schema.Literals(["stated", "guessed"]))
        })
      )
    })
  )
})

export const PerformanceReport = Schema.Struct({
  status: Schema.Literal("ok"),
  /** Epoch seconds. */
  timestamp: Schema.Finite,
  token_management: TokenManagement,
  predictor: Schema.Struct({
    predictions: Count,
    accuracy: Schema.NullOr(Schema.Finite),
    brier: Schema.NullOr(Schema.Finite)
  }),
  decisions: Schema.Array(Decision),
  traffic: Traffic,
  pool: Schema.Struct({ tokens: Schema.Array(Token), coolingUntil: Schema.NullOr(Instant) })
}).annotate({ identifier: "PerformanceReport" })
export type PerformanceReport = typeof PerformanceReport.Type

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

type Token = typeof Token.Type

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

const currentOf = (tokens: ReadonlyArray<Token>): Token | undefined => {
  const lastUse = (token: Token) => token.lastUsedAt ?? 0
  const usable = tokens.filter((token) => token.usable)
  if (usable.length === 0) return tokens.toSorted((a, b) => lastUse(b) - lastUse(a))[0]
  return usable.toSorted((a, b) => priorityOf[a.kind] - priorityOf[b.kind] || lastUse(a) - lastUse(b))[0]
}

const quotaStatusOf = ({ state, predicted }: Token) => {
  if (state._tag === "exhausted" || predicted.level === "EXHAUSTED") return "exhausted"
  if (predicted.confidence === 0) return "unknown"
  return predicted.level === "LOW" || predicted.level === "CRITICAL" ? "low" : "available"
}

const recommend = (current: Token | undefined, wait: number) => {
  if (current?.usable === true) {
    return { action: "keep_current", reason: `token ${current.name} is usable`, priority: "low" } as const
  }
  return wait === 0
    ? ({
        action: "request_anonymous",
        reason: "no token is usable and the budget allows one",
        priority: "high"
      } as const)
    : ({
        action: "wait",
        reason: `no token is usable and the budget allows none for ${Math.ceil(wait / 1000)} s`,
        priority: "medium"
      } as const)
}
