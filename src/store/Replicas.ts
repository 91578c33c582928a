/**
 * A collection held in memory and written behind: an event is folded into the record at once, and into the stored
 * record a moment later, through the same pure function. So the hot path never waits for a disk, and what several
 * processes observe adds up instead of overwriting.
 */
import { Clock, Effect, Result, Schedule, Semaphore } from "effect"
import type { Duration, Scope } from "effect"
import { type Collection, Store, type StoreUnavailable } from "./Store.ts"

/** The pure rule of a record: `undefined` before it exists and after it is removed. */
export type Fold<A, E> = (current: A | undefined, now: number, event: E) => A | undefined

export interface Replicas<A, E> {
  /** The record as this process knows it, own events included. Never waits. */
  get(key: string): A | undefined
  all(): ReadonlyMap<string, A>
  /** Folds an event in at once; it is stored within `flushEvery` and lost only if the process dies before. Never waits. */
  record(key: string, now: number, event: E): void
  /**
   * Folds an event in and stores it, with those recorded before, ere it returns what the record has become. When the
   * store fails, the event stays folded in here and is stored as soon as it can be.
   */
  commit(key: string, event: E): Effect.Effect<A | undefined, StoreUnavailable>
  /**
   * Takes over records that this process has just stored by other means, with what has been folded into them here. Waits
   * while records are being stored.
   */
  adopt(stored: ReadonlyMap<string, A>): Effect.Effect<void>
  /** Stores what is pending and takes over what other processes have stored. */
  readonly sync: Effect.Effect<void, StoreUnavailable>
}

/** Most expendable events kept for one record while the store is away; beyond it the oldest of them is given up. */
const maxPending = 10_000

interface Pending<E> {
  readonly now: number
  readonly event: E
}

export interface ReplicasOptions<A, E> {
  readonly collection: Collection<A>
  readonly fold: Fold<A, E>
  /** Default 1 second. */
  readonly flushEvery?: Duration.Input
  /**
   * Whether an event may be given up when the store is away for long (default: any). What may not be is kept, however many
   * there are.
   */
  readonly expendable?: (event: E) => boolean
  /** Two events in a row as one that does the same, where there is one: then the store is told of many at the cost of one. */
  readonly merged?: (earlier: E, later: E) => E | undefined
}

/** Loads the collection, and stores what is pending every `flushEvery` and when the scope closes. */
export const make = Effect.fnUntraced(function* <A, E>(
  options: ReplicasOptions<A, E>
): Effect.fn.Return<Replicas<A, E>, StoreUnavailable, Store | Scope.Scope> {
  const { collection, fold, expendable = () => true, merged } = options
  const store = yield* Store
  // One flush at a time: two would store the same pending events twice.
  const flushing = yield* Semaphore.make(1)
  const local = new Map<string, A>(yield* store.all(collection))
  const pending = new Map<string, Array<Pending<E>>>()

  const settle = (key: string, record: A | undefined) => {
    if (record === undefined) local.delete(key)
    else local.set(key, record)
    return record
  }
  const foldAll = (record: A | undefined, events: ReadonlyArray<Pending<E>>) =>
    events.reduce((current, { now, event }) => fold(current, now, event), record)

  const record = (key: string, now: number, event: E) => {
    settle(key, fold(local.get(key), now, event))
    const events = pending.get(key)
    if (events === undefined) return void pending.set(key, [{ now, event }])
    const last = events.at(-1)
    const both = last === undefined ? undefined : merged?.(last.event, event)
    if (both !== undefined) events[events.length - 1] = { now, event: both }
    else if (events.push({ now, event }) > maxPending) giveUpOne(events)
  }
  const giveUpOne = (events: Array<Pending<E>>) => {
    const oldest = events.findIndex(({ event }) => expendable(event))
    if (oldest >= 0) events.splice(oldest, 1)
  }

  // Uninterruptible: between the store's write and our taking it over, an event would be lost or stored twice.
  const flush = (key: string) =>
    Effect.suspend(() => {
      const events = pending.get(key)
      if (events === undefined) return Effect.succeed(local.get(key))
      pending.delete(key)
      return store
        .modify(collection, key, (stored) => {
          const next = foldAll(stored, events)
          return [next, next]
        })
        .pipe(
          Effect.map((stored) => settle(key, foldAll(stored, pending.get(key) ?? []))),
          Effect.tapError(() => Effect.sync(() => pending.set(key, [...events, ...(pending.get(key) ?? [])])))
        )
    }).pipe(Effect.uninterruptible)

  /** Each record by itself: one that cannot be stored must not keep the others from it. */
  const flushPending = Effect.gen(function* () {
    let failure: StoreUnavailable | undefined
    for (const key of Array.from(pending.keys())) {
      const flushed = yield* Effect.result(flush(key))
      if (Result.isFailure(flushed)) failure ??= flushed.failure
    }
    if (failure !== undefined) return yield* failure
  })

  const sync = Effect.gen(function* () {
    yield* flushPending
    const stored = yield* store.all(collection)
    for (const key of new Set([...stored.keys(), ...local.keys()])) {
      settle(key, foldAll(stored.get(key), pending.get(key) ?? []))
    }
  }).pipe(flushing.withPermit)

  const flushQuietly = flushing
    .withPermit(flushPending)
    .pipe(
      Effect.catch((error) =>
        Effect.logWarning(`kept in memory only: ${error.message}`).pipe(
          Effect.annotateLogs({ service: "Store", collection: collection.name })
        )
      )
    )
  yield* Effect.addFinalizer(() => flushQuietly)
  yield* Effect.forkScoped(Effect.schedule(flushQuietly, Schedule.spaced(options.flushEvery ?? "1 second")))

  return {
    get: (key) => local.get(key),
    all: () => local,
    record,
    commit: (key, event) =>
      Effect.gen(function* () {
        record(key, yield* Clock.currentTimeMillis, event)
        return yield* flushing.withPermit(flush(key))
      }),
    // Not while a look is under way that was taken before they were stored: it would drop them again.
    adopt: (stored) =>
      flushing.withPermit(
        Effect.sync(() => {
          for (const [key, record] of stored) settle(key, foldAll(record, pending.get(key) ?? []))
        })
      ),
    sync
  }
})
