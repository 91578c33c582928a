/** Work that all who want it at once share, by key. It goes on while anyone waits, or when it may not stop any more. */
import { Deferred, Effect, Fiber } from "effect"

export interface Flights<T, A> {
  /** What the work for `key` under way is about. */
  current(key: string): T | undefined
  /** How much is under way. */
  size(): number
  /**
   * Waits for the work under way for `key`, or begins `work` when there is none. Work stops when the last who waits leaves,
   * unless it has called `commit`; it then ends by itself. Any number may wait.
   */
  join(
    key: string,
    about: T,
    work: (commit: Effect.Effect<void>) => Effect.Effect<A>
  ): Effect.Effect<{ readonly led: boolean; readonly about: T; readonly value: A }>
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface Flight<T, A> {
  readonly about: T
  readonly done: Deferred.Deferred<A>
  waiting: number
  committed: boolean
  fiber: Fiber.Fiber<unknown> | undefined
}

/** The work belongs to the scope: when it closes, what is committed is waited for and the rest stopped. */
export const make = Effect.fnUntraced(function* <T, A>() {
  const scope = yield* Effect.scope
  const flights = new Map<string, Flight<T, A>>()

  const leave = (key: string, flight: Flight<T, A>) => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  const depart = Effect.fnUntraced(function* (key: string, about: T, work: Parameters<Flights<T, A>["join"]>[2]) {
    const flight: Flight<T, A> = { about, done: Deferred.makeUnsafe(), waiting: 0, committed: false, fiber: undefined }
    flights.set(key, flight)
    const commit = Effect.sync(() => {
      flight.committed = true
    })
    flight.fiber = yield* Effect.suspend(() => work(commit)).pipe(
      Effect.onExit((exit) => {
        leave(key, flight)
        return Deferred.done(flight.done, exit)
      }),
      Effect.forkIn(scope, { startImmediately: true })
    )
    return flight
  })

  /** One who waits is gone. */
  const part = (key: string, flight: Flight<T, A>): Effect.Effect<void> => {
    flight.waiting -= 1
    if (flight.waiting > 0 || flight.committed || flight.fiber === undefined) return Effect.void
    leave(key, flight)
    return Effect.asVoid(Fiber.interrupt(flight.fiber))
  }

  const board = (key: string, flight: Flight<T, A>, led: boolean, restore: Restore) => {
    flight.waiting += 1
    const landed = Effect.onExit(restore(Deferred.await(flight.done)), () => part(key, flight))
    return Effect.map(landed, (value) => ({ led, about: flight.about, value }))
  }

  const join: Flights<T, A>["join"] = (key, about, work) =>
    Effect.uninterruptibleMask((restore) => {
      const found = flights.get(key)
      return found === undefined
        ? Effect.flatMap(depart(key, about, work), (flight) => board(key, flight, true, restore))
        : board(key, found, false, restore)
    })

  const made: Flights<T, A> = { current: (key) => flights.get(key)?.about, size: () => flights.size, join }
  return made
})
