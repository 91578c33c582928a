#!/usr/bin/env node
/** The program: command line → layers → run. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, FileSystem, Layer, Option, References, Runtime, Schema } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import { warpProvider, wopanProvider } from "./domain/Provider.ts"
import { Role } from "./access/Client.ts"
import { Acquisition } from "./acquisition/Acquisition.ts"
import * as config from "./cli/config.ts"
import * as admin from "./cli/admin.ts"
import * as keys from "./cli/keys.ts"
import { access, broker, records, settings } from "./cli/layers.ts"
import { serve } from "./cli/serve.ts"
import { status } from "./cli/status.ts"
import * as tokens from "./cli/tokens.ts"
import * as tokensFile from "./cli/tokensFile.ts"
import { Settings } from "./config/Settings.ts"
import { Sandbox } from "./sandbox/Sandbox.ts"
import { version } from "./version.ts"

/** What a command prints is its answer: only errors come between, unless `--log-level` asks for more. */
const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(References.MinimumLogLevel, (level) =>
    level === "Info" ? Effect.provideService(effect, References.MinimumLogLevel, "Error") : effect
  )

const tokenCommand = <E, R>(verb: string, act: (name: string) => Effect.Effect<void, E, R>, description: string) =>
  Command.make(verb, { name: Argument.String("name") }, ({ name }) =>
    act(name).pipe(Effect.andThen(Console.log(`${name}: ${verb} done`)), Effect.provide(records), quiet)
  ).pipe(Command.withDescription(description))

// A server need not carry the scripted upstream and the virtual clock.
const replaying = Effect.promise(() => import("./cli/replay.ts"))
const batching = Effect.promise(() => import("./cli/batch.ts"))

const batchFlags = {
  file: Argument.String("file").pipe(Argument.withDescription("A request a line, in OpenAI's batch input format")),
  out: Flag.String("out").pipe(Flag.withDescription("Where answers go. Default: FILE.output.jsonl"), Flag.optional),
  errors: Flag.String("errors").pipe(
    Flag.withDescription("Where failed requests go. Default: FILE.errors.jsonl"),
    Flag.optional
  ),
  priority: Flag.Int("priority").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))),
    Flag.withDescription("0 to 9, 9 goes first. Default: 0, so that people go first"),
    Flag.withDefault(0)
  ),
  width: Flag.Int("width").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
    Flag.withDescription("The most requests at work or in line at once. Default: what the limits allow, at most 1000"),
    Flag.optional
  ),
  giveUpAfter: Flag.String("give-up-after").pipe(
    Flag.withSchema(Schema.DurationFromString),
    Flag.withDescription('How long a request is tried. Default: "24 hours"'),
    Flag.optional
  ),
  server: Flag.String("server").pipe(
    Flag.withDescription("Send it through the server that runs there (its key in WEIRGATE_API_KEY)"),
    Flag.optional
  )
}

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

const simulating = Effect.promise(() => import("./cli/simulate.ts"))

