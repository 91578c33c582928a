/** Which tokens are forgotten, so that those the acquirer makes do not pile up for ever. What a person added never is. */
import { isVoid } from "./claim.ts"
import { stateAt, type TokenRecord } from "./tokenState.ts"

const day = 24 * 60 * 60 * 1_000

/** A token that has been of no use for so long is. */
export const retiredAfter = 7 * day

/** A refill that the upstream has named is waited for, which costs less than another user; but not for longer. */
export const refillWithin = 31 * day

/** In a round, so that a backlog does not hold up the start. */
export const retiredAtOnce = 20

/**
 * Whether it is to be forgotten. So an acquirer that makes three an hour has at most some 2,700 that are of no use: what it
 * makes in the week and the month.
 */
export const isSpent = (record: TokenRecord, now: number): boolean =>
  record.acquired === true &&
  record.kind === "anonymous" &&
  record.outSince !== undefined &&
  now - record.outSince >= retiredAfter &&
  isVoid(record.probe, now) &&
  isVoid(record.renewal, now) &&
  isHopeless(record, now)

const isHopeless = (record: TokenRecord, now: number) => {
  const state = stateAt(record.state, now)
  return (
    state._tag === "dead" ||
    (state._tag === "exhausted" && (state.source === "guessed" || state.until - now > refillWithin))
  )
}
