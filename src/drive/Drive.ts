/** The WoPan drive as its users see it: folders, files and download addresses, live or from the last listing that is known. */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { Redacted, Scope } from "effect"
import type { Strategy } from "../pool/strategies.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Store } from "../store/Store.ts"
import { WopanClient, type WopanEntry, wopanProvider as provider } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"
import * as Address from "./address.ts"
import { type DriveFailure, inShort, isOfToken, PathUnknown } from "./failure.ts"
import * as Known from "./known.ts"
import * as Listings from "./listings.ts"
import * as Live from "./live.ts"
import { parse, pathOf } from "./path.ts"
import * as Preference from "./preference.ts"
import { accountNamed, search, type Search } from "./search.ts"
import { begun, counted } from "./telling.ts"

export { type DriveFailure, PathUnknown } from "./failure.ts"

export interface DriveRequest {
  /** Names separated by `/`, without one at either end; empty for the root. */
  readonly path: string
  /** Ask the drive now, whatever is known. Else a listing that is fresh enough answers without a call. */
  readonly realtime?: boolean | undefined
  /** The name of the token whose account is meant. Default: the one that answered last, while it can. */
  readonly account?: string | undefined
}

export interface Listing {
  readonly path: string
  readonly entries: ReadonlyArray<WopanEntry>
  /** `cache` also when the drive was asked and failed: then `failure` says how. */
  readonly source: "realtime" | "cache"
  /** Epoch milliseconds of when the drive said so. */
  readonly listedAt: number
  readonly ageMs: number
  /** The name of the token whose account it is. */
  readonly account: string
  readonly failure?: string | undefined
}

export interface Download {
  readonly path: string
  readonly url: Redacted.Redacted
  readonly account: string
}

export interface DriveOptions {
  /** Which account is asked when the last one cannot be, or there is none (default `priority`). */
  readonly strategy?: Strategy
  /** How long a listing answers without a call (default 5 minutes: D4 read its cache again every 300 seconds). */
  readonly cacheFor?: Duration.Input
  /** The most pages, of 100 entries, of one folder; a folder with more is not listed (default 1,000). */
  readonly maxPages?: number
  /** The longest that a request waits for the drive (default 60 seconds). */
  readonly within?: Duration.Input
  /** What is kept of listings; the oldest go first (default 10,000 listings and 1,000,000 entries in all; 100,000 in one). */
  readonly cache?: Partial<Listings.ListingLimits>
}

export class Drive extends Context.Service<
  Drive,
  {
    /**
     * All that is in a folder, over all its pages, with one token from the first call to the last. Waits for the drive, and
     * shares the calls with others who want the same at the same time. When the drive fails, the last listing that is known
     * answers, which survives a restart; not when the drive says that there is no such folder. Interruption aborts the calls,
     * unless others wait for them, and gives the token back.
     */
    list(request: DriveRequest): Effect.Effect<Listing, DriveFailure>
    /**
     * Where a file can be had, asked with the token whose account lists it. Waits for the drive. Interruption aborts the
     * calls and gives the token back.
     */
    download(request: DriveRequest): Effect.Effect<Download, DriveFailure>
  }
