/** `weirgate config …`: a look into a file before a server runs on it. */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as file from "../config.ts"
import { quiet } from "./quiet.ts"

export const config = Command.make("config").pipe(
  Command.withDescription("Look into a configuration file before a server runs on it"),
  Command.withSubcommands([
    Command.make("schema", {}, () => Effect.flatMap(file.schema, Console.log).pipe(quiet)).pipe(
      Command.withDescription("Print the file's JSON Schema, for editors")
    ),
    Command.make("check", { file: Argument.String("file") }, ({ file: path }) =>
      Effect.flatMap(file.check(path), Console.log).pipe(quiet)
    ).pipe(Command.withDescription("Say all that is wrong with a file, or what it amounts to"))
  ])
)
