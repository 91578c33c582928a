/**
 * What a check does to its token, as a pure rule. A check asks the upstream whether the token is good and spends nothing, so
 * it is no call: it counts in no statistics, and proves nothing about a quota or a limit.
 */
import { isFree, withoutClaim } from "./claim.ts"
import {
  accessRejected,
  active,
  disabledAgain,
  exhausted,
  isFresh,
  moved,
  type Rules,
  throttled,
  throttledWord
} from "./outcomeRules.ts"
import { standingOf, type TokenEvent, type TokenRecord, type TokenState } from "./tokenState.ts"

/** Only a person brings it back. */
export const needsPerson = (state: TokenState): boolean =>
  state._tag === "dead" || (state._tag === "disabled" && state.until === undefined)

/** Whether a check that goes well is enough to bring the token back, once its time is over. */
export const isProvable = (state: TokenState): boolean =>
  state._tag === "disabled" ? state.until !== undefined : state._tag === "cooling" && state.why !== throttledWord

/** The check of a token that it may bring back is its probe, and no other is let out meanwhile. */
export const checkClaimed = (
  record: TokenRecord,
  now: number,
  { claim, seen }: TokenEvent & { _tag: "CheckClaimed" }
): TokenRecord => {
  // A person's wish waits for nobody: two checks at once are one too many, and no harm.
  if (seen !== undefined) {
    if (!isFree(record.check, claim.by, now)) return record
    // Another process has checked it meanwhile, or a person has taken it out of use.
    if (record.lastCheck?.at !== seen.at || needsPerson(record.state)) return record
  }
  const claimed = { ...record, check: claim }
  if (!isProvable(record.state) || standingOf(record.state, now) !== "due") return claimed
  if (isFree(record.probe, claim.by, now)) return { ...claimed, probe: claim }
  return seen === undefined ? claimed : record
}

export const checkReleased = (record: TokenRecord, by: string): TokenRecord =>
  withoutClaim(withoutClaim(record, "check", by), "probe", by)

export const checked = (
  record: TokenRecord,
  now: number,
  event: TokenEvent & { _tag: "Checked" },
  rules: Rules
): TokenRecord => {
  const { by, detail, generation, outcome } = event
  const probe = record.probe?.by === by
  const released = checkReleased(record, by)
  // It says nothing of the secret that has been put in its place.
  if (generation < record.generation && isOfSecret.has(outcome._tag)) return released
  const ok = outcome._tag === "Succeeded"
  const told = { ...released, lastCheck: { at: now, ok, ...(ok || detail === undefined ? {} : { detail }) } }
  const standing = standingOf(record.state, now)
  const fresh = isFresh(standing, probe)
  const isHalfOpen = probe && standing === "due" && record.state._tag === "disabled"
  const circumstances = { now, fresh, standing, counts: false, rules }
  switch (outcome._tag) {
    case "Succeeded":
      return fresh && standing === "due" && isProvable(record.state) ? back(told) : told
    case "Abandoned":
    case "CallerFault":
      return released
    case "Failed":
    case "UpstreamFault":
      // Not held against the token, but it cannot be known to be good before its upstream is.
      return isHalfOpen ? disabledAgain(told, now, rules) : told
    case "AccessRejected":
      return accessRejected(told, circumstances)
    case "RefreshRejected":
      return moved(told, { _tag: "dead", why: `renewal refused: ${outcome.code}` })
    case "Blocked":
      return moved(told, { _tag: "dead", why: `blocked: ${outcome.reason}` })
    case "QuotaExhausted":
      return exhausted(told, now, outcome.resetAt, fresh)
    case "Throttled": {
      const limited = throttled(told, outcome, circumstances)
      // Should the limit turn out not to be the token's, there is no failed call to be taken back.
      const { throttle } = limited
      return throttle === undefined ? limited : { ...limited, throttle: { ...throttle, count: throttle.count - 1 } }
    }
  }
}

const isOfSecret: ReadonlySet<string> = new Set(["AccessRejected", "RefreshRejected"])

/**
 * The relapses stay until a call goes well: a token that passes its checks and fails its calls waits longer each time. The
 * errors of before are forgotten, or the first one after would take it out of use again.
 */
const back = (record: TokenRecord): TokenRecord => ({
  ...record,
  state: active,
  consecutiveFailures: 0,
  window: record.state._tag === "disabled" ? [] : record.window
})
