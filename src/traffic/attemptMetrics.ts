/** What is counted of calls of models. */
import { Effect, Metric } from "effect"
import type { Context } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import { fromZero } from "../domain/zero.ts"

const calls = Metric.counter("weirgate_attempts_total", {
  description: "Upstream calls of model requests, by provider and by how they ended",
  incremental: true
})
const firstEvent = Metric.histogram("weirgate_first_event_ms", {
  description: "Time until a model call has sent its first event",
  boundaries: [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
})

/** `context` holds the registry. */
export const make = (context: Context.Context<never>) => {
  // One for each provider that was ever configured and for each way to end, of which there are few.
  const counters = new Map<string, Map<string, Metric.Counter<number>>>()
  const counterOf = (provider: string, outcome: string) => {
    const ofProvider = counters.get(provider) ?? new Map<string, Metric.Counter<number>>()
    counters.set(provider, ofProvider)
    const counter = ofProvider.get(outcome) ?? Metric.withAttributes(calls, { provider, outcome })
    ofProvider.set(outcome, counter)
    return counter
  }
  return {
    ended: (provider: string, outcome: Outcome) => counterOf(provider, outcome).updateUnsafe(1, context),
    firstEvent: (milliseconds: number) => firstEvent.updateUnsafe(milliseconds, context)
  }
}

type Outcome = "served" | CallFailure["_tag"]

const outcomes: ReadonlyArray<Outcome> = [
  "served",
  "QuotaExhausted",
  "AccessRejected",
  "AccountBlocked",
  "Throttled",
  "RequestRejected",
  "UpstreamUnavailable"
]

/** Of a provider that is offered, before its first call. */
export const begin = (provider: string): Effect.Effect<void> =>
  fromZero(outcomes.map((outcome) => Metric.withAttributes(calls, { provider, outcome })))
