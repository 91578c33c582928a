/** Keeps the explain-traces of the newest requests that asked for one. Per process; gone with it. */
import { Context, Effect, Layer } from "effect"
import type { Trace } from "./journey.ts"

/** The oldest gives way; a trace has at most some 30 KB. */
const kept = 500

export class Traces extends Context.Service<
  Traces,
  {
    readonly put: (trace: Trace) => Effect.Effect<void>
    readonly get: (id: string) => Effect.Effect<Trace | undefined>
    /** The newest, newest first. */
    readonly recent: (limit: number) => Effect.Effect<ReadonlyArray<Trace>>
  }
>()("weirgate/traffic/Traces") {
  static readonly layer = Layer.sync(Traces, () => {
    const traces = new Map<string, Trace>()
    return Traces.of({
      put: (trace) =>
        Effect.sync(() => {
          traces.set(trace.id, trace)
          if (traces.size <= kept) return
          for (const oldest of traces.keys()) {
            traces.delete(oldest)
            break
          }
        }),
      get: (id) => Effect.sync(() => traces.get(id)),
      recent: (limit) => Effect.sync(() => [...traces.values()].slice(-limit).toReversed())
    })
  })
}
