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
  const seconds = (stored?.seconds ?? []).filter(({ at }) => at > now - kept)
  const last = seconds.at(-1)
  if (last === undefined || last.at !== event.at) return { seconds: [...seconds, event] }
  const more = { at: last.at, calls: last.calls + event.calls, tokens: last.tokens + event.tokens }
  return { seconds: [...seconds.slice(0, -1), more] }
}
