/** What a store stands on that is gone with its process. */
import { Effect } from "effect"
import type { Backend } from "./backend.ts"
import { MemoryJournal } from "./memoryJournal.ts"
import { attempt } from "./StoreUnavailable.ts"

/** Keeps text, not values, so that a schema that does not survive a restart fails in a test too. */
export const make = (): Backend => {
  const collections = new Map<string, Map<string, string>>()
  const journals = new Map<string, MemoryJournal>()
  const journalOf = (name: string) => {
    let found = journals.get(name)
    if (found === undefined) journals.set(name, (found = new MemoryJournal()))
    return found
  }
  const of = (name: string) => {
    let found = collections.get(name)
    if (found === undefined) collections.set(name, (found = new Map()))
    return found
  }
  return {
    get: (collection, key) => Effect.sync(() => of(collection).get(key)),
    all: (collection) => Effect.sync(() => [...of(collection)]),
    modify: (collection, key, change) =>
      attempt(`change ${collection}`, () => {
        const records = of(collection)
        const next = change(records.get(key))
        if (next === undefined) records.delete(key)
        else records.set(key, next)
      }),
    transact: (step) =>
      attempt("change records", () => {
        const before: Array<() => void> = []
        const set = (collection: string, key: string, text: string | undefined) => {
          if (text === undefined) of(collection).delete(key)
          else of(collection).set(key, text)
        }
        try {
          step({
            get: (collection, key) => of(collection).get(key),
            set: (collection, key, text) => {
              const earlier = of(collection).get(key)
              before.push(() => set(collection, key, earlier))
              set(collection, key, text)
            }
          })
        } catch (cause) {
          for (const undo of before.toReversed()) undo()
          throw cause
        }
      }),
    append: (journal, keep, entries) => Effect.sync(() => journalOf(journal).append(entries, keep)),
    read: (journal, before, limit) => Effect.sync(() => journalOf(journal).read(before, limit))
  }
}
