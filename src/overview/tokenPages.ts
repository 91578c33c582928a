/** The tokens in pages: pure rules of where a page begins and ends, while others come and go. */

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

/** Whether a token is in that state and has that in its name or id; all are, when neither is given. */
export const matching = (state: string | undefined, find: string | undefined) => {
  const part = find?.toLowerCase()
  return (view: Named & { readonly state: { readonly _tag: string } }): boolean =>
    (state === undefined || view.state._tag === state) &&
    (part === undefined || view.name.toLowerCase().includes(part) || view.id.toLowerCase().includes(part))
}

type Place = readonly [provider: string, name: string, id: string]

const placeOf = ({ id, name, provider }: Named): Place => [provider, name, id]

/** By provider, name and id: an order in which nobody moves. Thousands are put in it for each page, so it makes nothing on the way. */
export const compare = (a: Named, b: Named): number => {
  if (a.provider !== b.provider) return a.provider < b.provider ? -1 : 1
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  if (a.id !== b.id) return a.id < b.id ? -1 : 1
  return 0
}

/** A page begins behind the last one of the page before, though it be gone. */
export const after = <A extends Named>(all: ReadonlyArray<A>, end: Place | undefined, limit: number): Page<A> => {
  const place = end && { provider: end[0], name: end[1], id: end[2] }
  const rest = all.filter((one) => place === undefined || compare(one, place) > 0).toSorted(compare)
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
