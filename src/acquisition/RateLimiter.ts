/** The acquisition budget: how often an upstream may be asked for a new token, whatever restarts and however many ask. */
import { Clock, Context, Duration, Effect, Layer, Metric, Schema } from "effect"
import { fromZero } from "../domain/zero.ts"
import { Store, type StoreUnavailable } from "../store/Store.ts"
import type { Sealed } from "../store/Vault.ts"
import { budgetOf, type Limits, limitsOf, type LimitsInvalid, type RateLimiterOptions } from "./budget.ts"
import { normalise } from "./errorText.ts"
import * as ledger from "./ledger.ts"
import * as Ledgers from "./ledgers.ts"

export { type Limits, LimitsInvalid, type Preset, presets, type RateLimiterOptions } from "./budget.ts"
export type { Rule } from "./ledger.ts"

/** The budget does not allow an attempt now. At `retryAfter` from now it does; one millisecond before, it does not. */
export class AcquisitionLimited extends Schema.TaggedError<AcquisitionLimited>()("AcquisitionLimited", {
  provider: Schema.String,
  rule: Schema.Literals(["hourly", "daily", "interval", "backoff"]),
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return `the ${this.rule} limit allows no new token of ${this.provider} for ${Duration.format(this.retryAfter)}`
  }
}

export interface Verdict {
  readonly allowed: boolean
  /** The rule that holds longest, when denied. */
  readonly rule: ledger.Rule | undefined
  readonly retryAfter: Duration.Duration
}

/** A place in the budget that has been spent. */
export interface Reservation {
  readonly id: string
  readonly provider: string
  readonly at: number
}

/** An attempt that was left between what the upstream gave and the stored token. */
export interface Unfinished {
  readonly reservation: Reservation
  readonly sealed: Sealed
  /** Whether nobody has taken it over before, and whether nobody can after this. */
  readonly isFirst: boolean
  readonly isLast: boolean
}

export class RateLimiter extends Context.Service<
  RateLimiter,
  {
    /** Looks without taking. Never waits. What it says may be outdated at once when others share the ledger. */
    check(provider: string): Effect.Effect<Verdict, StoreUnavailable>
    /**
     * Takes a place in the budget in one atomic, durable step, before the upstream is called. Never waits for a place.
     * It is not given back: not by interruption, crash or failure, since the upstream may have been asked. Shared by all
     * processes on one store; survives restarts.
     */
    reserve(provider: string, why: string): Effect.Effect<Reservation, AcquisitionLimited | StoreUnavailable>
    /** The attempt gave a token: clears the failures in a row. */
    succeeded(reservation: Reservation): Effect.Effect<void, StoreUnavailable>
    /**
     * The attempt failed: raises the backoff, to `retryAfter` at least. When the store fails, this process keeps to it all
     * the same, and stores it as soon as it can.
     */
    failed(
      reservation: Reservation,
      failure: {
        readonly type: string
        readonly retryAfter?: Duration.Duration | undefined
        /** What is held may still become a token. */
        readonly unfinished?: boolean | undefined
      }
    ): Effect.Effect<void, StoreUnavailable>
    /** Keeps what the upstream gave until the attempt ends, so that a crash does not lose the user it has made. */
    hold(reservation: Reservation, sealed: Sealed): Effect.Effect<void, StoreUnavailable>
    /**
     * The newest attempt of the last hour that was left unfinished and that nobody holds. It is the caller's alone for 90
     * seconds, and twice as long each time it is taken over again, at most 15 minutes. Look at `statistics` first.
     */
    takeOver(provider: string): Effect.Effect<Unfinished | undefined, StoreUnavailable>
    statistics(provider: string): Effect.Effect<LimiterStatistics, StoreUnavailable>
  }
>()("weirgate/acquisition/RateLimiter") {
  static readonly layerWith = (options: RateLimiterOptions = {}): Layer.Layer<RateLimiter, LimitsInvalid, Store> =>
    Layer.effect(
      RateLimiter,
      Effect.suspend(() => make(options))
    )

  /** With the `strict` preset. */
  static readonly layer: Layer.Layer<RateLimiter, never, Store> = Layer.orDie(RateLimiter.layerWith())
}

export interface LimiterStatistics {
  readonly limits: Limits
  readonly totalAttempts: number
  readonly succeeded: number
  readonly failed: number
  readonly hourly: number
  readonly daily: number
  readonly consecutiveFailures: number
  readonly failureTypes: Readonly<Record<string, number>>
  readonly lastAttemptAt: number | undefined
  readonly lastSucceededAt: number | undefined
  readonly lastFailedAt: number | undefined
  readonly lastFailureType: string | undefined
  /** Epoch ms until which failures forbid an attempt; not in the future when they do not. */
  readonly blockedUntil: number
  /** Epoch ms at which the next attempt is allowed; not in the future when one is allowed now. */
  readonly nextAllowedAt: number
  /** The rule that holds until then. */
  readonly limitedBy: ledger.Rule
  /** Whether an attempt was left unfinished that can be taken over now. */
  readonly hasUnfinished: boolean
  /** Epoch ms at which the first of the unfinished attempts can be taken over, if there are any. */
  readonly finishableAt: number | undefined
}

