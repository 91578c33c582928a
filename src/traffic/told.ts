/** What a request's caller is told when it ends without an answer: what says most of when to come again. Pure. */
import { Duration } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { DeadlineExceeded } from "./GatewayFailure.ts"
import type { SlotRefused } from "./Governor.ts"
import type { Shortage } from "./lend.ts"
import { remedyOf } from "./plan.ts"

/** No target is left. That the last token was no good is not what a caller can act on, but when there will be one. */
export const toldOf = (failure: CallFailure | undefined, shortage: Shortage | DeadlineExceeded | undefined) => {
  const isOfToken = failure !== undefined && !isOfKey(failure) && remedyOf({ failure, sent: true }) === "token"
  return isOfToken ? (shortage ?? failure) : (failure ?? shortage)
}

/** There is no slot. How long it will be is worth more than that a token was refused. */
export const toldInLine = (failure: CallFailure | undefined, refused: SlotRefused): CallFailure | SlotRefused =>
  failure === undefined || failure._tag === "Throttled" ? refused : failure

/** A key that is not accepted will not be accepted in a minute either. */
export const isOfKey = (failure: CallFailure | undefined): boolean =>
  failure?._tag === "AccessRejected" || failure?._tag === "AccountBlocked"

/** How long until it may be different, in milliseconds. */
export const waitOf = (shortage: Shortage | DeadlineExceeded): number =>
  "retryAfter" in shortage && shortage.retryAfter !== undefined
    ? Duration.toMillis(shortage.retryAfter)
    : Number.POSITIVE_INFINITY
