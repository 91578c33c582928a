/** How the server does, in figures: now, and over the last hour. */
import { Schema } from "effect"

const Count = Schema.Int
/** Epoch milliseconds. */
const Instant = Schema.Finite
const Milliseconds = Schema.Finite
const PerSecond = Schema.Finite

/** `limited` is 429, `refused` any other 4xx, `failed` a 5xx or a stream that broke; `left` are clients that did not wait. */
const byOutcome = <S extends Schema.Constraint>(each: S) =>
  Schema.Struct({ served: each, limited: each, refused: each, failed: each, left: each })

const Used = Schema.Struct({ used: Count, limit: Count })
const column = Schema.Array(Schema.NullOr(Schema.Finite))

export const History = Schema.Struct({
  /** In milliseconds; a step's numbers grow until it is over. */
  step: Milliseconds,
  /** When each step begins, oldest first; at most an hour of them, and none from before the process started. */
  at: Schema.Array(Instant),
  /** Requests for models that ended, in each step; null in one in which nothing was read. */
  requests: column,
  /** Of them: `limited` and `failed`. */
  failures: column,
  /** The most that were seen waiting in line. */
  waiting: column,
  /** Calls that an upstream answered with 429 or for want of quota. */
  throttled: column,
  /** Attempts to get a token, of all processes on the store. */
  acquisitions: column
}).annotate({ identifier: "History" })

export const Overview = Schema.Struct({
  at: Instant,
  version: Schema.String,
  started_at: Instant,
  uptime: Milliseconds,
  /** For models, in this process. */
  requests: Schema.Struct({
    /** Over the last minute, or since the start when that is less. */
    per_second: byOutcome(PerSecond),
    /** Since the start. */
    total: byOutcome(Count),
    under_way: Count,
    /** Answers that are being streamed. */
    streaming: Count,
    /** Of those answered in the last minute, until the answer began; to within 19 %. Null when there were none. */
    latency: Schema.NullOr(
      Schema.Struct({ count: Count, p50: Milliseconds, p90: Milliseconds, p95: Milliseconds, p99: Milliseconds })
    )
  }),
  queue: Schema.Struct({
    waiting: Count,
    oldest_wait: Schema.NullOr(Milliseconds),
    in_use: Count
  }),
  /** Calls that an upstream answered with 429 or for want of quota. */
  upstream_throttled: Schema.Struct({ last_minute: Count, total: Count }),
  /** Null while the store is away. */
  acquisitions: Schema.NullOr(
    Schema.Struct({
      provider: Schema.String,
      hour: Used,
      day: Used,
      total: Count,
      consecutive_failures: Count,
      /** Null when one is allowed now. */
      next_allowed_at: Schema.NullOr(Instant),
      /** The rule that holds until then. */
      limited_by: Schema.NullOr(Schema.String)
    })
  ),
  /** By name of the provider. */
  tokens: Schema.Array(
    Schema.Struct({
      provider: Schema.String,
      total: Count,
      usable: Count,
      /** How many leases are out. */
      leased: Count,
      active: Count,
      cooling: Count,
      exhausted: Count,
      disabled: Count,
      dead: Count
    })
  ),
  /** In `GET` and in the first event of a stream all of the last hour, in the events after it the newest two steps. */
  history: History
}).annotate({ identifier: "Overview" })
export type Overview = typeof Overview.Type
