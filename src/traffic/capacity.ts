/** What one provider can take on: places among its calls at work, in its minute, and in its minute of model tokens. */
import type { Limit, Limits } from "../domain/Provider.ts"
import * as Learning from "./limitLearning.ts"
import * as RateWindow from "../domain/rateWindow.ts"

/** What is learned of the limits nobody told us. */
export interface Lessons {
  readonly concurrency: Learning.Learned
  readonly rpm: Learning.Learned
}

export const noLessons: Lessons = {
  concurrency: Learning.begin(Learning.concurrency),
  rpm: Learning.begin(Learning.perMinute)
}

/** Calls that left in the second before `at` (epoch ms), as a restart finds them. */
export interface Past {
  readonly at: number
  readonly calls: number
  readonly tokens: number
}

/** A call's places, taken together. */
export interface Grant {
  readonly at: number
  readonly minute: RateWindow.Place
  readonly tokens: RateWindow.Place
}

/** When a call could begin: now, at a known time, or when another one has left or ended. */
export type Opening = { readonly at: number; readonly why: string } | { readonly at: undefined; readonly why: string }

export interface Capacity {
  readonly limits: () => Limits
  readonly lessons: () => Lessons
  readonly allowed: () => { readonly concurrency: number | "unlimited"; readonly rpm: number | "unlimited" }
  configure(limits: Limits): void
  opening(now: number, tokens: number): Opening
  /** When so many calls more will have fitted into its minutes, if no limit but the rate held them; now, when there is none. */
  afterCalls(now: number, calls: number): number
  take(now: number, tokens: number): Grant
  /** It leaves now. */
  sent(grant: Grant, now: number): void
  /** It went well; `tokens` is what it really took. True when something was learned. */
  served(grant: Grant, now: number, tokens: number | undefined): boolean
  /** It was one too many. True when something was learned. */
  throttled(grant: Grant, now: number): boolean
  /** It is over. `lingers`: it was broken off, and the upstream may count it a moment longer, until `gone`. */
  release(grant: Grant, now: number, lingers: boolean): void
  gone(): void
  /** Nothing opens while it is paused; what is under way goes on. */
  pause(isPaused: boolean): void
  readonly isPaused: () => boolean
  hold(until: number): void
  /** What it was held for has changed. */
  unhold(): void
  readonly heldUntil: () => number
  readonly inUse: () => number
  lastMinute(now: number): number
  /** Model tokens, as far as they are known or reckoned. */
  lastMinuteTokens(now: number): number
  /** How long a call is at work, on average, in milliseconds; 0 while nothing is known: nobody is refused on a guess. */
  readonly meanHold: () => number
}

/** From this share of a minute's limit on, a refusal may be of the minute. */
const nearlyFull = 0.8
/** What the newest call weighs in the average. */
const freshness = 0.1

const paused: Opening = { at: undefined, why: "paused" }

const numberOf = (limit: Limit, learned: Learning.Learned): number | undefined =>
  limit === "unlimited" ? undefined : limit === "unknown" ? Learning.allowed(learned) : limit

