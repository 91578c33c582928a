/** The last known listings, by account and path. They survive a restart, and may be shared by several processes. */
import { Clock, Effect, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import { createHash } from "node:crypto"
import type { TokenId } from "../domain/Token.ts"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"
import type { WopanEntry } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"
import * as ListingIndex from "./listingIndex.ts"

export interface KnownListing {
  readonly entries: ReadonlyArray<WopanEntry>
  /** Epoch milliseconds. */
  readonly listedAt: number
}

/** None of it fails: while the store does, nothing is known and nothing is kept. */
export interface Listings {
  /** Never waits. */
  find(account: Account, path: string): Effect.Effect<KnownListing | undefined>
  /** Durable when it returns, unless the listing is too large or another process has kept a newer one. */
  keep(account: Account, path: string, listing: KnownListing): Effect.Effect<void>
  drop(account: Account, path: string): Effect.Effect<void>
}

export interface ListingLimits extends ListingIndex.Limits {
  /** A larger listing is not kept. */
  readonly listingEntries: number
}

export interface Options {
  readonly store: Store["Service"]
  readonly limits: ListingLimits
  /** The accounts there are; undefined when it cannot be told now. Listings of others go. */
  readonly accounts: Effect.Effect<ReadonlySet<TokenId> | undefined>
}

/** As a listing holds them by the ten thousand, without the names of the fields. */
const Row = Schema.Tuple([
  Schema.String,
  Schema.NullOr(Schema.String),
  Schema.String,
  Schema.Literals(["file", "folder"]),
  Schema.Finite,
  Schema.String,
  Schema.String
])

const Kept = Schema.Struct({
  /** The id of a token that was removed may come again; its name tells them apart. */
  account: Schema.String,
  path: Schema.String,
  listedAt: Schema.Finite,
  rows: Schema.Array(Row)
})

const rowOf = ({ createdAt, fid, fileType, id, name, size, type }: WopanEntry): typeof Row.Type => [
  id,
  fid ?? null,
  name,
  type,
  size,
  createdAt,
  fileType
]
const entryOf = ([id, fid, name, type, size, createdAt, fileType]: typeof Row.Type): WopanEntry => ({
  id,
  fid: fid ?? undefined,
  name,
  type,
  size,
  createdAt,
  fileType
})

const listings: Collection<typeof Kept.Type> = { name: "drive_listing", schema: Kept }
/** A row for each listing, to be read all at once. Written before the listing and removed after it: no listing is without. */
const rows: Collection<ListingIndex.Kept> = {
  name: "drive_listing_row",
  schema: Schema.Struct({ listedAt: Schema.Finite, entries: Schema.Int })
}

const sweepEvery = Schedule.spaced("1 hour")

/** Of one length however long the path, and without the names in it. */
const keyOf = (account: Account, path: string) => `${account.id}:${createHash("sha256").update(path).digest("hex")}`
const accountOf = (key: string) => key.slice(0, key.lastIndexOf(":"))

export const make = Effect.fnUntraced(function* ({
  accounts,
  limits,
  store
}: Options): Effect.fn.Return<Listings, never, Scope.Scope> {
  // What other processes keep is counted from the next sweep on.
  let index = ListingIndex.make(limits)

  /** Unless it was listed anew since `at`. */
  const remove = Effect.fnUntraced(function* (key: string, at: number) {
    yield* store.modify(listings, key, (current) => [
      undefined,
      current === undefined || current.listedAt > at ? current : undefined
    ])
    yield* store.modify(rows, key, (current) => [
      undefined,
      current === undefined || current.listedAt > at ? current : undefined
    ])
    index.forget(key)
  })

  const removeSurplus = Effect.suspend(() =>
    Effect.forEach(
      index.surplus(),
      // One that has come anew while those before it went is no surplus any more.
      (key) => Effect.suspend(() => remove(key, index.get(key)?.listedAt ?? 0)),
      { discard: true }
    )
  )

  const sweep = Effect.gen(function* () {
    const held = yield* accounts
    index = ListingIndex.make(limits, yield* store.all(rows))
    const orphans = held === undefined ? [] : [...index.keys()].filter((key) => !isOf(held, key))
    yield* Effect.forEach(orphans, (key) => remove(key, Number.POSITIVE_INFINITY), { discard: true })
    yield* removeSurplus
  }).pipe(Effect.catch(storeFailed))
  yield* sweep
  yield* Effect.forkScoped(Effect.schedule(sweep, sweepEvery))

  const keep = Effect.fnUntraced(function* (account: Account, path: string, { entries, listedAt }: KnownListing) {
    if (entries.length > limits.listingEntries) return
    const key = keyOf(account, path)
    const now = yield* Clock.currentTimeMillis
    const row = { listedAt, entries: entries.length }
    const isNewest = yield* store.modify(rows, key, (current) =>
      // One from the future was written before the clock was set back.
      current !== undefined && current.listedAt > listedAt && current.listedAt <= now ? [false, current] : [true, row]
    )
    if (!isNewest) return
    yield* store.modify(listings, key, () => [
      undefined,
      { account: account.name, path, listedAt, rows: entries.map(rowOf) }
    ])
    index.note(key, row)
    yield* removeSurplus
  })

  return {
    find: (account, path) =>
      store.get(listings, keyOf(account, path)).pipe(
        Effect.map((kept) =>
          kept?.account === account.name && kept.path === path
            ? { entries: kept.rows.map(entryOf), listedAt: kept.listedAt }
            : undefined
        ),
        Effect.catch((error) => Effect.as(storeFailed(error), undefined))
      ),
    keep: (account, path, listing) => keep(account, path, listing).pipe(Effect.catch(storeFailed)),
    drop: (account, path) => remove(keyOf(account, path), Number.POSITIVE_INFINITY).pipe(Effect.catch(storeFailed))
  }
})

const isOf = (held: ReadonlySet<string>, key: string) => held.has(accountOf(key))

/** Without the detail, which may quote what is stored, and with it names of files. */
const storeFailed = ({ operation }: StoreUnavailable) =>
  Effect.logWarning(`known listings are out of reach: the store failed to ${operation}`).pipe(
    Effect.annotateLogs({ service: "Drive" })
  )
