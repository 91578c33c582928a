/**
 * Learns a limit nobody told us, as TCP learns a path's (RFC 5681): doubling until the first refusal, then a little more with
 * each round that goes well, and half after each that does not. Pure.
 */
import { Schema } from "effect"

export const Learned = Schema.Struct({
  /** Not an integer: a part of a round counts. */
  limit: Schema.Finite,
  /** Whether it has ever been refused: from then on it grows slowly. */
  wasRefused: Schema.Boolean,
  /** Epoch milliseconds of the last refusal. */
  refusedAt: Schema.Finite
})
export type Learned = typeof Learned.Type

/** What is begun with, and what a whole round that goes well adds once it is known that there is a limit. */
export interface Course {
  readonly first: number
  readonly step: number
  readonly most: number
}

/** Two at once is what the smallest of D3's providers but one allows. */
export const concurrency: Course = { first: 2, step: 1, most: 1_000 }
/** A call every three seconds. */
export const perMinute: Course = { first: 20, step: 2, most: 60_000 }

/** After a refusal nothing more is tried for so long: at a limit of one, every other call would be refused. */
const rest = 60_000

/** A limit that was met longer ago than this may have been lifted: it is tried again as if it had never been met. */
const trusted = 24 * 60 * 60 * 1_000

export const begin = ({ first }: Course): Learned => ({ limit: first, wasRefused: false, refusedAt: 0 })

export const allowed = ({ limit }: Learned): number => Math.max(1, Math.floor(limit))

/** A call went well while the limit was what held others back. */
export const grown = (learned: Learned, course: Course, now: number): Learned => {
  const since = now - learned.refusedAt
  const isSlow = learned.wasRefused && since < trusted
  if (learned.wasRefused && since < rest) return learned
  const more = isSlow ? course.step / learned.limit : 1
  return { ...learned, limit: Math.min(course.most, learned.limit + more) }
}

/** A call was refused that began at `began`: one that was out already when it was halved says nothing new. */
export const halved = (learned: Learned, began: number, now: number): Learned =>
  learned.wasRefused && began <= learned.refusedAt
    ? learned
    : { limit: Math.max(1, learned.limit / 2), wasRefused: true, refusedAt: now }
