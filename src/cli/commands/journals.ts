/** `weirgate decisions`, `audit`, `checks` and `alerts`: what has happened, from the data folder. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as kept from "../journals.ts"
import { access } from "../layers.ts"
import * as flags from "./flags.ts"
import { quiet } from "./quiet.ts"

const { json } = flags

export const decisions = Command.make(
  "decisions",
  { limit: flags.limit(10_000), provider: flags.ofProvider, json },
  ({ provider, ...wanted }) =>
    Effect.flatMap(kept.decisions({ ...wanted, provider: Option.getOrUndefined(provider) }), Console.log).pipe(
      Effect.provide(access),
      quiet
    )
).pipe(Command.withDescription("How requests for a new token were decided, and why; newest first"))

export const audit = Command.make("audit", { limit: flags.limit(10_000), json }, (wanted) =>
  Effect.flatMap(kept.audit(wanted), Console.log).pipe(Effect.provide(access), quiet)
).pipe(Command.withDescription("What was changed, and by whom; newest first"))

export const checks = Command.make(
  "checks",
  {
    limit: flags.limit(5_000),
    token: Flag.String("token").pipe(Flag.withDescription("Only those of the token of this name or id"), Flag.optional),
    json
  },
  ({ token, ...wanted }) =>
    Effect.flatMap(kept.checks({ ...wanted, token: Option.getOrUndefined(token) }), Console.log).pipe(
      Effect.provide(access),
      quiet
    )
).pipe(Command.withDescription("How the health checks of the tokens ended; newest first"))

export const alerts = Command.make("alerts", { limit: flags.limit(1_000), json }, (wanted) =>
  Effect.flatMap(kept.alerts(wanted), Console.log).pipe(Effect.provide(access), quiet)
).pipe(Command.withDescription("What needs a person now, and what was told of it; newest first"))
