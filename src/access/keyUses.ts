/** When each key was used last: counted in memory, written behind, and the latest of what all processes saw. */
import { Effect, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import type { Keyring } from "./keyring.ts"

export interface KeyUses {
  /** Epoch milliseconds by the key's id, as far as it can be told. Never fails: without the store, what this process saw. */
  readonly latest: Effect.Effect<(keyId: string) => number | undefined>
  /** Clears away those of keys that are not listed any more. */
  readonly forget: Effect.Effect<void, StoreUnavailable>
}

const Used = Schema.Struct({ at: Schema.Finite })
const uses: Collection<typeof Used.Type> = { name: "client-key-uses", schema: Used }

const saveEvery = "10 seconds"

/** Stores what is new every ten seconds, a write a key, and when the scope closes. */
export const make = Effect.fnUntraced(function* (ring: Keyring): Effect.fn.Return<KeyUses, never, Store | Scope.Scope> {
  const store = yield* Store

  const save = Effect.gen(function* () {
    const taken = ring.takeUses()
    for (const [i, [keyId, at]] of taken.entries()) {
      yield* store
        .modify(uses, keyId, (current) => [undefined, current !== undefined && current.at >= at ? current : { at }])
        .pipe(Effect.tapError(() => Effect.sync(() => ring.returnUses(taken.slice(i)))))
    }
  }).pipe(
    Effect.uninterruptible,
    Effect.catch((error) => Effect.logWarning(`when keys were used is kept in memory only: ${error.message}`))
  )

  yield* Effect.addFinalizer(() => save)
  yield* Effect.forkScoped(Effect.schedule(save, Schedule.spaced(saveEvery)))

  return {
    latest: store.all(uses).pipe(
      Effect.catch(() => Effect.succeed(new Map<string, typeof Used.Type>())),
      Effect.map((stored) => (keyId) => {
        const [theirs, ours] = [stored.get(keyId)?.at, ring.usedAt(keyId)]
        return theirs === undefined || ours === undefined ? (theirs ?? ours) : Math.max(theirs, ours)
      })
    ),
    forget: Effect.gen(function* () {
      const listed = new Set(ring.made().map(({ id }) => id))
      for (const keyId of (yield* store.all(uses)).keys()) {
        // Another process may run on another configuration.
        if (keyId.startsWith("configured:") || listed.has(keyId)) continue
        yield* store.modify(uses, keyId, () => [undefined, undefined])
      }
    })
  }
})
