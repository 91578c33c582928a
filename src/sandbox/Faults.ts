/** Holds the faults that are set until they have struck as often as they were meant to. */
import { Context, Effect, Layer, Schema } from "effect"
import { activate, take } from "./faultList.ts"
import type { ActiveFault, Fault, Struck } from "./faultList.ts"

/** How many faults may be set at once. */
export const mostFaults = 100

export class TooManyFaults extends Schema.TaggedError<TooManyFaults>()("TooManyFaults", {}) {
  override get message() {
    return `at most ${mostFaults} faults can be set at once`
  }
}

export class Faults extends Context.Service<
  Faults,
  {
    readonly list: Effect.Effect<ReadonlyArray<ActiveFault>>
    /** Sets all of them, behind those already set, or none. */
    add(faults: ReadonlyArray<Fault>): Effect.Effect<void, TooManyFaults>
    readonly clear: Effect.Effect<void>
    /** The fault that strikes this call, which is thereby counted. */
    take(call: Struck): Effect.Effect<Fault | undefined>
  }
>()("weirgate/sandbox/Faults") {
  static readonly layer = Layer.sync(Faults, () => {
    let active: ReadonlyArray<ActiveFault> = []
    return Faults.of({
      list: Effect.sync(() => active),
      add: (faults) =>
        Effect.suspend(() => {
          if (active.length + faults.length > mostFaults) return Effect.fail(new TooManyFaults())
          active = [...active, ...faults.map(activate)]
          return Effect.void
        }),
      clear: Effect.sync(() => {
        active = []
      }),
      take: (call) =>
        Effect.sync(() => {
          const [struck, next] = take(active, call)
          active = next
          return struck
        })
    })
  })
}
