/** What the failure of a call means for the token that was spent on it. */
import { Duration } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { Outcome } from "./tokenState.ts"

export const outcomeOf = (failure: CallFailure): Outcome => {
  switch (failure._tag) {
    case "QuotaExhausted":
      return { _tag: "QuotaExhausted", resetAt: failure.resetAt }
    case "AccessRejected":
      return { _tag: "AccessRejected" }
    case "AccountBlocked":
      return { _tag: "Blocked", reason: failure.reason }
    case "Throttled":
      return {
        _tag: "Throttled",
        retryAfterMs: failure.retryAfter && Duration.toMillis(failure.retryAfter),
        signature: failure.signature
      }
    case "RequestRejected":
      return { _tag: "CallerFault" }
    case "UpstreamUnavailable":
      return { _tag: "UpstreamFault" }
  }
}
