/** Stores whose calls can be counted and refused, and folders for those on disk. */
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"

export interface Watched {
  readonly store: Store["Service"]
  /** Calls since, as `get client-keys`. */
  readonly calls: Array<string>
  /** While true, it is away. */
  isAway: boolean
  /** While it is, these calls fail and others do not. */
  refused: RegExp
}

/** The store in the context, watched. */
export const watched = Effect.map(Store, (store): Watched => {
  const seen: Watched = { store, calls: [], isAway: false, refused: /./ }
  const through = <A>(operation: string, name: string, effect: Effect.Effect<A, StoreUnavailable>) =>
    Effect.suspend(() => {
      const call = `${operation} ${name}`
      seen.calls.push(call)
      return seen.isAway && seen.refused.test(call)
        ? Effect.fail(new StoreUnavailable({ operation, detail: "it is away in this test" }))
        : effect
    })
  return Object.assign(seen, {
    store: Store.of({
      get: (collection, key) => through("get", collection.name, store.get(collection, key)),
      all: (collection) => through("all", collection.name, store.all(collection)),
      modify: (collection, key, change) => through("modify", collection.name, store.modify(collection, key, change)),
      transact: (step) => through("transact", "records", store.transact(step)),
      append: (journal, entries) => through("append", journal.name, store.append(journal, entries)),
      recent: (journal, limit) => through("recent", journal.name, store.recent(journal, limit)),
      page: (journal, query) => through("page", journal.name, store.page(journal, query))
    })
  })
})

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-access-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** All bytes of all its files, as text of one character a byte. */
export const bytesIn = (folder: string): string =>
  readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), "latin1"))
    .join("")
