/** Where a file can be had: its fid from a listing, its address with the token of the account that was listed. */
import { Duration, Effect } from "effect"
import { AccessRejected, RequestRejected } from "../domain/Failure.ts"
import type { TokenPool } from "../pool/TokenPool.ts"
import type { WopanClient } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"
import { PathUnknown } from "./failure.ts"
import type { Known } from "./known.ts"
import type { KnownListing } from "./listings.ts"
import type { Live } from "./live.ts"
import { pathOf } from "./path.ts"
import { stale, withSession } from "./session.ts"
import { isFile } from "./walk.ts"

export interface Options {
  readonly pool: TokenPool["Service"]
  readonly client: WopanClient["Service"]
  readonly known: Known
  readonly live: Live
  readonly within: Duration.Duration
}

export interface Sought {
  readonly folder: ReadonlyArray<string>
  readonly name: string
  readonly realtime: boolean
}

export const fidOf = ({ entries }: KnownListing, name: string): string | undefined => entries.find(isFile(name))?.fid

export const make = ({ client, known, live, pool, within }: Options) => {
  const ofFid = (account: Account, fid: string) =>
    withSession(pool, account, within, ({ ask }) => ask((token) => client.downloadUrl(token, fid)))

  /** Undefined when the account has no such file any more. Then it is the listing that has to tell, and not the token. */
  const ofKnownFid = (account: Account, fid: string) =>
    withSession(pool, account, within, ({ ask }) =>
      ask((token) => client.downloadUrl(token, fid)).pipe(
        // The dispatcher has the same code for a secret that has ended and for a parameter it does not like.
        Effect.catchIf(
          (failure) => failure instanceof RequestRejected || failure instanceof AccessRejected,
          () => Effect.fail(stale)
        )
      )
    ).pipe(Effect.catchTag("Stale", () => Effect.succeed(undefined)))

  /** Waits for the drive: for the address alone when a fresh listing knows the file, else for a live listing too. */
  const find = Effect.fnUntraced(function* (account: Account, { folder, name, realtime }: Sought) {
    const listing = realtime ? undefined : yield* known.fresh(account, pathOf(folder))
    const knownFid = listing && fidOf(listing, name)
    const url = knownFid === undefined ? undefined : yield* ofKnownFid(account, knownFid)
    if (url !== undefined) return url
    const fid = fidOf(yield* live({ account, names: folder, realtime }), name)
    return fid === undefined ? yield* new PathUnknown({ path: pathOf([...folder, name]) }) : yield* ofFid(account, fid)
  })

  return { find, ofFid }
}
