/**
 * The ledgers in the store. The end of an attempt that the store would not take is kept to all the same, and stored as soon
 * as it can be.
 */
import { Clock, Effect, Metric } from "effect"
import type { Collection, Store } from "../store/Store.ts"
import * as ledger from "./ledger.ts"

const ledgers: Collection<ledger.Ledger> = { name: "acquisition-ledger", schema: ledger.Ledger }

/** What the end of an attempt makes of the ledger; folding it in twice is as once. */
type End = (current: ledger.Ledger) => ledger.Ledger

export const make = (store: Store["Service"]) => {
  /** Ends that the store has not taken yet, by provider and attempt: no more than places were spent. */
  const unsaved = new Map<string, Map<string, End>>()
  const unsavedOf = (provider: string) => {
    const known = unsaved.get(provider)
    if (known !== undefined) return known
    const none = new Map<string, End>()
    unsaved.set(provider, none)
    return none
  }
  const foldIn = (ends: Iterable<readonly [string, End]>, stored: ledger.Ledger = ledger.empty) =>
    [...ends].reduce((current, [, end]) => end(current), stored)

  const read = (provider: string) =>
    Effect.map(store.get(ledgers, provider), (stored) => foldIn(unsavedOf(provider), stored))

  // Uninterruptible: what the store has taken must not stay among what it has not.
  const update = <A>(
    provider: string,
    f: (current: ledger.Ledger, now: number) => readonly [answer: A, next: ledger.Ledger]
  ) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const waiting = unsavedOf(provider)
      const { answer, before, ends, next } = yield* store.modify(ledgers, provider, (before = ledger.empty) => {
        const ends = [...waiting]
        // Read inside: the wait for other writers would make an instant read before it too early.
        const [answer, next] = f(foldIn(ends, before), clock.currentTimeMillisUnsafe())
        return [{ answer, before, ends, next }, next]
      })
      for (const [id, end] of ends) if (waiting.get(id) === end) waiting.delete(id)
      yield* count(before, next)
      return answer
    }).pipe(Effect.uninterruptible)

  const settle = (provider: string, id: string, end: End) =>
    Effect.suspend(() => {
      unsavedOf(provider).set(id, end)
      return update(provider, (current) => [undefined, current])
    })

  return { read, update, settle }
}

const attemptsTotal = Metric.counter("weirgate_acquisition_attempts_total", {
  description: "Places in the acquisition budget, by what became of them",
  incremental: true
})
const reserved = Metric.withAttributes(attemptsTotal, { outcome: "reserved" })
const succeeded = Metric.withAttributes(attemptsTotal, { outcome: "succeeded" })
const failed = Metric.withAttributes(attemptsTotal, { outcome: "failed" })
export const counters = [reserved, succeeded, failed]

/** Counts what has been stored, and so each thing once, however often its writing was tried. */
const count = Effect.fnUntraced(function* (before: ledger.Ledger, after: ledger.Ledger) {
  if (after.total > before.total) yield* Metric.update(reserved, after.total - before.total)
  if (after.succeeded > before.succeeded) yield* Metric.update(succeeded, after.succeeded - before.succeeded)
  if (after.failed > before.failed) yield* Metric.update(failed, after.failed - before.failed)
})
