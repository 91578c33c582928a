/** D3's five figures, from what a run has come to. Pure. */
import type { Figure, Outcome, ProviderOutcome } from "./outcome.ts"

const figure = (
  name: Figure["name"],
  value: number,
  bound: Figure["bound"],
  goal: number,
  unit: Figure["unit"]
): Figure => ({
  name,
  value,
  goal,
  unit,
  bound,
  met: bound === "below" ? value < goal : value >= goal
})

const share = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole)

export const mean = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** The value that so large a share of them does not exceed; they are in ascending order. */
export const quantile = (sorted: ReadonlyArray<number>, of: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(of * sorted.length) - 1))] ?? 0

export const figuresOf = (
  requests: Outcome["requests"],
  waits: ReadonlyArray<number>,
  providers: ReadonlyArray<ProviderOutcome>
): ReadonlyArray<Figure> => {
  const calls = providers.reduce((sum, provider) => sum + provider.calls, 0)
  const throttled = providers.reduce((sum, provider) => sum + provider.throttled, 0)
  // The least of those that somebody waited for: an average would hide one that lies idle.
  const use = Math.min(1, ...providers.flatMap(({ useWhileWaiting }) => useWhileWaiting ?? []))
  return [
    figure("upstream 429s", calls === 0 ? 0 : throttled / calls, "below", 0.01, "share"),
    figure("limit in use while waiting", use, "at least", 0.85, "share"),
    figure("mean wait", mean(waits), "below", 10_000, "ms"),
    figure("availability", share(requests.asked - requests.refused, requests.asked), "at least", 0.999, "share"),
    figure("success", share(requests.answered, requests.asked), "at least", 0.99, "share")
  ]
}
