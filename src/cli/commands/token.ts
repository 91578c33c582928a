/** `weirgate token …`: what only a person may decide about tokens, and their file. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { wopanProvider } from "../../domain/Provider.ts"
import { TokenState } from "../../contract/tokens.ts"
import { TokenKind } from "../../domain/Token.ts"
import { records } from "../layers.ts"
import * as tokenAdd from "../tokenAdd.ts"
import * as tokenList from "../tokenList.ts"
import * as tokens from "../tokens.ts"
import * as tokensFile from "../tokensFile.ts"
import * as flags from "./flags.ts"
import { quiet } from "./quiet.ts"

const which = {
  name: Argument.String("name-or-id"),
  provider: Flag.String("provider").pipe(
    Flag.withDescription("Whose token, where several providers have one of that name"),
    Flag.optional
  )
}

const tokenCommand = <E, R>(
  verb: string,
  act: (name: string, provider: string | undefined) => Effect.Effect<void, E, R>,
  description: string
) =>
  Command.make(verb, which, ({ name, provider }) =>
    act(name, Option.getOrUndefined(provider)).pipe(
      Effect.andThen(Console.log(`${name}: ${verb} done`)),
      Effect.provide(records),
      quiet
    )
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
const listFlags = {
  provider: flags.ofProvider,
  state: Flag.Literals("state", TokenState.literals).pipe(
    Flag.withDescription("Only those in this state"),
    Flag.optional
  ),
  server: flags.fromServer,
  json: flags.json
}
const addFlags = {
  provider: Flag.String("provider").pipe(Flag.withDescription("Whose token it is")),
  name: Flag.String("name").pipe(Flag.withDescription("Default: Token-1, Token-2, …"), Flag.optional),
  kind: Flag.Literals("kind", TokenKind.literals).pipe(
    Flag.withDescription("Anonymous ones are spent first, personal ones last. Default: shared"),
    Flag.optional
  ),
  expires: Flag.String("expires").pipe(
    Flag.withDescription('When it ends: a duration such as "7 days", or an ISO date. Default: it does not say'),
    Flag.optional
  ),
  renewable: Flag.Boolean("renewable").pipe(
    Flag.withDescription("There is a second secret to renew it with, asked for after the token"),
    Flag.withDefault(false)
  )
}
const exportFlags = {
  file: Argument.String("file").pipe(Argument.withDescription("Where they go, with mode 0600")),
  provider: tokensOf,
  force: Flag.Boolean("force").pipe(Flag.withDescription("Replace the file"), Flag.withDefault(false))
}

export const token = Command.make("token").pipe(
  Command.withDescription(
    "Look at the tokens, and decide about them; a running server takes changes over within five seconds"
  ),
  Command.withSubcommands([
    Command.make("list", listFlags, ({ json, provider, server, state }) => {
      const wanted = { provider: Option.getOrUndefined(provider), state: Option.getOrUndefined(state), json }
      return Effect.gen(function* () {
        if (Option.isSome(server)) {
          return yield* Effect.flatMap(tokenList.ofServer(wanted), Console.log).pipe(flags.through(server))
        }
        yield* Effect.flatMap(tokenList.ofStore(wanted), Console.log).pipe(Effect.provide(tokenList.stored))
      }).pipe(quiet)
    }).pipe(Command.withDescription("Show the tokens, why each is out of use and until when; never a secret")),
    Command.make("add", addFlags, ({ expires, kind, name, provider, renewable }) =>
      tokenAdd
        .add({
          provider,
          name: Option.getOrUndefined(name),
          kind: Option.getOrUndefined(kind),
          expires: Option.getOrUndefined(expires),
          isRenewable: renewable
        })
        .pipe(Effect.provide(tokensFile.manager), quiet)
    ).pipe(Command.withDescription("Add one, asked for here or read from a pipe, a line for each secret")),
    Command.make("check", { ...which, server: flags.server, json: flags.json }, ({ json, name, provider, server }) =>
      tokens.check(name, Option.getOrUndefined(provider), json).pipe(flags.through(server), quiet)
    ).pipe(
      Command.withDescription("Have a running server ask its upstream now whether it is good; ends with 2 if not")
    ),
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
