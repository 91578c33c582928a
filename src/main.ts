#!/usr/bin/env node
/** The program: command line → layers → run. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Runtime } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { Acquisition } from "./acquisition/Acquisition.ts"
import { batch } from "./cli/commands/batch.ts"
import { config } from "./cli/commands/config.ts"
import { alerts, audit, checks, decisions } from "./cli/commands/journals.ts"
import { admin, key } from "./cli/commands/key.ts"
import { provider } from "./cli/commands/provider.ts"
import { quiet } from "./cli/commands/quiet.ts"
import { events, explain, overview, requests, route } from "./cli/commands/running.ts"
import { token } from "./cli/commands/token.ts"
import { replay, simulate } from "./cli/commands/virtual.ts"
import { broker, records, settings } from "./cli/layers.ts"
import { serve } from "./cli/serve.ts"
import { status } from "./cli/status.ts"
import { Settings } from "./config/Settings.ts"
import { warpProvider } from "./domain/Provider.ts"
import { Sandbox } from "./sandbox/Sandbox.ts"
import { version } from "./version.ts"

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
    overview,
    events,
    token,
    provider,
    route,
    requests,
    explain,
    decisions,
    checks,
    alerts,
    audit,
    key,
    admin,
    config,
    simulate,
    replay,
    batch
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