const make = Effect.fnUntraced(function* (options: RateLimiterOptions) {
  const limits = limitsOf(options)
  const budget = yield* Effect.fromResult(budgetOf(limits))

  const { read, settle, update } = Ledgers.make(yield* Store)
  yield* fromZero([...Object.values(denials), ...Ledgers.counters])

  return RateLimiter.of({
    check: Effect.fn("RateLimiter.check")(function* (provider) {
      const { rule, opensAt } = ledger.gate(yield* read(provider), budget)
      const wait = Math.max(opensAt - (yield* Clock.currentTimeMillis), 0)
      return { allowed: wait === 0, rule: wait === 0 ? undefined : rule, retryAfter: Duration.millis(wait) }
    }),
    reserve: Effect.fn("RateLimiter.reserve")(function* (provider, why) {
      const result = yield* update(provider, (current, now) => {
        const [taken, gate, next] = ledger.reserve(current, budget, now, normalise(why))
        return [{ taken, gate, now }, next]
      })
      if (result.taken === undefined) {
        const { rule, opensAt } = result.gate
        yield* Metric.update(denials[rule], 1)
        return yield* new AcquisitionLimited({ provider, rule, retryAfter: Duration.millis(opensAt - result.now) })
      }
      const { id, at } = result.taken
      yield* Effect.logInfo("a place in the budget is spent").pipe(annotated(provider, id))
      return { id, provider, at }
    }),
    succeeded: Effect.fn("RateLimiter.succeeded")(function* (reservation) {
      const now = yield* Clock.currentTimeMillis
      yield* settle(reservation.provider, reservation.id, (current) => ledger.succeed(current, reservation.id, now))
    }),
    failed: Effect.fn("RateLimiter.failed")(function* (reservation, { type, retryAfter, unfinished }) {
      const now = yield* Clock.currentTimeMillis
      const failure = { type, unfinished, retryAfter: retryAfter && Duration.toMillis(retryAfter) }
      yield* settle(reservation.provider, reservation.id, (current) =>
        ledger.fail(current, budget, reservation.id, now, failure)
      )
      yield* Effect.logWarning(`the attempt failed (${type})`).pipe(annotated(reservation.provider, reservation.id))
    }),
    hold: Effect.fn("RateLimiter.hold")(function* ({ provider, id }, sealed) {
      yield* update(provider, (current, now) => [undefined, ledger.hold(current, id, sealed, now)])
    }),
    takeOver: Effect.fn("RateLimiter.takeOver")(function* (provider) {
      const left = yield* update(provider, ledger.takeOver)
      if (left === undefined) return undefined
      const { attempt, ...rest } = left
      return { ...rest, reservation: { id: attempt.id, provider, at: attempt.at } }
    }),
    statistics: Effect.fn("RateLimiter.statistics")(function* (provider) {
      const kept = yield* read(provider)
      const now = yield* Clock.currentTimeMillis
      const { opensAt, rule } = ledger.gate(kept, budget)
      return {
        limits,
        totalAttempts: kept.total,
        succeeded: kept.succeeded,
        failed: kept.failed,
        hourly: ledger.countSince(kept, now - ledger.hour),
        daily: ledger.countSince(kept, now - ledger.day),
        consecutiveFailures: kept.consecutiveFailures,
        failureTypes: kept.failureTypes,
        lastAttemptAt: kept.attempts.at(-1)?.at,
        lastSucceededAt: kept.lastSucceededAt,
        lastFailedAt: kept.lastFailure?.at,
        lastFailureType: kept.lastFailure?.type,
        blockedUntil: kept.blockedUntil,
        nextAllowedAt: Math.max(opensAt, 0),
        limitedBy: rule,
        hasUnfinished: ledger.hasLeft(kept, now),
        finishableAt: ledger.finishableAt(kept, now)
      }
    })
  })
})

const annotated = (provider: string, attempt: string) =>
  Effect.annotateLogs({ service: "RateLimiter", provider, attempt })

const denialsTotal = Metric.counter("weirgate_acquisition_limited_total", {
  description: "Places in the acquisition budget that were refused, by rule",
  incremental: true
})
const denials: Readonly<Record<ledger.Rule, typeof denialsTotal>> = {
  hourly: Metric.withAttributes(denialsTotal, { rule: "hourly" }),
  daily: Metric.withAttributes(denialsTotal, { rule: "daily" }),
  interval: Metric.withAttributes(denialsTotal, { rule: "interval" }),
  backoff: Metric.withAttributes(denialsTotal, { rule: "backoff" })
}