>()("weirgate/drive/Drive") {
  static readonly layerWith = (
    options: DriveOptions = {}
  ): Layer.Layer<Drive, never, TokenPool | WopanClient | Store> =>
    Layer.effect(
      Drive,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Drive, never, TokenPool | WopanClient | Store> = Drive.layerWith()
}

const make = Effect.fnUntraced(function* (
  options: DriveOptions
): Effect.fn.Return<Drive["Service"], never, TokenPool | WopanClient | Store | Scope.Scope> {
  const pool = yield* TokenPool
  const client = yield* WopanClient
  const store = yield* Store
  const within = Duration.fromInputUnsafe(options.within ?? "60 seconds")
  const searched = { pool, within, strategy: options.strategy ?? "priority" }

  const listings = yield* Listings.make({
    store,
    limits: { listings: 10_000, entries: 1_000_000, listingEntries: 100_000, ...options.cache },
    accounts: Effect.andThen(pool.sync, pool.list(provider)).pipe(
      Effect.map((views) => new Set(views.map(({ id }) => id))),
      Effect.orElseSucceed(() => undefined)
    )
  })
  const known = Known.make(pool, listings, Duration.toMillis(options.cacheFor ?? "5 minutes"))
  const { isFresh } = known
  const live = yield* Live.make({ pool, client, listings, within, isFresh, maxPages: options.maxPages ?? 1_000 })
  const address = Address.make({ pool, client, known, live, within })
  const preference = yield* Preference.make(store)
  yield* begun

  /** What the request names, read and looked up. */
  const read = Effect.fnUntraced(function* ({ account, path }: DriveRequest) {
    const parsed = parse(path)
    if (parsed._tag === "Refused") return yield* refused(path, parsed.reason)
    const only = account === undefined ? undefined : yield* accountNamed(pool, account)
    return { names: parsed.names, whom: { only, preferred: preference.account() } }
  })

  const answered = Effect.fnUntraced(function* (
    path: string,
    account: Account,
    source: Listing["source"],
    { entries, listedAt }: Listings.KnownListing
  ) {
    const ageMs = Math.max(0, (yield* Clock.currentTimeMillis) - listedAt)
    return { path, entries, source, listedAt, ageMs, account: account.name } satisfies Listing
  })

  const list = Effect.fn("Drive.list")(
    function* (request: DriveRequest): Effect.fn.Return<Listing, DriveFailure> {
      const { path, realtime = false } = request
      const { names, whom } = yield* read(request)
      const found = yield* search(
        searched,
        whom,
        Effect.fnUntraced(function* (account) {
          const fresh = realtime ? undefined : yield* known.fresh(account, path)
          if (fresh !== undefined) return yield* answered(path, account, "cache", fresh)
          return yield* answered(path, account, "realtime", yield* live({ account, names, realtime }))
        })
      )
      if (found.answer !== undefined) {
        if (found.answer.source === "realtime") yield* preference.note(found)
        return found.answer
      }
      const last = yield* known.last(path, whom.only, found)
      if (last === undefined) return yield* hindrance(found) ?? new PathUnknown({ path })
      const failure =
        found.failure === undefined ? "the token of the account cannot be used now" : inShort(found.failure)
      return { ...(yield* answered(path, last.account, "cache", last.listing)), failure }
    },
    counted("list", ({ source }: Listing) => source)
  )

  const download = Effect.fn("Drive.download")(
    function* (request: DriveRequest): Effect.fn.Return<Download, DriveFailure> {
      const { path, realtime = false } = request
      const { names, whom } = yield* read(request)
      const [folder, name] = [names.slice(0, -1), names.at(-1)]
      if (name === undefined) return yield* refused(path, "the root is no file")
      const found = yield* search(searched, whom, (account) => address.find(account, { folder, name, realtime }))
      if (found.answer !== undefined && found.account !== undefined) {
        yield* preference.note(found)
        return { path, url: found.answer, account: found.account.name }
      }
      const failure = hindrance(found)
      if (failure !== undefined) return yield* failure
      // Of a file that a drive is known to hold, which cannot be asked now, it cannot be said that there is none.
      const holds = (listing: Listings.KnownListing) => Address.fidOf(listing, name) !== undefined
      const last = yield* known.last(pathOf(folder), whom.only, found, holds)
      const fid = last && Address.fidOf(last.listing, name)
      if (last === undefined || fid === undefined) return yield* new PathUnknown({ path })
      return { path, url: yield* address.ofFid(last.account, fid), account: last.account.name }
    },
    counted("download", () => "realtime")
  )

  return Drive.of({ list, download })
})

/**
 * Why it is not known whether there is such a path. Where a drive has said that there is none, a token of no use elsewhere is no
 * reason: else one bad token would make every wrong path a fault of ours.
 */
const hindrance = ({ failure, unknownTo }: Search<unknown>): DriveFailure | undefined =>
  failure !== undefined && unknownTo.size > 0 && isOfToken(failure) ? undefined : failure

/** Long, or of characters that do not belong on a line, it is not repeated whole. */
const refused = (path: string, reason: string) => {
  const shown = path
    .slice(0, 100)
    .toWellFormed()
    .replace(/\p{Cc}/gu, "�")
  return new PathUnknown({ path: shown, reason })
}
