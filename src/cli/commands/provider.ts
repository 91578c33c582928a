/** `weirgate provider …`: whether anything is sent to a provider. */
import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as providers from "../providers.ts"
import * as running from "../running.ts"
import * as flags from "./flags.ts"
import { quiet } from "./quiet.ts"

const name = Argument.String("name")

export const provider = Command.make("provider").pipe(
  Command.withDescription(
    "Whether anything is sent to a provider; a running server takes changes over within two seconds"
  ),
  Command.withSubcommands([
    Command.make("list", { server: flags.fromServer, json: flags.json }, ({ json, server }) =>
      Effect.gen(function* () {
        if (Option.isSome(server)) {
          return yield* Effect.flatMap(running.providers(json), Console.log).pipe(flags.through(server))
        }
        yield* Effect.flatMap(providers.list(json), Console.log).pipe(Effect.provide(providers.stored))
      }).pipe(quiet)
    ).pipe(Command.withDescription("Show the providers, their limits and whether they are paused")),
    Command.make("pause", { name }, ({ name }) =>
      providers.pause(name).pipe(Effect.provide(providers.stored), quiet)
    ).pipe(
      Command.withDescription("Start nothing there until it is resumed; when this ends, every server holds to it")
    ),
    Command.make("resume", { name }, ({ name }) =>
      providers.resume(name).pipe(Effect.provide(providers.stored), quiet)
    ).pipe(Command.withDescription("Let its line go on")),
    Command.make("reset", { name, server: flags.server }, ({ name, server }) =>
      running.resetProvider(name).pipe(flags.through(server), quiet)
    ).pipe(Command.withDescription("Have a running server take all its targets for in order again"))
  ])
)
