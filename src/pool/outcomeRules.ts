/** What the end of a call does to its token: D2's and D4's outcome table, as a pure rule. */
import * as Backoff from "./backoff.ts"
import { withoutClaim } from "./claim.ts"
import { type Outcome, type Standing, standingOf } from "./tokenState.ts"
import type { TokenEvent, TokenRecord, TokenState } from "./tokenState.ts"

/** The share of errors is taken over so many outcomes of so long. */
const windowSize = 20
const windowLength = 60 * 60 * 1_000
/** Disabled for a while with more errors than this and less than half of the outcomes successes (D4). */
const toleratedErrors = 5

export const active: TokenState = { _tag: "active" }
export const unscathed: TokenRecord["relapses"] = { quota: 0, trouble: 0, unreliable: 0 }

/** What may be set about the rules. */
export interface Rules {
  /** How long a token with too many errors is left alone before it is asked again. */
  readonly disableFor: Backoff.Backoff
}

export const defaultRules: Rules = { disableFor: Backoff.unreliable }

/** In which circumstances an error of the token came to be known. */
export interface Circumstances {
  readonly now: number
  /** It says something of the state that the token is in. */
  readonly fresh: boolean
  readonly standing: Standing
  /** Whether it counts for the share of errors. */
  readonly counts: boolean
  readonly rules: Rules
}

/** What the end of a call makes of the token. */
export const reported = (
  record: TokenRecord,
  now: number,
  event: TokenEvent & { _tag: "Reported" },
  rules: Rules
): TokenRecord => {
  const { outcome } = event
  const probe = event.probe !== undefined
  if (outcome._tag === "Succeeded")
    return succeeded(withoutClaim(record, "probe", event.probe), now, event.times ?? 1, probe)
  const used = { ...withoutClaim(record, "probe", event.probe), lastUsedAt: Math.max(now, record.lastUsedAt ?? 0) }
  const standing = standingOf(record.state, now)
  // A failure of a call lent before the token was taken out of use is the same trouble once more: it may put the end
  // off, but it makes nothing worse.
  const fresh = isFresh(standing, probe)
  const circumstances = { now, fresh, standing, counts: true, rules }
  switch (outcome._tag) {
    case "UpstreamFault":
    case "Abandoned":
      return used
    case "CallerFault":
      return { ...used, served: used.served + 1 }
    case "QuotaExhausted":
      return exhausted(failed(used, now, event), now, outcome.resetAt, fresh)
    case "RefreshRejected":
      return event.generation < record.generation
        ? used
        : moved(failed(used, now, event), { _tag: "dead", why: `renewal refused: ${outcome.code}` })
    case "Blocked":
      return moved(failed(used, now, event), { _tag: "dead", why: `blocked: ${outcome.reason}` })
    case "Throttled":
      return throttled(failed(used, now, event), outcome, circumstances)
    case "AccessRejected":
      // It says nothing of the secret that has been put in its place.
      return event.generation < record.generation ? used : accessRejected(failed(used, now, event), circumstances)
    case "Failed":
      // One that is half open is disabled again, for a gap of its own.
      return fell(
        failed(used, now, event),
        circumstances,
        standing === "due" && record.state._tag !== "disabled" ? "failed again" : undefined
      )
  }
}

/** The state stays as it is, or becomes better: what is lost by a crash is found out again. */
export const isHarmless = ({ _tag }: Outcome): boolean =>
  _tag === "Succeeded" || _tag === "UpstreamFault" || _tag === "CallerFault" || _tag === "Abandoned"

/** Of an event that moves numbers only, and may be lost rather than fill the memory while the store is away. */
export const isStatistic = (event: TokenEvent): boolean =>
  event._tag === "Reported" && event.probe === undefined && isHarmless(event.outcome)

/** Several successes of calls with the same secret that nothing came between, as one. */
export const merged = (earlier: TokenEvent, later: TokenEvent): TokenEvent | undefined =>
  isPlainSuccess(earlier) && isPlainSuccess(later) && earlier.generation === later.generation
    ? { ...later, times: (earlier.times ?? 1) + (later.times ?? 1) }
    : undefined

const isPlainSuccess = (event: TokenEvent): event is TokenEvent & { _tag: "Reported" } =>
  event._tag === "Reported" && event.probe === undefined && event.outcome._tag === "Succeeded"

export const isFresh = (standing: Standing, isProbe: boolean) => standing === "ready" || (isProbe && standing === "due")

/** Why a token cools that was asked for too much. */
export const throttledWord = "throttled"

/** What nearly every call ends with, so it is one copy. */
const succeeded = (record: TokenRecord, now: number, times: number, isProbe: boolean): TokenRecord => {
  // A call lent before the trouble began proves nothing about the time after it.
  const fresh = isFresh(standingOf(record.state, now), isProbe)
  const { window } = record
  const counted = {
    ...record,
    lastUsedAt: Math.max(now, record.lastUsedAt ?? 0),
    served: record.served + times,
    succeeded: record.succeeded + times,
    consecutiveFailures: 0,
    state: fresh ? active : record.state,
    relapses: fresh ? unscathed : record.relapses,
    window: fresh ? slide(record.state._tag === "disabled" ? [] : window, now, true, times) : window
  }
  if (!fresh || record.throttle === undefined) return counted
  const { throttle: _, ...rest } = counted
  return rest
}

const failed = (
  record: TokenRecord,
  now: number,
  { detail, outcome }: TokenEvent & { _tag: "Reported" }
): TokenRecord => ({
  ...record,
  served: record.served + 1,
  failed: record.failed + 1,
  consecutiveFailures: record.consecutiveFailures + 1,
  lastFailure: { at: now, outcome: outcome._tag, ...(detail === undefined ? {} : { detail }) }
})

