/** How the server does now and did in the last hour: reads each second what others count. */
import { Clock, Context, Effect, Layer, Schedule } from "effect"
import { type LimiterStatistics, RateLimiter } from "../acquisition/RateLimiter.ts"
import type { Overview as Shown } from "../contract/overview.ts"
import { warpProvider } from "../domain/Provider.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Gateway } from "../traffic/Gateway.ts"
import { Governor } from "../traffic/Governor.ts"
import { version } from "../version.ts"
import { type Counted, Exchanges, type Outcome, outcomes } from "./Exchanges.ts"
import * as History from "./history.ts"
import * as Latencies from "./latencies.ts"
import { standings } from "./shownToken.ts"

export class Overview extends Context.Service<
  Overview,
  {
    /**
     * Reads every service once; waits for the store only, and tells all but the budget when that is away. The history is this
     * process's own, in some 35 KB of memory, and begins anew with it.
     * @param steps of the history, newest last; all of it unless told otherwise
     */
    read(steps?: number): Effect.Effect<Shown>
  }
>()("weirgate/overview/Overview") {
  static readonly layer: Layer.Layer<Overview, never, Exchanges | Gateway | Governor | RateLimiter | TokenPool> =
    Layer.effect(
      Overview,
      Effect.suspend(() => make)
    )
}

const minute = 60_000
const second = 1_000
/** The budget is the store's, and asked for less often. */
const secondsBetweenBudgets = 5

/** What stood at an instant. */
interface Sample {
  readonly at: number
  readonly ended: Readonly<Record<Outcome, number>>
  readonly throttled: number
  readonly latencies: Latencies.Counts
}

const make = Effect.gen(function* () {
  const { counted } = yield* Exchanges
  const gateway = yield* Gateway
  const governor = yield* Governor
  const limiter = yield* RateLimiter
  const pool = yield* TokenPool
  const startedAt = yield* Clock.currentTimeMillis
  const history = new History.History()
  // One a second, of the last minute and one more: some 45 KB.
  let samples: ReadonlyArray<Sample> = []
  let acquisitions: number | undefined

  const budget = Effect.orElseSucceed(limiter.statistics(warpProvider), () => undefined)

  const sampled = Effect.fnUntraced(function* (at: number) {
    const { throttled } = yield* gateway.statistics
    return { at, ended: { ...counted.ended }, throttled, latencies: counted.latencies.slice() }
  })

  let n = 0
  const tick = Effect.gen(function* () {
    if (n++ % secondsBetweenBudgets === 0) acquisitions = (yield* budget)?.totalAttempts ?? acquisitions
    const at = yield* Clock.currentTimeMillis
    const sample = yield* sampled(at)
    samples = [...samples.filter((old) => old.at <= at && old.at >= at - minute), sample]
    const { waiting } = yield* governor.statistics
    // Until the budget has been read once there is nothing to start from.
    if (acquisitions === undefined) return
    history.record(at, { ...totalsOf(sample), acquisitions, waiting })
  })
  yield* tick
  yield* Effect.forkScoped(Effect.schedule(tick, Schedule.spaced(second)))

  return Overview.of({
    read: Effect.fnUntraced(function* (steps) {
      const at = yield* Clock.currentTimeMillis
      const now = yield* sampled(at)
      const before = samples.find((old) => old.at >= at - minute) ?? now
      const { inUse, oldestSince, waiting } = yield* governor.statistics
      const statistics = yield* budget
      return {
        at,
        version,
        started_at: startedAt,
        uptime: at - startedAt,
        requests: requestsOf(counted, now, before),
        queue: {
          waiting,
          oldest_wait: oldestSince === undefined ? null : Math.max(0, at - oldestSince),
          in_use: inUse
        },
        upstream_throttled: { last_minute: now.throttled - before.throttled, total: now.throttled },
        acquisitions: statistics === undefined ? null : acquisitionsOf(statistics, at),
        tokens: standings(yield* pool.list()),
        history: { step: History.step, ...history.columns(steps) }
      }
    })
  })
})

const totalsOf = ({ ended, throttled }: Sample) => ({
  requests: outcomes.reduce((sum, outcome) => sum + ended[outcome], 0),
  failures: ended.limited + ended.failed,
  throttled
})

const requestsOf = ({ streaming, underWay }: Counted, now: Sample, before: Sample): Shown["requests"] => {
  // Also right after the start a rate is of a second at least.
  const seconds = Math.max(second, now.at - before.at) / second
  const rate = (outcome: Outcome) => (now.ended[outcome] - before.ended[outcome]) / seconds
  const latencies = Latencies.since(now.latencies, before.latencies)
  const quantile = (q: number) => Latencies.quantile(latencies, q) ?? 0
  const count = Latencies.total(latencies)
  return {
    per_second: {
      served: rate("served"),
      limited: rate("limited"),
      refused: rate("refused"),
      failed: rate("failed"),
      left: rate("left")
    },
    total: now.ended,
    under_way: underWay,
    streaming,
    latency:
      count === 0 ? null : { count, p50: quantile(0.5), p90: quantile(0.9), p95: quantile(0.95), p99: quantile(0.99) }
  }
}

const acquisitionsOf = (statistics: LimiterStatistics, now: number): Shown["acquisitions"] => {
  const { consecutiveFailures, daily, hourly, limitedBy, limits, nextAllowedAt, totalAttempts } = statistics
  const isLimited = nextAllowedAt > now
  return {
    provider: warpProvider,
    hour: { used: hourly, limit: limits.hourly },
    day: { used: daily, limit: limits.daily },
    total: totalAttempts,
    consecutive_failures: consecutiveFailures,
    next_allowed_at: isLimited ? nextAllowedAt : null,
    limited_by: isLimited ? limitedBy : null
  }
}
