/** What the manager tells of itself, never a secret. */
import { Effect, Metric } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { ReportedOutcome } from "./TokenManager.ts"

const ends = Metric.counter("weirgate_token_leases_total", {
  description:
    "Leases given to programs outside that have ended, by provider and how: as reported, run_out or crowded_out",
  incremental: true
})
const refusals = Metric.counter("weirgate_token_reports_refused_total", {
  description: "Reports of leases that were not taken, by reason",
  incremental: true
})

type End = ReportedOutcome | "run_out" | "crowded_out"
const reasons = ["unknown", "reported", "expired", "none", "gone"] as const
type Refusal = (typeof reasons)[number]

export const begun: Effect.Effect<void> = fromZero(reasons.map((reason) => Metric.withAttributes(refusals, { reason })))

export interface Telling {
  ended(provider: string, end: End): Effect.Effect<void>
  refused(reason: Refusal): Effect.Effect<void>
}

export const make = (): Telling => {
  /** One for each provider and end, and for each reason. */
  const labelled = new Map<string, Effect.Effect<void>>()
  const once = (key: string, make: () => Effect.Effect<void>) => {
    let known = labelled.get(key)
    if (known === undefined) labelled.set(key, (known = make()))
    return known
  }
  return {
    ended: (provider, end) =>
      once(`${end} ${provider}`, () => Metric.update(Metric.withAttributes(ends, { provider, end }), 1)),
    refused: (reason) => once(reason, () => Metric.update(Metric.withAttributes(refusals, { reason }), 1))
  }
}
