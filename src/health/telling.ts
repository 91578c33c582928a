/** What the health checks count and say: a metric for each, a log line only when a token's checks begin to fail or to go well. */
import { Effect, Metric } from "effect"
import type { LastCheck } from "../pool/tokenState.ts"
import type { CheckResult } from "./HealthChecks.ts"

const checks = Metric.counter("weirgate_health_checks_total", {
  description: "Checks of tokens that spend nothing, by provider and by result",
  incremental: true
})

export const annotated = Effect.annotateLogs({ service: "HealthChecks" })

/** Of one layer. */
export const make = () => {
  // Two for each provider that was ever checked.
  const counters = new Map<string, Metric.Counter<number>>()
  const counterOf = (provider: string, result: "ok" | "failed") => {
    const key = `${result} ${provider}`
    const known = counters.get(key)
    if (known !== undefined) return known
    const counter = Metric.withAttributes(checks, { provider, result })
    counters.set(key, counter)
    return counter
  }
  return {
    checked: ({ detail, name, ok, provider, token }: CheckResult, before: LastCheck | undefined): Effect.Effect<void> =>
      Effect.andThen(
        Effect.andThen(
          Metric.update(counterOf(provider, ok ? "ok" : "failed"), 1),
          // So that the first that ends otherwise is seen as a rise.
          Metric.update(counterOf(provider, ok ? "failed" : "ok"), 0)
        ),
        ok === (before?.ok ?? true)
          ? Effect.void
          : (ok
              ? Effect.logInfo(`token ${token} passes its checks again`)
              : Effect.logWarning(`token ${token} fails its checks: ${detail ?? "no reason given"}`)
            ).pipe(annotated, Effect.annotateLogs({ provider, token, name }))
      )
  }
}
