/** What `GET /v1/performance` answers with, under the key names that scripts written for the original servers read. */
import { Schema } from "effect"
import { Decision } from "../acquisition/Acquisition.ts"
import { levels } from "../domain/quotaLevel.ts"
import { TokenKind } from "../domain/Token.ts"
import { TokenState } from "../pool/tokenState.ts"

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

export const Token = Schema.Struct({
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
export type Token = typeof Token.Type

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
