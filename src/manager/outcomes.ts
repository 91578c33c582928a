/** What a report from outside means to the pool: a pure rule. */
import type { Outcome } from "../pool/tokenState.ts"
import type { ReportedOutcome } from "./TokenManager.ts"

/** `latencyMs` is the time since the token was lent: more is not known. */
export const outcomeOf = (outcome: ReportedOutcome, latencyMs: number, retryAfterMs: number | undefined): Outcome => {
  switch (outcome) {
    case "succeeded":
      return { _tag: "Succeeded", latencyMs: Math.max(0, latencyMs) }
    case "failed":
      return { _tag: "Failed" }
    case "quota_exhausted":
      return { _tag: "QuotaExhausted" }
    case "rate_limited":
      return { _tag: "Throttled", signature: "reported", retryAfterMs }
    case "unauthorized":
      return { _tag: "AccessRejected" }
    case "upstream_fault":
      return { _tag: "UpstreamFault" }
    case "abandoned":
      return { _tag: "Abandoned" }
  }
}
