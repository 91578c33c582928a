/** Listings as the drive tells them now. Those who want the same at once share the calls. */
import { Cache, Clock, Duration, Effect } from "effect"
import type { TokenPool } from "../pool/TokenPool.ts"
import type { WopanClient } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"
import { type DriveFailure, PathUnknown } from "./failure.ts"
import type { Known } from "./known.ts"
import type { KnownListing, Listings } from "./listings.ts"
import { pathOf } from "./path.ts"
import { withSession } from "./session.ts"
import * as Walk from "./walk.ts"

export interface Options {
  readonly pool: TokenPool["Service"]
  readonly client: WopanClient["Service"]
  readonly listings: Listings
  readonly maxPages: number
  readonly within: Duration.Duration
  readonly isFresh: Known["isFresh"]
}

export interface Wanted {
  readonly account: Account
  readonly names: ReadonlyArray<string>
  /** Nothing that is known of the way there is believed. */
  readonly realtime: boolean
}

export type Live = (wanted: Wanted) => Effect.Effect<KnownListing, DriveFailure>

/**
 * Lists a folder live, and keeps what was listed on the way. Work that is shared goes on while anyone waits for it, at most
 * for `within`; as many may be under way as there are callers.
 */
export const make = Effect.fnUntraced(function* ({ client, isFresh, listings, maxPages, pool, within }: Options) {
  /** The deepest folder on the way that a fresh listing knows the id of. */
  const knownPlace = Effect.fnUntraced(function* ({ account, names }: Wanted) {
    for (let depth = names.length; depth > 0; depth -= 1) {
      const known = yield* listings.find(account, pathOf(names.slice(0, depth - 1)))
      if (known === undefined || !isFresh(known, yield* Clock.currentTimeMillis)) continue
      const folder = known.entries.find(Walk.isFolder(names[depth - 1] ?? ""))
      if (folder !== undefined) return { depth, id: folder.id }
    }
    return undefined
  })

  const list = Effect.fn("Drive.listLive")(function* (wanted: Wanted) {
    const { account, names } = wanted
    const path = pathOf(names)
    const from = wanted.realtime ? undefined : yield* knownPlace(wanted)
    return yield* withSession(pool, account, within, (session) =>
      Effect.gen(function* () {
        // The last is the one that is asked for: it is answered with the instant that it is kept with.
        let listedAt = 0
        const listed: Walk.Walk["listed"] = (depth, entries) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            listedAt = now
            return listings.keep(account, pathOf(names.slice(0, depth)), { entries, listedAt })
          })
        const entries = yield* Walk.walk({ client, session, names, maxPages, listed }, from)
        return { entries, listedAt }
      })
    ).pipe(
      Effect.catchTag("Missing", ({ depth }) =>
        Effect.forEach(new Set([path, pathOf(names.slice(0, depth))]), (gone) => listings.drop(account, gone), {
          discard: true
        }).pipe(Effect.andThen(Effect.fail(new PathUnknown({ path }))))
      )
    )
  })

  // A bound would put an end to work that others wait for: there is one for each caller at most.
  const flights = yield* Cache.makeWith(list, {
    capacity: Number.POSITIVE_INFINITY,
    timeToLive: () => Duration.zero
  })
  const live: Live = (wanted) => Cache.get(flights, wanted)
  return live
})
