/** Counts the dispatcher's own codes, by kind of call: a status alone says little of an upstream that answers 200 to all. */
import { Context, Effect, Layer } from "effect"
import { WopanCall } from "./wopanFault.ts"

/** Of different codes for one kind of call: its own are seven, and faults make others up. Further ones are not counted. */
const mostCodes = 100

export class WopanCodes extends Context.Service<
  WopanCodes,
  {
    count(call: WopanCall, code: string): Effect.Effect<void>
    of(call: WopanCall): Effect.Effect<Readonly<Record<string, number>>>
    readonly reset: Effect.Effect<void>
  }
>()("weirgate/sandbox/WopanCodes") {
  static readonly layer: Layer.Layer<WopanCodes> = Layer.sync(WopanCodes, () => {
    const counts = new Map<WopanCall, Map<string, number>>(WopanCall.literals.map((call) => [call, new Map()]))
    return WopanCodes.of({
      count: (call, code) =>
        Effect.sync(() => {
          const codes = counts.get(call)
          if (codes !== undefined && (codes.has(code) || codes.size < mostCodes)) {
            codes.set(code, (codes.get(code) ?? 0) + 1)
          }
        }),
      of: (call) => Effect.sync(() => Object.fromEntries(counts.get(call) ?? [])),
      reset: Effect.sync(() => counts.forEach((codes) => codes.clear()))
    })
  })
}
