/** Which leases have been reported: known to all processes on the store, and over a restart, for as long as it matters. */
import { Clock, Deferred, Effect, Fiber, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"

export interface ReportedLeases {
  /**
   * True for the first who asks, here or elsewhere. Waits for the store for at most two seconds; when it fails, or does not
   * answer, what this process knows decides, and the store is told as soon as it takes it.
   */
  claim(id: string, endsAt: number): Effect.Effect<boolean>
}

/** Holds what was reported within the time of a lease and six minutes: a record of some 50 bytes each. */
const collection: Collection<{ readonly until: number }> = {
  name: "reported_lease",
  schema: Schema.Struct({ until: Schema.Finite })
}

/** Known here and not to the store: beyond so many the oldest is forgotten, and could be reported once more. */
const maxUnsaved = 10_000
/** How long a report waits for the store. */
const patience = "2 seconds"
const saveEvery = Schedule.spaced("30 seconds")
const sweepEvery = Schedule.spaced("5 minutes")
/** One process may be ahead of another's clock by so much. */
const grace = 60_000

export const make = Effect.fnUntraced(function* (
  store: Store["Service"]
): Effect.fn.Return<ReportedLeases, never, Scope.Scope> {
  /** The store is being told of them: as many as are reported at this moment. */
  const asking = new Set<string>()
  /** The store could not be told of them yet. */
  const unsaved = new Map<string, number>()

  const save = (id: string, endsAt: number) =>
    store.modify(collection, id, (current) =>
      current === undefined ? [true, { until: endsAt + grace }] : [false, current]
    )

  const saveAll = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const [id, endsAt] of Array.from(unsaved)) {
      if (endsAt + grace > now) yield* save(id, endsAt)
      unsaved.delete(id)
    }
  })

  const sweep = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const over = [...(yield* store.all(collection))].filter(([, { until }]) => until <= now)
    if (over.length === 0) return
    yield* store.transact((records) => {
      for (const [id] of over) records.set(collection, id, undefined)
    })
  })

  const quietly = (effect: Effect.Effect<void, StoreUnavailable>) =>
    effect.pipe(
      Effect.catch((error) =>
        Effect.logWarning(`which leases were reported is kept in memory: ${error.message}`).pipe(
          Effect.annotateLogs({ service: "TokenManager" })
        )
      )
    )
  yield* Effect.addFinalizer(() => quietly(saveAll))
  yield* Effect.forkScoped(Effect.schedule(quietly(saveAll), saveEvery))
  yield* Effect.forkScoped(Effect.schedule(quietly(sweep), sweepEvery))

  /** Undefined when the store fails or does not answer in time. Once begun it goes on, whoever has left meanwhile. */
  const isFirst = Effect.fnUntraced(function* (id: string, endsAt: number) {
    const answer = Deferred.makeUnsafe<boolean | undefined>()
    yield* save(id, endsAt).pipe(
      Effect.orElseSucceed(() => undefined),
      Effect.flatMap((first) => Deferred.succeed(answer, first)),
      Effect.forkDetach({ startImmediately: true })
    )
    if (Deferred.isDoneUnsafe(answer)) return yield* Deferred.await(answer)
    const timer = yield* Effect.sleep(patience).pipe(
      Effect.andThen(Deferred.succeed(answer, undefined)),
      Effect.forkDetach({ startImmediately: true })
    )
    return yield* Effect.ensuring(Deferred.await(answer), Fiber.interrupt(timer))
  })

  return {
    claim: (id, endsAt) =>
      Effect.gen(function* () {
        if (asking.has(id) || unsaved.has(id)) return false
        asking.add(id)
        const first = yield* Effect.ensuring(
          isFirst(id, endsAt),
          Effect.sync(() => asking.delete(id))
        )
        if (first !== undefined) return first
        const [oldest] = unsaved.keys()
        if (unsaved.size >= maxUnsaved && oldest !== undefined) unsaved.delete(oldest)
        unsaved.set(id, endsAt)
        return true
      }).pipe(Effect.uninterruptible)
  }
})