const commands = Command.make("weirgate").pipe(
  Command.withDescription("A quota-aware token broker and OpenAI-compatible gateway"),
  Command.withSubcommands([
    Command.make("serve", {}, () => Layer.launch(serve)).pipe(
      Command.withDescription("Run the server (and a sandbox, when no upstream is configured)")
    ),
    Command.make("sandbox", {}, () =>
      Layer.launch(
        Layer.unwrap(
          Effect.map(Settings, ({ sandbox }) => Sandbox.layerWith({ port: sandbox.port, seed: sandbox.seed }))
        )
      ).pipe(Effect.provide(settings))
    ).pipe(Command.withDescription("Run the emulated upstreams on a port of their own")),
    Command.make("status", {}, () => Effect.flatMap(status, Console.log).pipe(Effect.provide(records), quiet)).pipe(
      Command.withDescription("Show the pool, the budget and the last decisions")
    ),
    Command.make(
      "acquire",
      { why: Flag.String("why").pipe(Flag.withDescription("Why a token is needed")) },
      ({ why }) =>
        Acquisition.use((acquisition) =>
          acquisition.request({ provider: warpProvider, errorContext: why, caller: "command line" })
        ).pipe(
          Effect.flatMap(({ id, kind }) => Console.log(`${kind} token ${id}`)),
          Effect.provide(broker),
          quiet
        )
    ).pipe(Command.withDescription("Ask for a token through the same seven steps as everyone")),
    Command.make("token").pipe(
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
    ),
    Command.make("key").pipe(
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
        Command.make("list", {}, () => Effect.flatMap(keys.list, Console.log).pipe(Effect.provide(access), quiet)).pipe(
          Command.withDescription("Show all keys, those of the configuration last")
        ),
        Command.make("revoke", { key: Argument.String("name-or-id") }, ({ key }) =>
          keys.revoke(key).pipe(Effect.provide(access), quiet)
        ).pipe(Command.withDescription("Have a key refused; when this ends, every server refuses it"))
      ])
    ),
    Command.make("admin").pipe(
      Command.withDescription("The console's one account"),
      Command.withSubcommands([
        Command.make("password", {}, () => admin.password.pipe(Effect.provide(access), quiet)).pipe(
          Command.withDescription("Set the console's password, asked for here or read from a pipe")
        )
      ])
    ),
    Command.make("config").pipe(
      Command.withDescription("Look into a configuration file before a server runs on it"),
      Command.withSubcommands([
        Command.make("schema", {}, () => Effect.flatMap(config.schema, Console.log).pipe(quiet)).pipe(
          Command.withDescription("Print the file's JSON Schema, for editors")
        ),
        Command.make("check", { file: Argument.String("file") }, ({ file }) =>
          Effect.flatMap(config.check(file), Console.log).pipe(quiet)
        ).pipe(Command.withDescription("Say all that is wrong with a file, or what it amounts to"))
      ])
    ),
    Command.make(
      "simulate",
      {
        trace: Flag.String("trace").pipe(
          Flag.withDescription("CSV with the columns TIMESTAMP, ContextTokens and GeneratedTokens")
        ),
        config: Flag.String("config").pipe(Flag.withDescription("The configuration file of the server")),
        speed: Flag.Finite("speed").pipe(
          Flag.withDescription("How many times as fast as it was recorded (default 1)"),
          Flag.optional
        ),
        load: Flag.Finite("load").pipe(
          Flag.withDescription(
            "Instead of a speed: the share of the capacity that is asked for on average, such as 0.8"
          ),
          Flag.optional
        ),
        peak: Flag.Finite("peak").pipe(
          Flag.withDescription("Instead of a speed: the share of the capacity that the busiest minute asks for"),
          Flag.optional
        ),
        model: Flag.String("model").pipe(
          Flag.withDescription("The route that is asked for (default: the first of the configuration)"),
          Flag.optional
        ),
        clients: Flag.Int("clients").pipe(
          Flag.withDescription("From how many clients the requests come"),
          Flag.withDefault(20)
        ),
        seed: Flag.String("seed").pipe(
          Flag.withDescription("Everything that is left to chance follows from it"),
          Flag.withDefault("weirgate")
        ),
        scenario: Flag.String("scenario").pipe(
          Flag.withDescription("What the upstreams really bear, how long they take, and their faults (JSON)"),
          Flag.optional
        ),
        report: Flag.String("report").pipe(Flag.withDescription("Write a page with plots there"), Flag.optional),
        json: Flag.Boolean("json").pipe(Flag.withDescription("Print the outcome as JSON"), Flag.withDefault(false)),
        check: Flag.Boolean("check").pipe(
          Flag.withDescription("Fail when one of the five figures is missed"),
          Flag.withDefault(false)
        )
      },
      ({ load, model, peak, report, scenario, speed, ...rest }) =>
        Effect.gen(function* () {
          const { run } = yield* simulating
          yield* run({
            ...rest,
            load: Option.getOrUndefined(load),
            model: Option.getOrUndefined(model),
            peak: Option.getOrUndefined(peak),
            report: Option.getOrUndefined(report),
            scenario: Option.getOrUndefined(scenario),
            speed: Option.getOrUndefined(speed)
          })
        }).pipe(quiet)
    ).pipe(
      Command.withDescription("Replay recorded traffic through the real layers under virtual time: what would happen")
    ),
    Command.make("replay", { file: Argument.String("file") }, ({ file }) =>
      Effect.gen(function* () {
        const { readDemands, replay, reportOf } = yield* replaying
        const csv = yield* FileSystem.FileSystem.use((fs) => fs.readFileString(file))
        yield* Console.log(reportOf(yield* replay(yield* readDemands(csv, file))))
      }).pipe(quiet)
    ).pipe(Command.withDescription("Feed a list of timed demands (CSV) to the real layers under virtual time")),
    Command.make("batch", batchFlags, ({ errors, file, giveUpAfter, out, priority, server, width }) =>
      Effect.flatMap(batching, ({ batch }) =>
        batch({
          input: file,
          output: Option.getOrUndefined(out),
          errors: Option.getOrUndefined(errors),
          priority,
          width: Option.getOrUndefined(width),
          giveUpAfter: Option.getOrUndefined(giveUpAfter),
          server: Option.getOrUndefined(server)
        })
      ).pipe(quiet)
    ).pipe(Command.withDescription("Get a file of requests done: each line answered once, over any interruption"))
  ])
)

/** A failure that was foreseen is told in one line; where in the code it arose helps nobody who can mend it. */
const told = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tapError(effect, (error) =>
    CliError.isCliError(error) ? Effect.void : Console.error(`weirgate: ${error.message}`)
  )

Command.run(commands, { version }).pipe(
  told,
  Effect.tapCause((cause) => (Cause.hasDies(cause) ? Effect.logFatal(Cause.pretty(cause)) : Effect.void)),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // Told to stop and stopped is a success, unless the command has said that it is none.
    teardown: (exit, onExit) =>
      onExit(
        Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)
          ? Number(process.exitCode ?? 0)
          : Runtime.getErrorExitCode(Cause.squash(exit.cause))
      )
  })
)
