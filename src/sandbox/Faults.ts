/** Holds the faults that are set until they have struck as often, or for as long, as they were meant to. */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import type { Fault } from "./fault.ts"
import { activate, current, take } from "./faultList.ts"
import type { ActiveFault } from "./faultList.ts"
import type { Struck } from "./faultTerms.ts"

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
      list: Effect.map(Clock.currentTimeMillis, (now) => current(active, now)),
      add: (faults) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const set = [...current(active, now), ...faults.map((fault) => activate(fault, now))]
          if (set.length > mostFaults) return Effect.fail(new TooManyFaults())
          active = set
          return Effect.void
        }),
      clear: Effect.sync(() => {
        active = []
      }),
      take: (call) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const [struck, next] = take(active, call, now)
          active = next
          return struck
        })
    })
  })
}
