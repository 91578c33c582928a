#!/usr/bin/env node
/** The program: command line → layers → run. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, FileSystem, Layer, References } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import { warpProvider } from "./domain/Provider.ts"
import { Acquisition } from "./acquisition/Acquisition.ts"
import * as config from "./cli/config.ts"
import { broker, records, settings } from "./cli/layers.ts"
import { serve } from "./cli/serve.ts"
import { status } from "./cli/status.ts"
import * as tokens from "./cli/tokens.ts"
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
        tokenCommand("remove", tokens.remove, "Forget it, secrets and all")
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
    Command.make("replay", { file: Argument.String("file") }, ({ file }) =>
      Effect.gen(function* () {
        const { readDemands, replay, reportOf } = yield* replaying
        const csv = yield* FileSystem.FileSystem.use((fs) => fs.readFileString(file))
        yield* Console.log(reportOf(yield* replay(yield* readDemands(csv, file))))
      }).pipe(quiet)
    ).pipe(Command.withDescription("Feed a list of timed demands (CSV) to the real layers under virtual time"))
  ])
)

/** A failure that was foreseen is told in one line; where in the code it arose helps nobody who can mend it. */
const told = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tapError(effect, (error) => (CliError.isCliError(error) ? Effect.void : Effect.logError(error.message)))

Command.run(commands, { version }).pipe(
  told,
  Effect.tapCause((cause) => (Cause.hasDies(cause) ? Effect.logFatal(Cause.pretty(cause)) : Effect.void)),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // Told to stop and stopped is a success.
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
