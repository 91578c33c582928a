/** Which of the tokens that may be lent is: pure choices over their statistics. */
import { priorityOf } from "../domain/Token.ts"
import type { TokenRecord } from "./tokenState.ts"

export type Strategy = "priority" | "round_robin" | "best"

/** A token that may be lent now. */
export interface Candidate {
  readonly record: Pick<TokenRecord, "id" | "kind" | "createdAt" | "lastUsedAt" | "succeeded" | "failed">
  /** When this process last lent it, and as its how-manieth lease: tells apart what was lent in one millisecond. */
  readonly lentAt: number
  readonly turn: number
  /** It would be lent as a probe. */
  readonly probe: boolean
}

/** A token's place among those that take turns. */
export type Turn = Pick<TokenRecord, "id" | "createdAt">

/** `last` is the token that was lent before, for the strategy that takes turns. Answers nothing only when given nothing. */
export const choose = <C extends Candidate>(
  strategy: Strategy,
  candidates: ReadonlyArray<C>,
  last: Turn | undefined
): C | undefined => {
  switch (strategy) {
    case "priority":
      return first(candidates, byPriority)
    case "round_robin":
      return roundRobin(candidates, last)
    case "best":
      return first(candidates, byRecord)
  }
}

/** Negative when `a` goes first. */
export type Order = (a: Candidate, b: Candidate) => number

const first = <C extends Candidate>(candidates: ReadonlyArray<C>, order: Order): C | undefined => {
  let chosen: C | undefined
  for (const candidate of candidates) {
    if (chosen === undefined || order(candidate, chosen) < 0) chosen = candidate
  }
  return chosen
}

const usedAt = (candidate: Candidate) =>
  Math.max(candidate.lentAt, candidate.record.lastUsedAt ?? Number.NEGATIVE_INFINITY)

/** Longest idle first. */
const byIdleTime: Order = (a, b) => compare(usedAt(a), usedAt(b)) || a.turn - b.turn || byAge(a, b)

/** Idle for ever is as idle as idle for ever: infinities have no difference. */
const compare = (a: number, b: number) => (a === b ? 0 : a - b)

export const byPriority: Order = (a, b) => priorityOf[a.record.kind] - priorityOf[b.record.kind] || byIdleTime(a, b)

/** A probe goes first, or a token with a bad record would never have the chance to mend it. */
const byRecord: Order = (a, b) => Number(b.probe) - Number(a.probe) || standingIn(b) - standingIn(a) || byIdleTime(a, b)

/** Scores this close are a tie, so that equals share the work. */
const bands = 20
const standingIn = (candidate: Candidate) =>
  Math.floor(bands * proven(candidate.record.succeeded, candidate.record.failed))

/**
 * The success rate that the evidence vouches for: the lower end of Wilson's interval at 95 %. One success in one call
 * counts for less than ninety in a hundred.
 */
export const proven = (succeeded: number, failed: number): number => {
  const calls = succeeded + failed
  if (succeeded === 0) return 0
  const z = 1.96
  const rate = succeeded / calls
  const centre = rate + (z * z) / (2 * calls)
  const spread = z * Math.sqrt((rate * (1 - rate) + (z * z) / (4 * calls)) / calls)
  return Math.max(0, (centre - spread) / (1 + (z * z) / calls))
}

/** By age, so that a token that comes or goes does not upset the others' turns. */
const byAge: Order = (a, b) => compareAge(a.record, b.record)

const compareAge = (a: Turn, b: Turn) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const roundRobin = <C extends Candidate>(candidates: ReadonlyArray<C>, last: Turn | undefined): C | undefined => {
  const next =
    last &&
    first(
      candidates.filter((candidate) => compareAge(candidate.record, last) > 0),
      byAge
    )
  return next ?? first(candidates, byAge)
}
