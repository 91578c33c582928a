/** `weirgate token …`: what only a person may decide about tokens, and their file. */
import { Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { wopanProvider } from "../../domain/Provider.ts"
import { records } from "../layers.ts"
import * as tokens from "../tokens.ts"
import * as tokensFile from "../tokensFile.ts"
import { quiet } from "./quiet.ts"

const tokenCommand = <E, R>(verb: string, act: (name: string) => Effect.Effect<void, E, R>, description: string) =>
  Command.make(verb, { name: Argument.String("name") }, ({ name }) =>
    act(name).pipe(Effect.andThen(Console.log(`${name}: ${verb} done`)), Effect.provide(records), quiet)
  ).pipe(Command.withDescription(description))

const tokensOf = Flag.String("provider").pipe(
  Flag.withDescription("Whose tokens. Default: wopan, the drive"),
  Flag.withDefault(wopanProvider)
)
const importFlags = {
  file: Argument.String("file").pipe(Argument.withDescription('{ "tokens": [ { "token", "name", "is_active", … } ] }')),
  provider: tokensOf,
  skipKnown: Flag.Boolean("skip-known").pipe(
    Flag.withDescription("Pass over the tokens that the pool holds already, instead of refusing the file"),
    Flag.withDefault(false)
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would be done, and do nothing"),
    Flag.withDefault(false)
  )
}
const exportFlags = {
  file: Argument.String("file").pipe(Argument.withDescription("Where they go, with mode 0600")),
  provider: tokensOf,
  force: Flag.Boolean("force").pipe(Flag.withDescription("Replace the file"), Flag.withDefault(false))
}

export const token = Command.make("token").pipe(
  Command.withDescription("What only a person may decide about a token"),
  Command.withSubcommands([
    tokenCommand("reset", tokens.reset, "Forget its failures, also the final ones: it is as if new"),
    tokenCommand("disable", tokens.disable, "Take it out of use until it is enabled or reset"),
    tokenCommand("enable", tokens.enable, "Let it be used again"),
    tokenCommand("remove", tokens.remove, "Forget it, secrets and all"),
    Command.make("import", importFlags, (given) =>
      tokensFile.importFile(given).pipe(Effect.provide(tokensFile.manager), quiet)
    ).pipe(Command.withDescription("Add the tokens of a tokens.json: all of them, or none and why, line by line")),
    Command.make("export", exportFlags, (given) =>
      tokensFile.exportFile(given).pipe(Effect.provide(tokensFile.manager), quiet)
    ).pipe(Command.withDescription("Write the tokens to a tokens.json that only you can read, secrets and all"))
  ])
)
