/** How often an upstream may be asked for a token: the presets, and the check that a set of numbers is one. */
import { Duration, Result, Schema } from "effect"

export interface Limits {
  /** Attempts in any sliding hour. */
  readonly hourly: number
  /** Attempts in any sliding day. */
  readonly daily: number
  /** Least time between two attempts. */
  readonly interval: Duration.Input
  /** After the nth failure in a row: `base·2ⁿ⁻¹`, at most `max`. */
  readonly backoff: { readonly base: Duration.Input; readonly max: Duration.Input }
}

export type Preset = "strict" | "production" | "standard"

export const presets: Readonly<Record<Preset, Limits>> = {
  strict: { hourly: 3, daily: 20, interval: "300 seconds", backoff: { base: "600 seconds", max: "3600 seconds" } },
  production: { hourly: 5, daily: 20, interval: "300 seconds", backoff: { base: "600 seconds", max: "3600 seconds" } },
  standard: { hourly: 10, daily: 50, interval: "60 seconds", backoff: { base: "300 seconds", max: "4800 seconds" } }
}

/** A preset (default `strict`) and what differs from it. */
export interface RateLimiterOptions {
  readonly preset?: Preset
  readonly hourly?: number
  readonly daily?: number
  readonly interval?: Duration.Input
  readonly backoff?: { readonly base?: Duration.Input; readonly max?: Duration.Input }
}

/** A number of the budget makes no sense. */
export class LimitsInvalid extends Schema.TaggedError<LimitsInvalid>()("LimitsInvalid", {
  field: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `acquisition limit "${this.field}" ${this.reason}`
  }
}

/** Limits that have been checked, in whole milliseconds. */
export interface Budget {
  readonly hourly: number
  readonly daily: number
  readonly interval: number
  readonly base: number
  readonly max: number
}

export const limitsOf = (options: RateLimiterOptions): Limits => {
  const { preset = "strict", backoff, ...rest } = options
  const from = presets[preset]
  return { ...from, ...rest, backoff: { ...from.backoff, ...backoff } }
}

export const budgetOf = (limits: Limits): Result.Result<Budget, LimitsInvalid> =>
  Result.gen(function* () {
    return {
      hourly: yield* count("hourly", limits.hourly),
      daily: yield* count("daily", limits.daily),
      interval: yield* time("interval", limits.interval),
      base: yield* time("backoff.base", limits.backoff.base),
      max: yield* time("backoff.max", limits.backoff.max)
    }
  })

/** The ledger keeps this many attempts at most, so no more can be counted. */
const mostCounted = 100_000

const count = (field: string, value: number) =>
  Number.isInteger(value) && value >= 1 && value <= mostCounted
    ? Result.succeed(value)
    : Result.fail(new LimitsInvalid({ field, reason: `must be a whole number from 1 to ${mostCounted}, not ${value}` }))

const time = (field: string, value: Duration.Input) => {
  const millis = Math.ceil(Duration.toMillis(value))
  return Number.isFinite(millis) && millis > 0
    ? Result.succeed(millis)
    : Result.fail(new LimitsInvalid({ field, reason: `must be a time above zero, not ${millis} ms` }))
}
