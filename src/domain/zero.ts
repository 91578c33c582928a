/** Counters that are there before anything happened, so that the first time is seen as a rise from 0. */
import { Effect, Metric } from "effect"

export const fromZero = (counters: Iterable<Metric.Counter<number>>): Effect.Effect<void> =>
  Effect.forEach(counters, (counter) => Metric.update(counter, 0), { discard: true })
