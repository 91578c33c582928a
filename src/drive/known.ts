/** What is known answers instead of the drive: while it is fresh, and when the drive cannot be asked. */
import { Clock, Effect } from "effect"
import type { TokenPool } from "../pool/TokenPool.ts"
import { wopanProvider as provider } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"
import type { KnownListing, Listings } from "./listings.ts"
import type { Search } from "./search.ts"

export interface Known {
  isFresh(listing: KnownListing, now: number): boolean
  /** Of that account, if it is fresh. */
  fresh(account: Account, path: string): Effect.Effect<KnownListing | undefined>
  /**
   * Of an account that could not be asked, whatever its age: of the first that failed, else, unless `only` was to be asked, the
   * newest of any. An account whose drive knows no such path has said so itself.
   */
  last(
    path: string,
    only: Account | undefined,
    searched: Search<unknown>,
    isSought?: (listing: KnownListing) => boolean
  ): Effect.Effect<{ readonly account: Account; readonly listing: KnownListing } | undefined>
}

/** `freshFor` is in milliseconds. */
export const make = (pool: TokenPool["Service"], listings: Listings, freshFor: number): Known => {
  // An age below zero is that of a clock which was set back.
  const isFresh: Known["isFresh"] = ({ listedAt }, now) => Math.abs(now - listedAt) < freshFor

  return {
    isFresh,
    fresh: (account, path) =>
      Effect.zipWith(listings.find(account, path), Clock.currentTimeMillis, (listing, now) =>
        listing !== undefined && isFresh(listing, now) ? listing : undefined
      ),
    last: Effect.fnUntraced(function* (path, only, { failed, unknownTo }, isSought = () => true) {
      for (const account of failed) {
        const listing = yield* listings.find(account, path)
        if (listing !== undefined && isSought(listing)) return { account, listing }
      }
      let newest: { readonly account: Account; readonly listing: KnownListing } | undefined
      for (const { id, name } of only === undefined ? yield* pool.list(provider) : []) {
        if (unknownTo.has(id)) continue
        const listing = yield* listings.find({ id, name }, path)
        if (listing === undefined || !isSought(listing)) continue
        if (newest === undefined || listing.listedAt > newest.listing.listedAt)
          newest = { account: { id, name }, listing }
      }
      return newest
    })
  }
}
