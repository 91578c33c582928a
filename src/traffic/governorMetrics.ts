/** What the governor counts and says. Labels are providers and reasons, of which there are few. */
import { Effect, Metric } from "effect"
import type { Context } from "effect"
import { fromZero } from "../domain/zero.ts"
import { nameOf, type Target } from "../domain/Provider.ts"
import type { Circuit } from "./circuit.ts"
import type { ProviderDesk, Refusal } from "./sites.ts"

const granted = Metric.counter("weirgate_slots_granted_total", {
  description: "Slots given out, by provider",
  incremental: true
})
const refused = Metric.counter("weirgate_slots_refused_total", {
  description: "Requests that got no slot, by reason",
  incremental: true
})
const queueMs = Metric.histogram("weirgate_queue_ms", {
  description: "Time in line until a slot was given",
  boundaries: [1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
})
const waiting = Metric.gauge("weirgate_slots_waiting", {
  description: "Requests that wait for a provider, each at all that it waits for"
})
const inUse = Metric.gauge("weirgate_slots_in_use", { description: "Slots that are out, by provider" })

const paused = Metric.gauge("weirgate_provider_paused", {
  description: "1 while a person has paused the provider, else 0"
})

const refusals: ReadonlyArray<Refusal["reason"]> = ["full", "wait", "timeout", "unavailable", "paused"]

interface OfProvider {
  readonly granted: Metric.Counter<number>
  readonly waiting: Metric.Gauge<number>
  readonly inUse: Metric.Gauge<number>
  readonly paused: Metric.Gauge<number>
}

/** `context` holds the registry. */
export const make = (context: Context.Context<never>) => {
  // One for each provider that was ever asked for, and one for each reason.
  const providers = new Map<string, OfProvider>()
  const reasons = new Map<string, Metric.Counter<number>>()

  const of = (provider: string): OfProvider => {
    const known = providers.get(provider)
    if (known !== undefined) return known
    const made = {
      granted: Metric.withAttributes(granted, { provider }),
      waiting: Metric.withAttributes(waiting, { provider }),
      inUse: Metric.withAttributes(inUse, { provider }),
      paused: Metric.withAttributes(paused, { provider })
    }
    providers.set(provider, made)
    return made
  }

  return {
    /** Every reason is there from the start. */
    begin: fromZero(refusals.map((reason) => Metric.withAttributes(refused, { reason }))),
    granted: (provider: string, waitedMs: number): void => {
      of(provider).granted.updateUnsafe(1, context)
      queueMs.updateUnsafe(waitedMs, context)
    },
    refused: (reason: Refusal["reason"]): void => {
      const counter = reasons.get(reason) ?? Metric.withAttributes(refused, { reason })
      reasons.set(reason, counter)
      counter.updateUnsafe(1, context)
    },
    census: (desks: Iterable<ProviderDesk>) =>
      Effect.forEach(
        desks,
        ({ capacity, name, waiting }) =>
          Effect.all(
            [
              fromZero([of(name).granted]),
              Metric.update(of(name).waiting, waiting),
              Metric.update(of(name).inUse, capacity.inUse()),
              Metric.update(of(name).paused, Number(capacity.isPaused()))
            ],
            { discard: true }
          ),
        { discard: true }
      )
  }
}

/** Told at once, not with the next census: whoever pauses looks. */
export const toldPause = (provider: string, isPaused: boolean) =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(paused, { provider }), Number(isPaused)),
    Effect.logInfo(isPaused ? `${provider} is paused: nothing starts there` : `${provider} goes on`)
  ).pipe(Effect.annotateLogs({ service: "Governor" }))

/** A target has gone out of order, or has come back. */
export const told = (target: Target, { source, state, until }: ReturnType<Circuit["view"]>, now: number) =>
  state === "open"
    ? Effect.logWarning(
        `${nameOf(target)} is out of order; it is tried again in ${Math.ceil(((until ?? now) - now) / 1000)} s (${source})`
      )
    : Effect.logInfo(state === "returning" ? `${nameOf(target)} answers again` : `${nameOf(target)} is in order`)
