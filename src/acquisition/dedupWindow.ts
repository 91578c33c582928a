/** What makes two requests the same, and the pure rules of the window in which that counts. */
import { Schema } from "effect"
import { TokenId } from "../domain/Token.ts"
import { similarity } from "./errorText.ts"

/** Who asks and why, the latter normalised. */
export interface Demand {
  readonly caller: string
  readonly text: string
}

export const isSame = (a: Demand, b: Demand, threshold: number) =>
  a.caller === b.caller && similarity(a.text, b.text) >= threshold

/** Work for a request that has begun, and how it ended. */
export const Entry = Schema.Struct({
  id: Schema.String,
  /** The process that works or worked on it. */
  process: Schema.String,
  caller: Schema.String,
  text: Schema.String,
  at: Schema.Finite,
  /** When its process last said that it is alive. */
  seenAt: Schema.Finite,
  ending: Schema.optionalKey(
    Schema.Union([
      Schema.TaggedStruct("Answered", { token: TokenId }),
      Schema.TaggedStruct("Failed", { reason: Schema.String })
    ])
  )
})
export type Entry = typeof Entry.Type

/** The work of one provider inside the window, oldest first. */
export const Window = Schema.Struct({ entries: Schema.Array(Entry) })
export type Window = typeof Window.Type

export const empty: Window = { entries: [] }

/** Most entries of one provider that are kept: work is single-flight and budgeted, so few ever begin in a window. */
const maxEntries = 100

export interface WindowOptions {
  /** How long a request counts as the same, in milliseconds. */
  readonly window: number
  readonly similarity: number
  /** After how long without a sign of life a process counts as dead, in milliseconds. */
  readonly silence: number
}

/** Milliseconds until the entry leaves the window; zero or less when it has left. */
export const timeLeft = (entry: Entry, now: number, { window }: WindowOptions) =>
  // An entry from the future, of a clock that has jumped back since, is not kept longer than one of now.
  entry.at - now >= window ? 0 : Math.min(entry.at + window - now, window)

export const begin = (current: Window, now: number, entry: Entry, options: WindowOptions): Window => ({
  entries: [...current.entries.filter((kept) => timeLeft(kept, now, options) > 0), entry].slice(-maxEntries)
})

export const end = (current: Window, id: string, ending: Entry["ending"]): Window => ({
  entries: current.entries.flatMap((entry) =>
    entry.id !== id ? [entry] : ending === undefined ? [] : [{ ...entry, ending }]
  )
})

export const sign = (current: Window, id: string, now: number): Window => ({
  entries: current.entries.map((entry) => (entry.id === id ? { ...entry, seenAt: now } : entry))
})

export const isAtWork = (entry: Entry, now: number, { silence }: WindowOptions) =>
  entry.ending === undefined && Math.abs(now - entry.seenAt) < silence

/** The newest entry for the same request. What a process left behind when it died is none. */
export const findSame = (current: Window, now: number, demand: Demand, options: WindowOptions): Entry | undefined =>
  current.entries.findLast(
    (entry) =>
      timeLeft(entry, now, options) > 0 &&
      (entry.ending !== undefined || isAtWork(entry, now, options)) &&
      isSame(entry, demand, options.similarity)
  )

/** The newest work of another process. */
export const findElsewhere = (current: Window, now: number, process: string, options: WindowOptions) =>
  current.entries.findLast((entry) => entry.process !== process && isAtWork(entry, now, options))
