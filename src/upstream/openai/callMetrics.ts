/** Counts how the calls to one provider end, and how long their answers take to begin. */
import type { Context } from "effect"
import { Metric } from "effect"
import type { CallFailure } from "../../domain/Failure.ts"
import type { Endpoint } from "../ModelClient.ts"

export type Result = "ok" | "interrupted" | CallFailure["_tag"]

export interface CallMetrics {
  ended(endpoint: Endpoint, result: Result): void
  /** From the request's leaving until the answer's headers. */
  answered(milliseconds: number): void
}

const calls = Metric.counter("weirgate_upstream_calls_total", {
  description: "Calls to an upstream, by kind and by how they ended.",
  incremental: true
})

const firstByte = Metric.histogram("weirgate_upstream_first_byte_seconds", {
  description: "From a request's leaving until the headers of its answer.",
  boundaries: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
})

/** Of the calls that nearly all are, there from the start. */
const usual: ReadonlyArray<Result> = ["ok", "Throttled", "UpstreamUnavailable"]

/** `context` holds the registry. */
export const make = (provider: string, context: Context.Context<never>): CallMetrics => {
  const answers = Metric.withAttributes(firstByte, { provider })
  // One for each endpoint and result, of which there are few.
  const counters = new Map<string, Metric.Counter<number>>()
  const counterOf = (endpoint: Endpoint, result: Result) => {
    const key = `${endpoint} ${result}`
    const known = counters.get(key)
    if (known !== undefined) return known
    const counter = Metric.withAttributes(calls, { provider, call: endpoint.slice(1), result })
    counters.set(key, counter)
    return counter
  }
  for (const result of usual) counterOf("/chat/completions", result).updateUnsafe(0, context)
  return {
    ended: (endpoint, result) => counterOf(endpoint, result).updateUnsafe(1, context),
    answered: (milliseconds) => answers.updateUnsafe(milliseconds / 1_000, context)
  }
}
