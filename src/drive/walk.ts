/** Goes down a path of the drive, from the root or from a folder that is known, and lists the folder at its end. */
import { Effect } from "effect"
import { AccessRejected, RequestRejected, UpstreamUnavailable } from "../domain/Failure.ts"
import type { NoTokenUsable } from "../pool/lease.ts"
import {
  rootFolder,
  type WopanClient,
  type WopanEntry,
  type WopanFailure,
  wopanProvider as provider
} from "../upstream/WopanClient.ts"
import type { Session } from "./session.ts"

/** The folder of the first `depth` names of a path. */
export interface Place {
  readonly depth: number
  readonly id: string
}

const root: Place = { depth: 0, id: rootFolder }

/** The first `depth` names of the path lead to no folder. */
export interface Missing {
  readonly _tag: "Missing"
  readonly depth: number
}

export interface Walk {
  readonly client: WopanClient["Service"]
  readonly session: Session
  readonly names: ReadonlyArray<string>
  /** The most pages of one folder; a folder with more cannot be listed. */
  readonly maxPages: number
  /** Told of each folder that was listed to its end, the last one included. */
  listed(depth: number, entries: ReadonlyArray<WopanEntry>): Effect.Effect<void>
}

export const isFolder = (name: string) => (entry: WopanEntry) => entry.type === "folder" && entry.name === name
export const isFile = (name: string) => (entry: WopanEntry) => entry.type === "file" && entry.name === name

/**
 * What the folder holds that all the names lead to. The first folder of each name counts. `from` is where a listing of
 * before says that the path leads; unless that ends in an answer the path is gone down once more from the root, for the id
 * may be of a folder that is gone, or goes by another name now.
 */
export const walk = (
  walk: Walk,
  from: Place | undefined
): Effect.Effect<ReadonlyArray<WopanEntry>, WopanFailure | NoTokenUsable | Missing> => {
  const fromRoot = descend(walk, root)
  if (from === undefined) return fromRoot
  return descend(walk, from).pipe(
    // Of an id that it does not know a drive may also say that it is empty.
    Effect.flatMap((entries) => (entries.length === 0 ? fromRoot : Effect.succeed(entries))),
    // The dispatcher has the same code for a secret that has ended and for a parameter it does not like.
    Effect.catchIf(
      (failure) =>
        failure._tag === "Missing" || failure instanceof RequestRejected || failure instanceof AccessRejected,
      () => fromRoot
    )
  )
}

const descend = Effect.fnUntraced(function* (walk: Walk, from: Place) {
  let { id } = from
  for (const [index, name] of walk.names.entries()) {
    if (index < from.depth) continue
    const { entries, isWhole } = yield* read(walk, id, isFolder(name))
    if (isWhole) yield* walk.listed(index, entries)
    const folder = entries.find(isFolder(name))
    if (folder === undefined) return yield* Effect.fail<Missing>({ _tag: "Missing", depth: index + 1 })
    id = folder.id
  }
  const { entries } = yield* read(walk, id)
  yield* walk.listed(walk.names.length, entries)
  return entries
})

/** The entries of a folder, page by page, to its end or until one of them is what is looked for. */
const read = Effect.fnUntraced(function* (
  { client, maxPages, session }: Walk,
  folderId: string,
  isSought: (entry: WopanEntry) => boolean = () => false
) {
  const entries: Array<WopanEntry> = []
  const seen = new Set<string>()
  for (let page = 0; page < maxPages; page += 1) {
    const answer = yield* session.ask((token) => client.list(token, folderId, page))
    // What comes into a folder while it is listed moves others to the next page, where they stand once more.
    const fresh = answer.entries.filter(({ id }) => !seen.has(id))
    for (const entry of fresh) {
      seen.add(entry.id)
      entries.push(entry)
    }
    if (answer.isLast) return { entries, isWhole: true }
    if (fresh.some(isSought)) return { entries, isWhole: false }
    if (fresh.length === 0) return yield* unlistable("a page of a folder repeats those before it")
  }
  return yield* unlistable(`a folder has more than ${maxPages} pages`)
})

const unlistable = (detail: string) => new UpstreamUnavailable({ provider, reason: "malformed", detail })
