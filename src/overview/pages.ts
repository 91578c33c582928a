/** Lists in pages: pure rules of where a page begins and ends, while others come and go. */

export interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** For the next page; undefined after the last. */
  readonly next: string | undefined
}

export interface Named {
  readonly id: string
  readonly name: string
  readonly provider: string
}

type Place = readonly [provider: string, name: string, id: string]

const placeOf = ({ id, name, provider }: Named): Place => [provider, name, id]

const compare = (a: Place, b: Place): number => {
  for (const [i, own] of a.entries()) {
    const other = b[i] ?? ""
    if (own !== other) return own < other ? -1 : 1
  }
  return 0
}

/** By provider, name and id: an order in which nobody moves. A page begins behind the last one of the page before, though it be gone. */
export const named = <A extends Named>(all: ReadonlyArray<A>, after: Place | undefined, limit: number): Page<A> => {
  const rest = all
    .filter((one) => after === undefined || compare(placeOf(one), after) > 0)
    .toSorted((a, b) => compare(placeOf(a), placeOf(b)))
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  return { items, next: last !== undefined && rest.length > limit ? written(placeOf(last)) : undefined }
}

const written = (place: Place) => Buffer.from(JSON.stringify(place)).toString("base64url")

/** Undefined when it is no cursor. */
export const placeAt = (cursor: string): Place | undefined => {
  let read: unknown
  try {
    read = JSON.parse(Buffer.from(cursor, "base64url").toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(read)) return undefined
  const [provider, name, id]: ReadonlyArray<unknown> = read
  return typeof provider === "string" && typeof name === "string" && typeof id === "string"
    ? [provider, name, id]
    : undefined
}

/** A point in a journal: an instant, and how many of the oldest entries of that instant are behind it. */
export interface Point {
  readonly at: number
  readonly left: number
}

/** `all` is newest first. New entries come in front of a page that has been read, and move none behind it. */
export const before = <A extends { readonly at: number }>(
  all: ReadonlyArray<A>,
  point: Point | undefined,
  limit: number
): Page<A> => {
  const rest =
    point === undefined
      ? all
      : [
          ...all.filter(({ at }) => at === point.at).slice(-point.left || Number.POSITIVE_INFINITY),
          ...all.filter(({ at }) => at < point.at)
        ]
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  if (last === undefined || rest.length <= limit) return { items, next: undefined }
  return { items, next: `${last.at}.${rest.slice(limit).filter(({ at }) => at === last.at).length}` }
}

/** An instant in epoch milliseconds alone is a point too. Undefined when it is none. */
export const pointAt = (text: string): Point | undefined => {
  const [, at, left = "0"] = /^(\d{1,16})(?:\.(\d{1,6}))?$/.exec(text) ?? []
  return at === undefined ? undefined : { at: Number(at), left: Number(left) }
}
