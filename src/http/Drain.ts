/** Tells the requests under way when the server, once told to stop, has waited for them as long as it may. */
import { Context, Effect, Layer } from "effect"
import type { Duration } from "effect"
import { type Member, Roster } from "../domain/roster.ts"

export interface UnderWay extends Member {
  /** Is not waited for any longer. Never throws. */
  end(): void
}

export class Drain extends Context.Service<
  Drain,
  {
    /** Starts the wait. */
    readonly begin: Effect.Effect<void>
    readonly isOver: () => boolean
    /** Requests under way, each to be told once when the wait is over; entered by them when they begin, and left when they end. */
    readonly underWay: Roster<UnderWay>
    /** What has no end of its own, and so is told when the wait begins. */
    readonly endless: Roster<UnderWay>
  }
>()("weirgate/http/Drain") {
  static readonly layerWith = (patience: Duration.Input): Layer.Layer<Drain> =>
    Layer.effect(
      Drain,
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        // Bounded by the connections, of which each has one request at a time.
        const underWay = new Roster<UnderWay>()
        // One for each kind of such.
        const endless = new Roster<UnderWay>()
        let isOver = false
        const end = Effect.sync(() => {
          isOver = true
          underWay.each((request) => request.end())
        })
        return Drain.of({
          begin: Effect.suspend(() => {
            endless.each((request) => request.end())
            return Effect.asVoid(Effect.forkIn(Effect.delay(end, patience), scope))
          }),
          isOver: () => isOver,
          underWay,
          endless
        })
      })
    )
}
