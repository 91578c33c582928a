/**
 * Pages of traced requests, those that began last first: a pure rule. They come in the order in which they end, so a place is an instant
 * and an id, and not a number: whatever comes or goes, a page has all that is behind the one before.
 */
import type { Trace } from "../traffic/trace.ts"
import type { Page } from "./tokenPages.ts"

/** Without an id, that of none which began at that instant. */
export interface Place {
  readonly at: number
  readonly id: string | undefined
}

export const before = <A extends Pick<Trace, "id" | "startedAt">>(
  all: ReadonlyArray<A>,
  place: Place | undefined,
  limit: number
): Page<A> => {
  const rest = all
    .map((item) => ({ item, at: Date.parse(item.startedAt), id: item.id }))
    .filter((one) => place === undefined || compare(one, place) < 0)
    .toSorted((a, b) => compare(b, a))
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const next = last !== undefined && rest.length > limit ? `${last.at}.${last.id}` : undefined
  return { items: page.map(({ item }) => item), next }
}

/** Undefined when it is no place. */
export const placeAt = (text: string): Place | undefined => {
  const [, at, id] = /^(\d{1,16})(?:\.([\w-]{1,200}))?$/.exec(text) ?? []
  return at === undefined ? undefined : { at: Number(at), id }
}

/** Of ids that count up, a longer one is a later one. */
const compare = (a: Place, b: Place): number => {
  if (a.at !== b.at) return a.at - b.at
  const [one = "", other = ""] = [a.id, b.id]
  if (one.length !== other.length) return one.length - other.length
  return one === other ? 0 : one < other ? -1 : 1
}
