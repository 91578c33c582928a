/** Tells the requests under way when the server, once told to stop, has waited for them as long as it may. */
import { Context, Deferred, Effect, Layer } from "effect"
import type { Duration, Scope } from "effect"
import { ShuttingDown } from "./Errors.ts"

export class Drain extends Context.Service<
  Drain,
  {
    /** Starts the wait. */
    readonly begin: Effect.Effect<void>
    /** Waits until the wait is over, which without `begin` is never. */
    readonly over: Effect.Effect<never, ShuttingDown>
    readonly isOver: () => boolean
    /** Has it called when the wait is over, until the scope closes. */
    onOver(call: () => void): Effect.Effect<void, never, Scope.Scope>
  }
>()("weirgate/http/Drain") {
  static readonly layerWith = (patience: Duration.Input): Layer.Layer<Drain> =>
    Layer.effect(
      Drain,
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const over = yield* Deferred.make<never, ShuttingDown>()
        // One for each stream under way.
        const calls = new Set<() => void>()
        const end = Effect.andThen(
          Deferred.fail(over, new ShuttingDown()),
          Effect.sync(() => {
            for (const call of calls) call()
          })
        )
        return Drain.of({
          begin: Effect.asVoid(Effect.forkIn(Effect.delay(end, patience), scope)),
          over: Deferred.await(over),
          isOver: () => Deferred.isDoneUnsafe(over),
          onOver: (call) =>
            Effect.acquireRelease(
              Effect.sync(() => void calls.add(call)),
              () => Effect.sync(() => void calls.delete(call))
            )
        })
      })
    )
}
