/** The calls of the last minute by the second, kept by the store: an upstream's minute does not begin anew when we do. */
import { Schema } from "effect"
import type { Fold } from "../store/Replicas.ts"
import type { Past } from "./capacity.ts"

/** At most a minute's seconds, and those of the margin. */
export const Minute = Schema.Struct({
  seconds: Schema.Array(Schema.Struct({ at: Schema.Finite, calls: Schema.Int, tokens: Schema.Finite }))
})
export type Minute = typeof Minute.Type

const second = 1_000
/** A margin of more than this is not remembered over a restart. */
const kept = 70 * second

/** Counted for the end of its second: too late by less than one, never too early. */
export const secondOf = (now: number): number => Math.ceil(now / second) * second

export const fold: Fold<Minute, Past> = (stored, now, event) => {
  const all = stored?.seconds ?? []
  const first = all[0]
  // Mostly none of them has become too old.
  const seconds = first === undefined || first.at > now - kept ? all : all.filter(({ at }) => at > now - kept)
  const last = seconds.at(-1)
  const both = last === undefined ? undefined : merged(last, event)
  return { seconds: both === undefined ? [...seconds, event] : [...seconds.slice(0, -1), both] }
}

/** The calls of one second as one. */
export const merged = (earlier: Past, later: Past): Past | undefined =>
  earlier.at === later.at
    ? { at: earlier.at, calls: earlier.calls + later.calls, tokens: earlier.tokens + later.tokens }
    : undefined
