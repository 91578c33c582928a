/** How the requests for models ended, in this process since its start. Plain numbers on the way; metrics when they are asked for. */
import { Context, Effect, Layer, Metric } from "effect"
import { Outcome } from "../traffic/trace.ts"
import * as Latencies from "./latencies.ts"

export const outcomes = Outcome.literals
export type { Outcome }

export const outcomeOf = (status: number): Outcome => {
  if (status < 400) return "served"
  if (status === 429) return "limited"
  return status < 500 ? "refused" : "failed"
}

export interface Counted {
  readonly ended: Readonly<Record<Outcome, number>>
  readonly underWay: number
  /** Answers that are being streamed. */
  readonly streaming: number
  /** Until an answer began, of those that had one that was no refusal. */
  readonly latencies: Latencies.Counts
}

export class Exchanges extends Context.Service<
  Exchanges,
  {
    readonly begun: () => void
    /** A streamed answer begins, or another is given whole, so many milliseconds after it was asked for. */
    readonly answered: (milliseconds: number) => void
    readonly streams: () => void
    readonly ended: (outcome: Outcome) => void
    /** Its connection has been told all, or is gone. */
    readonly closed: (wasStream: boolean) => void
    /** The numbers themselves, which go on: to be copied by whoever keeps them. */
    readonly counted: Counted
  }
>()("weirgate/overview/Exchanges") {
  static readonly layer = Layer.effect(
    Exchanges,
    Effect.gen(function* () {
      const ended: Record<Outcome, number> = { served: 0, limited: 0, refused: 0, failed: 0, left: 0 }
      const counted = { ended, underWay: 0, streaming: 0, latencies: Latencies.none() }
      const context = yield* Effect.context<never>()
      for (const outcome of outcomes) {
        const series = Metric.registerUnsafe(Metric.withAttributes(requests, { outcome }), context, {
          get: () => ({ count: ended[outcome], incremental: true }),
          update: () => undefined,
          modify: () => undefined
        })
        yield* Effect.addFinalizer(() => Effect.sync(() => series.remove()))
      }
      return Exchanges.of({
        begun: () => void (counted.underWay += 1),
        answered: (milliseconds) => Latencies.add(counted.latencies, milliseconds),
        streams: () => void (counted.streaming += 1),
        ended: (outcome) => void (ended[outcome] += 1),
        closed: (wasStream) => {
          counted.underWay -= 1
          if (wasStream) counted.streaming -= 1
        },
        counted
      })
    })
  )
}

const requests = Metric.counter("weirgate_requests_total", {
  description: "Requests for models, by how they ended",
  incremental: true
})
