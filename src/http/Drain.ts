/** Tells the requests under way when the server, once told to stop, has waited for them as long as it may. */
import { Context, Deferred, Effect, Layer } from "effect"
import type { Duration } from "effect"
import { ShuttingDown } from "./Errors.ts"

export class Drain extends Context.Service<
  Drain,
  {
    /** Starts the wait. */
    readonly begin: Effect.Effect<void>
    /** Waits until the wait is over, which without `begin` is never. */
    readonly over: Effect.Effect<never, ShuttingDown>
  }
>()("weirgate/http/Drain") {
  static readonly layerWith = (patience: Duration.Input): Layer.Layer<Drain> =>
    Layer.effect(
      Drain,
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const isOver = yield* Deferred.make<never, ShuttingDown>()
        const end = Effect.delay(Deferred.fail(isOver, new ShuttingDown()), patience)
        return Drain.of({ begin: Effect.asVoid(Effect.forkIn(end, scope)), over: Deferred.await(isOver) })
      })
    )
}
