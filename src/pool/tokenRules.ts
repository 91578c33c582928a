/** The pure rule by which all that happens to a token moves it from state to state. */
import type { Fold } from "../store/Replicas.ts"
import * as Backoff from "./backoff.ts"
import { isFree, withoutClaim } from "./claim.ts"
import { checkClaimed, checked, checkReleased } from "./checkRules.ts"
import { active, defaultRules, exhausted, moved, reported, type Rules, unscathed } from "./outcomeRules.ts"
import { isSpent } from "./retirement.ts"
import { isBarred, standingOf, stateAt } from "./tokenState.ts"
import type { TokenEvent, TokenRecord, TokenState } from "./tokenState.ts"

/** An event about a token that is not there changes nothing: it may have been removed by another process. */
export const foldWith =
  (rules: Rules): Fold<TokenRecord, TokenEvent> =>
  (stored, now, event) => {
    if (stored === undefined) return event._tag === "Added" ? newRecord(event, now) : undefined
    const record = normalised(stored, now)
    const next = happened(record, now, event, rules)
    return next && dated(record, next, now)
  }

export const fold: Fold<TokenRecord, TokenEvent> = foldWith(defaultRules)

const happened = (record: TokenRecord, now: number, event: TokenEvent, rules: Rules): TokenRecord | undefined => {
  switch (event._tag) {
    case "Added":
      return added(record, event)
    case "Reported":
      return reported(record, now, event, rules)
    case "CheckClaimed":
      return checkClaimed(record, now, event)
    case "CheckReleased":
      return checkReleased(record, event.by)
    case "Checked":
      return checked(record, now, event, rules)
    case "ProbeClaimed":
      return isFree(record.probe, event.claim.by, now) && standingOf(record.state, now) === "due"
        ? { ...record, probe: event.claim }
        : record
    case "ProbeReleased":
      return withoutClaim(record, "probe", event.by)
    case "RenewalClaimed":
      return event.generation === record.generation &&
        isFree(record.renewal, event.claim.by, now) &&
        !isBarred(record, now)
        ? { ...record, renewal: event.claim }
        : record
    case "Renewed":
      // A person has put another secret in its place meanwhile.
      return event.generation < record.generation ? record : renewed(record, event.secrets)
    case "RenewalReleased":
      return withoutClaim(record, "renewal", event.by)
    case "RenewalFailed":
      return renewalFailed(record, now, event)
    case "Died":
      return event.generation < record.generation ? record : moved(record, { _tag: "dead", why: event.why })
    case "QuotaNoted":
      return quotaNoted(record, now, event.report)
    case "PenaltyUndone":
      return penaltyUndone(record, event)
    case "Disabled":
      return moved(record, { _tag: "disabled", why: event.why })
    case "Enabled":
      return restored(record)
    case "Reset":
      return reset(record)
    case "Removed":
      return undefined
    case "Retired":
      return isSpent(record, now) ? undefined : record
  }
}

const newRecord = (event: TokenEvent & { _tag: "Added" }, now: number): TokenRecord => ({
  id: event.id,
  provider: event.provider,
  name: event.name,
  kind: event.kind,
  createdAt: now,
  ...(event.acquired ? { acquired: true } : {}),
  ...event.secrets,
  generation: 0,
  state: active,
  served: 0,
  succeeded: 0,
  failed: 0,
  consecutiveFailures: 0,
  window: [],
  relapses: unscathed
})

/** What was stated to end has ended. */
const normalised = (record: TokenRecord, now: number): TokenRecord => {
  const state = stateAt(record.state, now)
  return state === record.state ? record : { ...record, state }
}

/** Keeps since when the token has been out of use, whatever other trouble is added to the first. */
const dated = (record: TokenRecord, next: TokenRecord, now: number): TokenRecord => {
  if (next.state._tag === "active") {
    if (next.outSince === undefined) return next
    const { outSince: _, ...rest } = next
    return rest
  }
  const outSince = record.state._tag === "active" ? now : (record.outSince ?? now)
  return next.outSince === outSince ? next : { ...next, outSince }
}

