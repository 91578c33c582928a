/** Why nothing is lent, and when that changes by itself: pure, for the caller who is refused. */
import type { TokenId } from "../domain/Token.ts"
import { accessIsValid, returnsAt, standing, type Standing, stateAt } from "./tokenState.ts"
import type { TokenRecord } from "./tokenState.ts"

export interface Shortage {
  readonly held: number
  readonly reason: string
  /** Absent when it takes a person. */
  readonly endsAt: number | undefined
  /** A token is fit but for a secret that could not be renewed: the upstream's fault, and no want of tokens. */
  readonly awaitsRenewal: boolean
}

/** How this process sees the tokens. */
export interface Circumstances {
  /** Tried by this call already: the next one may have it. */
  readonly exclude: ReadonlySet<TokenId>
  standing(record: TokenRecord): Standing
  isLocked(record: TokenRecord): boolean
  /** Until when the whole provider is left alone; a time that is over, while it is being probed. */
  readonly limitedUntil: number | undefined
}

/** How soon it is worth asking again for what another call has out as a probe, or this one has tried. */
const soon = 1_000

const unrenewed = "not renewed yet"

export const shortageOf = (
  records: ReadonlyArray<TokenRecord>,
  now: number,
  { exclude, isLocked, limitedUntil, standing: standingHere }: Circumstances
): Shortage => {
  const counts = new Map<string, number>()
  let endsAt = Number.POSITIVE_INFINITY
  for (const record of records) {
    const here = standingHere(record)
    const why = isLocked(record) ? "sealed with another key" : hindrance(record, now, here, exclude)
    counts.set(why, (counts.get(why) ?? 0) + 1)
    const back = isLocked(record) ? undefined : returnsAt(record, now)
    if (back === undefined) continue
    const isTaken = back <= now && (exclude.has(record.id) || here === "out")
    endsAt = Math.min(endsAt, isTaken ? now + soon : back)
  }
  if (limitedUntil !== undefined) {
    endsAt = Math.max(endsAt, limitedUntil)
    if (endsAt <= now) endsAt = now + soon
  }
  const tokens = [...counts].map(([why, count]) => `${count} ${why}`).join(", ")
  return {
    held: records.length,
    reason:
      limitedUntil !== undefined ? "the provider limits us as a whole" : records.length === 0 ? "none is held" : tokens,
    endsAt: Number.isFinite(endsAt) ? endsAt : undefined,
    awaitsRenewal: counts.has(unrenewed)
  }
}

/** One word or two on why a token is not lent. */
const hindrance = (record: TokenRecord, now: number, standingHere: Standing, exclude: ReadonlySet<TokenId>): string => {
  const state = stateAt(record.state, now)
  if (standingHere !== "out") return exclude.has(record.id) ? "tried already" : "usable"
  if (standing(record, now) === "due") return "being probed"
  if (state._tag !== "active") return state._tag
  return accessIsValid(record, now) ? "usable" : record.refresh === undefined ? "without a secret" : unrenewed
}
