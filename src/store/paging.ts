/** Reads a journal in pages: what a page costs depends on what is on it, not on how much the journal keeps. */
import { Effect, type Semaphore } from "effect"
import type { Behind } from "./Store.ts"
import type { StoreUnavailable } from "./StoreUnavailable.ts"

/** Entries of a journal from behind a place, newest first: the texts, and where each stands. */
export type Read = (before: number, limit: number) => Effect.Effect<Placed, StoreUnavailable>
export type Placed = ReadonlyArray<readonly [place: number, text: string]>

/** How many more than it keeps a journal may hold, so that many entries are trimmed at once: a 64th. */
export const slackOf = (keep: number) => keep >> 6

/** In front of all entries. */
export const front = Number.MAX_SAFE_INTEGER

/** Entries looked at before others may go on, when some of them only are wanted. */
const scannedAtOnce = 256

export interface Wanted {
  readonly behind: Behind | undefined
  readonly limit: number
  /** The text of fields. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
}

/** The entries of a page, and the place of the last when there are more of them. */
export const pageOf = Effect.fnUntraced(function* (
  read: Read,
  { behind, fields, limit }: Wanted,
  scanning: Semaphore.Semaphore
) {
  let before = behind === undefined ? front : "place" in behind ? behind.place : yield* seek(read, behind.at)
  const found: Array<readonly [place: number, text: string]> = []
  // One more than the page has tells that there is a next one.
  const most = limit + 1
  const size = fields.length === 0 ? most : Math.max(most, scannedAtOnce)
  /** Answers whether there is more to look at. */
  const look = Effect.map(
    Effect.suspend(() => read(before, size)),
    (rows) => {
      for (const row of rows) {
        if (found.length < most && fits(row[1], fields)) found.push(row)
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < size || found.length === most) return false
      before = last[0]
      return true
    }
  )
  // With the turn goes the right to hold up everybody else, until they have gone on: of many who look, one in each turn of the loop.
  const step = fields.length === 0 ? look : scanning.withPermit(Effect.tap(look, () => Effect.yieldNow))
  while (yield* step);
  const items = found.slice(0, limit)
  return { texts: items.map(([, text]) => text), next: found.length === most ? items.at(-1)?.[0] : undefined }
})

/**
 * The place behind which all is older than `at`, by halving: a look at some 20 entries. They are in the order in which they
 * were appended, and so in that of time but for what two clocks differ by: then the entry in front of the place is not older,
 * and the one behind it is.
 */
const seek = Effect.fnUntraced(function* (read: Read, at: number) {
  const [newest] = yield* read(front, 1)
  // The newest entry at `low` or behind it is older, and that at `high` is not; or there is none.
  let low = 0
  let high = newest === undefined ? 1 : newest[0] + 1
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const [found] = yield* read(middle + 1, 1)
    if (found !== undefined && Number(recordOf(found[1])["at"]) >= at) high = found[0]
    else low = middle
  }
  return high
})

const fits = (text: string, fields: Wanted["fields"]) => {
  if (fields.length === 0) return true
  const record = recordOf(text)
  return fields.every(([name, value]) => record[name] === value)
}

/** What cannot be read has no fields here: it is told of as soon as it is on a page. */
const recordOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