/** Another token that happens to have this id is left as it is. What a person adds is a person's from then on. */
const added = (record: TokenRecord, event: TokenEvent & { _tag: "Added" }): TokenRecord => {
  if (record.provider !== event.provider || record.name !== event.name) return record
  const { acquired, ...others } = record
  const kept = { ...others, kind: event.kind, ...(acquired && event.acquired ? { acquired } : {}) }
  if (event.secrets === undefined) return kept
  const { refresh: _r, access: _a, origin: _o, renewal: _n, renewalHold: _h, ...rest } = kept
  return {
    ...rest,
    ...event.secrets,
    generation: record.generation + 1,
    // A new secret is what the person had to bring.
    state: record.state._tag === "dead" ? active : record.state
  }
}

const renewed = (record: TokenRecord, secrets: (TokenEvent & { _tag: "Renewed" })["secrets"]): TokenRecord => {
  const { renewal: _n, renewalHold: _h, ...rest } = record
  return { ...rest, ...secrets, generation: record.generation + 1 }
}

const renewalFailed = (
  record: TokenRecord,
  now: number,
  event: TokenEvent & { _tag: "RenewalFailed" }
): TokenRecord => {
  const failures = (record.renewalHold?.failures ?? 0) + 1
  const until =
    event.retryAfterMs === undefined
      ? now + Backoff.gap(Backoff.renewal, failures - 1)
      : Backoff.statedEnd(now, now + event.retryAfterMs).until
  const renewalHold = { failures, until: Math.max(until, record.renewalHold?.until ?? 0) }
  return { ...withoutClaim(record, "renewal", event.by), renewalHold }
}

const quotaNoted = (
  record: TokenRecord,
  now: number,
  report: (TokenEvent & { _tag: "QuotaNoted" })["report"]
): TokenRecord => {
  const { resetAt } = report
  const quota = {
    limit: report.limit,
    used: report.used,
    unlimited: report.unlimited,
    ...(resetAt === undefined ? {} : { resetAt }),
    at: now
  }
  const noted = { ...record, quota }
  const { state } = record
  const guessed = state._tag === "exhausted" && state.source === "guessed"
  if (report.unlimited || report.used < report.limit) {
    // Credits are not calls: a token that was refused again after such an answer is not believed to have any.
    return guessed && record.relapses.quota <= 1 ? { ...noted, state: active } : noted
  }
  if (resetAt === undefined || resetAt <= now) {
    return exhausted(noted, now, undefined, standingOf(state, now) === "ready")
  }
  const stated: TokenState = { _tag: "exhausted", until: resetAt, source: "stated" }
  return guessed ? { ...noted, state: stated } : moved(noted, stated)
}

/** The limit was not the token's: as if those 429s had not been. */
const penaltyUndone = (record: TokenRecord, event: TokenEvent & { _tag: "PenaltyUndone" }): TokenRecord => {
  const { throttle, ...rest } = record
  if (throttle === undefined || throttle.signature !== event.signature || throttle.at < event.since) return record
  return {
    ...rest,
    state: throttle.before.state,
    relapses: throttle.before.relapses,
    failed: Math.max(0, record.failed - throttle.count),
    consecutiveFailures: Math.max(0, record.consecutiveFailures - throttle.count),
    window: record.window.filter((entry) => entry.ok || entry.at !== throttle.since)
  }
}

const restored = (record: TokenRecord): TokenRecord => {
  const { throttle: _t, probe: _p, renewalHold: _h, ...rest } = record
  return { ...rest, state: active, consecutiveFailures: 0, window: [], relapses: unscathed }
}

const reset = (record: TokenRecord): TokenRecord => {
  const { lastFailure: _f, lastCheck: _c, quota: _q, ...rest } = restored(record)
  return { ...rest, served: 0, succeeded: 0, failed: 0 }
}