export const exhausted = (
  record: TokenRecord,
  now: number,
  resetAt: number | undefined,
  fresh: boolean
): TokenRecord => {
  const answered = record.quota?.resetAt ?? 0
  if (resetAt !== undefined && resetAt > now) {
    // What a failed call says is believed for a bounded time, the upstream's answer to our question to the end.
    const end = resetAt <= answered ? { until: resetAt, source: "stated" as const } : Backoff.statedEnd(now, resetAt)
    return moved(record, { _tag: "exhausted", ...end })
  }
  if (answered > now) return moved(record, { _tag: "exhausted", until: answered, source: "stated" })
  const [until, quota] = guess(Backoff.quotaProbe, record.relapses.quota, now, fresh)
  return moved({ ...record, relapses: { ...record.relapses, quota } }, { _tag: "exhausted", until, source: "guessed" })
}

export const throttled = (
  record: TokenRecord,
  outcome: Outcome & { _tag: "Throttled" },
  circumstances: Circumstances
): TokenRecord => {
  const { fresh, now } = circumstances
  // That we asked too much says nothing of how reliable it is.
  const uncounted = { ...circumstances, counts: false }
  // "At once" would be asked again at once, for ever.
  const { retryAfterMs = 0 } = outcome
  const stated = retryAfterMs > 0 ? Backoff.statedEnd(now, now + retryAfterMs) : undefined
  const known = fresh || record.throttle?.signature !== outcome.signature ? undefined : record.throttle
  const until = Math.max(known?.until ?? 0, stated?.until ?? 0)
  const throttle = {
    since: known?.since ?? now,
    at: now,
    count: (known?.count ?? 0) + 1,
    signature: outcome.signature,
    ...(until > 0 ? { until } : {}),
    before: known?.before ?? { state: record.state, relapses: record.relapses }
  }
  if (stated === undefined) return { ...fell(record, uncounted, throttledWord), throttle }
  const cooling: TokenState = { _tag: "cooling", why: throttledWord, ...stated }
  return { ...fell(moved(record, cooling), uncounted, undefined), throttle }
}

export const accessRejected = (record: TokenRecord, circumstances: Circumstances): TokenRecord => {
  const cooled = fell(record, circumstances, "access rejected")
  if (record.refresh === undefined) return cooled
  // The next to borrow it renews first.
  const { access: _, ...rest } = cooled
  return rest
}

/** An error of the token: cools it on a guess, if `why` is given, and disables it when its errors are too many. */
const fell = (
  record: TokenRecord,
  { counts, fresh, now, rules, standing }: Circumstances,
  why: string | undefined
): TokenRecord => {
  const window = fresh && counts ? slide(record.window, now, false) : record.window
  let next: TokenRecord = { ...record, window }
  if (why !== undefined) {
    const [until, trouble] = guess(Backoff.trouble, next.relapses.trouble, now, fresh)
    next = { ...next, relapses: { ...next.relapses, trouble } }
    next = moved(next, { _tag: "cooling", until, why, source: "guessed" })
  }
  const halfOpen = record.state._tag === "disabled" && standing === "due"
  return fresh && (halfOpen || (counts && tooManyErrors(window))) ? disabledAgain(next, now, rules) : next
}

/** Left alone for the next gap. */
export const disabledAgain = (record: TokenRecord, now: number, { disableFor }: Rules): TokenRecord => {
  const [until, unreliable] = guess(disableFor, record.relapses.unreliable, now, true)
  return moved(
    { ...record, relapses: { ...record.relapses, unreliable } },
    { _tag: "disabled", why: "too many errors", until }
  )
}

const guess = (
  backoff: Backoff.Backoff,
  relapses: number,
  now: number,
  fresh: boolean
): [until: number, relapses: number] =>
  fresh ? [now + Backoff.gap(backoff, relapses), relapses + 1] : [now + Backoff.gap(backoff, relapses - 1), relapses]

const slide = (window: TokenRecord["window"], now: number, ok: boolean, times = 1): TokenRecord["window"] => {
  const first = window[0]
  const isRecent = (entry: { readonly at: number }) => now - entry.at < windowLength
  // In the order of time: nearly always none of them has become too old.
  const recent = first === undefined || isRecent(first) ? window : window.filter(isRecent)
  const added = Math.min(times, windowSize)
  const next = recent.slice(Math.max(0, recent.length + added - windowSize))
  for (let i = 0; i < added; i++) next.push({ at: now, ok })
  return next
}

const tooManyErrors = (window: TokenRecord["window"]) => {
  const errors = window.filter((entry) => !entry.ok).length
  return errors > toleratedErrors && errors * 2 > window.length
}

/** Moves to a state out of use, or further into one: the graver state, the later end. */
export const moved = (record: TokenRecord, to: TokenState): TokenRecord => {
  const { throttle: _, ...rest } = record
  return { ...rest, state: graver(record.state, to) }
}

const gravity = (state: TokenState): number => {
  switch (state._tag) {
    case "active":
      return 0
    case "cooling":
      return 1
    case "disabled":
      return state.until === undefined ? 4 : 2
    case "exhausted":
      return 3
    case "dead":
      return 5
  }
}

const graver = (a: TokenState, b: TokenState): TokenState => {
  const base = gravity(b) >= gravity(a) ? b : a
  if (base._tag === "active" || base._tag === "dead" || base.until === undefined) return base
  const later = endOf(b) >= endOf(a) ? b : a
  const until = endOf(later)
  if (base._tag === "disabled") return { ...base, until }
  return { ...base, until, source: "source" in later ? later.source : "guessed" }
}

const endOf = (state: TokenState) => ("until" in state ? (state.until ?? 0) : 0)
