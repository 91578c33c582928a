/** Which providers a person has paused: in the store, and as this process knows it. */
import { Clock, Duration, Effect, Schedule, Schema, Semaphore } from "effect"
import type { Scope } from "effect"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"

const Pause = Schema.Struct({
  /** Epoch milliseconds. */
  since: Schema.Finite
})
type Pause = typeof Pause.Type

/** By provider. */
const collection: Collection<Pause> = { name: "provider-pauses", schema: Pause }

export interface Pauses {
  /** Since when (epoch ms) it is paused, as far as this process knows; undefined when it is not. Never waits. */
  since(provider: string): number | undefined
  /** Durable when it returns, and known here; nothing has changed when it fails. Doing it twice is doing it once. */
  set(provider: string, isPaused: boolean): Effect.Effect<void, StoreUnavailable>
}

/** After so long all processes on the store hold to what one of them was told. */
export const takenOverWithin = Duration.seconds(2)
const lookEvery = "1500 millis"

/**
 * Reads them, and looks for changes until the scope closes. `changed` is told whenever one is paused or resumed after that, here
 * or by another process. While the store is away, what is known goes on to hold.
 */
export const make = Effect.fnUntraced(function* (
  changed: (provider: string, isPaused: boolean) => Effect.Effect<void>
): Effect.fn.Return<Pauses, StoreUnavailable, Store | Scope.Scope> {
  const store = yield* Store
  // Of a read and a write at once, what was read before would be taken over last.
  const reading = yield* Semaphore.make(1)
  // Those of the store: providers that were configured once.
  let known = yield* store.all(collection)
  for (const provider of known.keys()) {
    yield* Effect.logWarning(`${provider} is still paused: nothing starts there until it is resumed`).pipe(
      Effect.annotateLogs({ service: "Governor" })
    )
  }

  const takeOver = Effect.fnUntraced(function* (next: ReadonlyMap<string, Pause>) {
    const before = known
    known = next
    for (const provider of new Set([...before.keys(), ...next.keys()])) {
      if (before.has(provider) !== next.has(provider)) yield* changed(provider, next.has(provider))
    }
  })
  const look = Effect.flatMap(store.all(collection), takeOver).pipe(Effect.uninterruptible, reading.withPermit)

  let failing = false
  const lookQuietly = Effect.matchEffect(look, {
    onSuccess: () => Effect.sync(() => void (failing = false)),
    onFailure: (error) => {
      // Once, and not with every look.
      const isNew = !failing
      failing = true
      return isNew
        ? Effect.logWarning(`who is paused stays as it is known: ${error.message}`).pipe(
            Effect.annotateLogs({ service: "Governor" })
          )
        : Effect.void
    }
  })
  yield* Effect.forkScoped(Effect.schedule(lookQuietly, Schedule.spaced(lookEvery)))

  const set = Effect.fnUntraced(
    function* (provider: string, isPaused: boolean) {
      const now = yield* Clock.currentTimeMillis
      const stored = yield* store.modify(collection, provider, (current) => {
        const next = isPaused ? (current ?? { since: now }) : undefined
        return [next, next]
      })
      const next = new Map(known)
      if (stored === undefined) next.delete(provider)
      else next.set(provider, stored)
      yield* takeOver(next)
    },
    Effect.uninterruptible,
    reading.withPermit
  )

  return { since: (provider) => known.get(provider)?.since, set }
})
