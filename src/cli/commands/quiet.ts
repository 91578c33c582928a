/** How little a command says. */
import { Effect, References } from "effect"

/** What a command prints is its answer: only errors come between, unless `--log-level` asks for more. */
export const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(References.MinimumLogLevel, (level) =>
    level === "Info" ? Effect.provideService(effect, References.MinimumLogLevel, "Error") : effect
  )
