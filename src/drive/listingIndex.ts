/** Which listings are kept, oldest first, and which have to go when there are too many. Pure but for its own state. */

export interface Kept {
  /** Epoch milliseconds. */
  readonly listedAt: number
  readonly entries: number
}

export interface Limits {
  readonly listings: number
  /** Of all listings together. */
  readonly entries: number
}

export interface ListingIndex {
  get(key: string): Kept | undefined
  keys(): IterableIterator<string>
  /** It was listed just now, and so is the newest. */
  note(key: string, kept: Kept): void
  forget(key: string): void
  /** What has to be forgotten for the rest to be within the limits: the oldest, oldest first. */
  surplus(): ReadonlyArray<string>
}

/** Holds one small object for each listing: as many as the limits allow, and those that are noted before the surplus goes. */
export const make = (limits: Limits, known: Iterable<readonly [key: string, kept: Kept]> = []): ListingIndex => {
  // A map keeps the order in which keys came.
  const index = new Map([...known].toSorted(([, a], [, b]) => a.listedAt - b.listedAt))
  let entries = 0
  for (const kept of index.values()) entries += kept.entries

  const forget = (key: string) => {
    const kept = index.get(key)
    if (kept === undefined) return
    entries -= kept.entries
    index.delete(key)
  }

  return {
    get: (key) => index.get(key),
    keys: () => index.keys(),
    note: (key, kept) => {
      forget(key)
      index.set(key, kept)
      entries += kept.entries
    },
    forget,
    surplus: () => {
      const surplus: Array<string> = []
      let [listingsLeft, entriesLeft] = [index.size, entries]
      for (const [key, kept] of index) {
        if (listingsLeft <= limits.listings && entriesLeft <= limits.entries) break
        surplus.push(key)
        listingsLeft -= 1
        entriesLeft -= kept.entries
      }
      return surplus
    }
  }
}
