/** `weirgate key …` and `weirgate admin …`: who may come in. */
import { Console, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Role } from "../../access/Client.ts"
import * as console from "../admin.ts"
import * as keys from "../keys.ts"
import { access } from "../layers.ts"
import { json } from "./flags.ts"
import { quiet } from "./quiet.ts"

const keyFlags = {
  name: Flag.String("name").pipe(Flag.withDescription("How logs, the queue and lists call its holder")),
  role: Flag.Literals("role", Role.literals).pipe(
    Flag.withDescription("inference asks models, token takes and gives tokens, admin does all")
  ),
  priority: Flag.Int("priority").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))),
    Flag.withDescription("Of its requests, and the most they may ask for: 0 to 9, 9 goes first"),
    Flag.optional
  ),
  rpm: Flag.Int("rpm").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
    Flag.withDescription("Requests in any 60 seconds. Default: any number"),
    Flag.optional
  ),
  models: Flag.String("models").pipe(
    Flag.withDescription("The models it may ask for, with commas between them. Default: all"),
    Flag.optional
  ),
  expires: Flag.String("expires").pipe(
    Flag.withDescription('When it ends: a duration such as "30 days", or an ISO date. Default: never'),
    Flag.optional
  )
}

export const key = Command.make("key").pipe(
  Command.withDescription("The keys that clients show; a running server takes changes over within a second"),
  Command.withSubcommands([
    Command.make("create", keyFlags, ({ expires, models, name, priority, role, rpm }) =>
      keys
        .create({
          name,
          role,
          priority: Option.getOrUndefined(priority),
          rpm: Option.getOrUndefined(rpm),
          models: Option.getOrUndefined(models),
          expires: Option.getOrUndefined(expires)
        })
        .pipe(Effect.provide(access), quiet)
    ).pipe(Command.withDescription("Make a key: it alone is printed to standard output, this once")),
    Command.make("list", { json }, ({ json }) =>
      Effect.flatMap(keys.list(json), Console.log).pipe(Effect.provide(access), quiet)
    ).pipe(Command.withDescription("Show all keys, those of the configuration last")),
    Command.make("revoke", { key: Argument.String("name-or-id") }, ({ key }) =>
      keys.revoke(key).pipe(Effect.provide(access), quiet)
    ).pipe(Command.withDescription("Have a key refused; when this ends, every server refuses it"))
  ])
)

export const admin = Command.make("admin").pipe(
  Command.withDescription("The console's one account"),
  Command.withSubcommands([
    Command.make("password", {}, () => console.password.pipe(Effect.provide(access), quiet)).pipe(
      Command.withDescription("Set the console's password, asked for here or read from a pipe")
    )
  ])
)
