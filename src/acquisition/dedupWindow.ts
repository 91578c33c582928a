/** What makes two requests the same, and the pure rules of the window in which that counts. */
import { Schema } from "effect"
import { TokenId } from "../domain/Token.ts"

/** Longest text that is compared and kept. */
const maxLength = 200
/** Longest text that is read: the rest of a very long one tells nothing new. */
const maxRead = 4_000

/**
 * The text without what differs from one occurrence to the next: times, numbers and identifiers. Long opaque words go as
 * identifiers, so that a secret that slipped into an error is not kept.
 */
export const normalise = (text: string): string =>
  text
    .slice(0, maxRead)
    .toLowerCase()
    .replace(/https?:\/\/[^\s"'<>)]+/g, withoutIds)
    .replace(/\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?/g, "<time>")
    .replace(/\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b/g, "<time>")
    .replace(/[0-9a-z+/=_.-]{16,}/g, (word) => (isOpaque(word) ? "<id>" : word))
    .replace(/\b(?=[a-f]*\d)[0-9a-f]{8,}\b/g, "<id>")
    .replace(/\d+(?:[.,]\d+)*/g, "#")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, maxLength)

/** Long, and with a digit in it or longer than words are. */
const isOpaque = (word: string) => word.length >= 32 || /\d/.test(word)

/** Keeps of an address what is the same for every call. */
const withoutIds = (url: string) =>
  url
    .replace(/[?#].*$/, "")
    .replace(/\/\/[^/]*@/, "//")
    .split("/")
    .map((part, i) => (i > 2 && (/\d/.test(part) || part.length > 24) ? "<id>" : part))
    .join("/")

/** Sørensen–Dice over pairs of neighbouring characters: 1 for equal texts, 0 for texts with no pair in common. */
export const similarity = (a: string, b: string): number => {
  if (a === b) return 1
  if (a.length < 2 || b.length < 2) return 0
  const pairs = new Map<string, number>()
  for (let i = 0; i < a.length - 1; i++) {
    const pair = a.slice(i, i + 2)
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  let shared = 0
  for (let i = 0; i < b.length - 1; i++) {
    const pair = b.slice(i, i + 2)
    const left = pairs.get(pair) ?? 0
    if (left > 0) {
      pairs.set(pair, left - 1)
      shared += 1
    }
  }
  return (2 * shared) / (a.length + b.length - 2)
}

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
