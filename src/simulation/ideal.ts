/**
 * What an ideal dispatcher would make of a trace: one that knows every limit, every service time and the whole past, and takes no time.
 * The measure of what is ours and what is the trace's.
 */
import { serviceTime } from "../sandbox/openai/serviceTime.ts"
import type { Upstream } from "./scenario.ts"
import type { Arrival } from "./trace.ts"

const minute = 60_000

export const meanServiceMs = (trace: ReadonlyArray<Arrival>, { service }: Upstream): number => {
  let sum = 0
  for (const arrival of trace) {
    const { first, rest } = serviceTime(service, arrival)
    sum += first + rest
  }
  return trace.length === 0 ? 0 : sum / trace.length
}

/** What all of them together can serve in a minute. */
export const capacityPerMinute = (trace: ReadonlyArray<Arrival>, upstreams: ReadonlyArray<Upstream>): number =>
  upstreams.reduce((sum, upstream) => {
    const { concurrency, rpm } = upstream.limits
    const byWork =
      concurrency === null ? Number.POSITIVE_INFINITY : (concurrency * minute) / meanServiceMs(trace, upstream)
    return sum + Math.min(byWork, rpm ?? Number.POSITIVE_INFINITY)
  }, 0)

/** The mean time until a call begins, when each takes the place that is free first. */
export const idealMeanWaitMs = (trace: ReadonlyArray<Arrival>, upstreams: ReadonlyArray<Upstream>): number => {
  const desks = upstreams.map((upstream) => new Desk(upstream))
  let waited = 0
  for (const arrival of trace) {
    let best: Desk | undefined
    let at = Number.POSITIVE_INFINITY
    for (const desk of desks) {
      const opening = Math.max(arrival.at, desk.opening())
      if (opening < at) [best, at] = [desk, opening]
    }
    best?.begin(at, arrival)
    waited += at - arrival.at
  }
  return trace.length === 0 ? 0 : waited / trace.length
}

class Desk {
  readonly #upstream: Upstream
  /** When each place at work is free again, ascending. */
  readonly #ends: Array<number> = []
  readonly #starts: Array<number> = []

  constructor(upstream: Upstream) {
    this.#upstream = upstream
  }

  opening(): number {
    const { concurrency, rpm } = this.#upstream.limits
    const byWork = concurrency === null || this.#ends.length < concurrency ? 0 : (this.#ends[0] ?? 0)
    const byRate = rpm === null ? 0 : (this.#starts[this.#starts.length - rpm] ?? Number.NEGATIVE_INFINITY) + minute
    return Math.max(byWork, byRate)
  }

  begin(at: number, arrival: Arrival): void {
    const { limits, service } = this.#upstream
    const { first, rest } = serviceTime(service, arrival)
    this.#starts.push(at)
    if (limits.concurrency === null) return
    if (this.#ends.length >= limits.concurrency) this.#ends.shift()
    const end = at + first + rest
    let place = this.#ends.length
    while (place > 0 && (this.#ends[place - 1] ?? 0) > end) place--
    this.#ends.splice(place, 0, end)
  }
}