export const make = (first: Limits, remembered: Lessons, margin: number, past: ReadonlyArray<Past> = []): Capacity => {
  let limits = first
  let lessons = remembered
  let inUse = 0
  // Broken off, and perhaps still counted by the upstream.
  let lingering = 0
  let heldUntil = 0
  let isPaused = false
  let meanHold: number | undefined
  // When the limits were last reached: what is served of a flight that reached one says that it may be higher.
  let fullAt = Number.NEGATIVE_INFINITY
  let minuteFullAt = Number.NEGATIVE_INFINITY
  const minute = RateWindow.make(undefined, margin)
  const tokens = RateWindow.make(undefined, margin)
  for (const before of past) {
    minute.stamp(minute.take(before.calls), before.at)
    tokens.stamp(tokens.take(before.tokens), before.at)
  }

  const apply = () => {
    minute.limit = numberOf(limits.rpm, lessons.rpm)
    tokens.limit = limits.tpm === "unlimited" || limits.tpm === "unknown" ? undefined : limits.tpm
  }
  apply()
  const most = () => numberOf(limits.concurrency, lessons.concurrency)

  const learn = (next: Lessons): boolean => {
    if (next.concurrency === lessons.concurrency && next.rpm === lessons.rpm) return false
    lessons = next
    apply()
    return true
  }

  return {
    limits: () => limits,
    lessons: () => lessons,
    allowed: () => ({ concurrency: most() ?? "unlimited", rpm: minute.limit ?? "unlimited" }),
    configure: (next) => {
      limits = next
      apply()
    },
    opening: (now, weight) => {
      if (isPaused) return paused
      if (now < heldUntil) return { at: heldUntil, why: "none of its tokens can be used yet" }
      const most_ = most()
      const isFull = most_ !== undefined && inUse + lingering >= most_
      const byMinute = minute.earliest(now, 1)
      const byTokens = limits.tpm === "unlimited" ? now : tokens.earliest(now, weight)
      if (byMinute === undefined || byTokens === undefined) return { at: undefined, why: "its minute is full" }
      const at = Math.max(byMinute, byTokens)
      if (isFull) return { at: undefined, why: `${inUse} of ${most_} calls are at work` }
      return { at, why: at > now ? "its minute is full" : "" }
    },
    afterCalls: (now, calls) => {
      // Nobody is refused for a limit that has not shown yet.
      if (minute.limit === undefined || (limits.rpm === "unknown" && !lessons.rpm.wasRefused)) return now
      const rounds = Math.ceil(calls / minute.limit) - 1
      const rest = calls - rounds * minute.limit
      return (minute.earliest(now, rest) ?? now) + rounds * (60_000 + margin)
    },
    take: (now, weight) => {
      inUse++
      const grant = { at: now, minute: minute.take(1), tokens: tokens.take(weight) }
      if (inUse >= (most() ?? Number.POSITIVE_INFINITY)) fullAt = now
      if (minute.used(now) >= (minute.limit ?? Number.POSITIVE_INFINITY)) minuteFullAt = now
      return grant
    },
    sent: (grant, now) => {
      minute.stamp(grant.minute, now)
      tokens.stamp(grant.tokens, now)
    },
    served: (grant, now, real) => {
      if (real !== undefined) tokens.correct(grant.tokens, real)
      const { concurrency, rpm } = lessons
      return learn({
        concurrency:
          limits.concurrency === "unknown" && fullAt >= grant.at
            ? Learning.grown(concurrency, Learning.concurrency, now)
            : concurrency,
        rpm: limits.rpm === "unknown" && minuteFullAt >= grant.at ? Learning.grown(rpm, Learning.perMinute, now) : rpm
      })
    },
    throttled: (grant, now) => {
      const { concurrency, rpm } = lessons
      // Far from a full minute, it is the calls at work that were too many, where that is not known better.
      const isOfMinute = limits.concurrency !== "unknown" || minute.used(now) >= nearlyFull * Learning.allowed(rpm)
      return learn({
        concurrency: limits.concurrency === "unknown" ? Learning.halved(concurrency, grant.at, now) : concurrency,
        rpm: limits.rpm === "unknown" && isOfMinute ? Learning.halved(rpm, grant.at, now) : rpm
      })
    },
    release: (grant, now, lingers) => {
      inUse--
      if (lingers) lingering++
      minute.giveBack(grant.minute)
      tokens.giveBack(grant.tokens)
      // One that never left says nothing of how long they take.
      if (grant.minute.at === undefined) return
      const hold = Math.max(0, now - grant.at)
      meanHold = meanHold === undefined ? hold : meanHold + freshness * (hold - meanHold)
    },
    gone: () => {
      lingering--
    },
    pause: (next) => {
      isPaused = next
    },
    isPaused: () => isPaused,
    unhold: () => {
      heldUntil = 0
    },
    hold: (until) => {
      heldUntil = Math.max(heldUntil, until)
    },
    heldUntil: () => heldUntil,
    inUse: () => inUse,
    lastMinute: (now) => minute.used(now),
    lastMinuteTokens: (now) => tokens.used(now),
    meanHold: () => (limits.concurrency === "unknown" && !lessons.concurrency.wasRefused ? 0 : (meanHold ?? 0))
  }
}
