/** What the failure of a call says of its target's health. Pure. */
import type { CallFailure } from "../domain/Failure.ts"
import type { SlotOutcome } from "./Governor.ts"

/** A call that our own deadline ended sooner than this says nothing of its target. */
const telling = 5_000

/**
 * `took` is how long the call was under way, `share` how much of the request's time it had, in milliseconds: one that came of our own
 * deadline says nothing.
 */
export const slotOutcomeOf = (failure: CallFailure, took: number, share: number): SlotOutcome => {
  switch (failure._tag) {
    case "UpstreamUnavailable":
      return failure.reason === "timeout" && took < telling && took >= share
        ? { _tag: "Neutral" }
        : { _tag: "Failed", retryAfter: failure.retryAfter }
    case "Throttled":
      // The wait that was stated is the token's: a sibling may go on at once, and without one the provider is held.
      return { _tag: "Throttled", retryAfter: undefined }
    default:
      return { _tag: "Neutral" }
  }
}
