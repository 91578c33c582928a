/** `weirgate overview`, `requests`, `explain` and `route list`: what only a running server knows. */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as running from "../running.ts"
import * as flags from "./flags.ts"
import { quiet } from "./quiet.ts"

const { json, server } = flags

export const overview = Command.make("overview", { server, json }, ({ json, server }) =>
  Effect.flatMap(running.overview(json), Console.log).pipe(flags.through(server), quiet)
).pipe(Command.withDescription("How a running server does: requests, queue, upstream 429s, acquisitions, tokens"))

export const events = Command.make("events", { server }, ({ server }) =>
  running.events.pipe(flags.through(server), quiet)
).pipe(Command.withDescription("What changes in a running server, as it changes: a line of JSON each"))

export const requests = Command.make("requests", { limit: flags.limit(500), server, json }, ({ json, limit, server }) =>
  Effect.flatMap(running.requests(limit, json), Console.log).pipe(flags.through(server), quiet)
).pipe(Command.withDescription("What became of the newest requests that a running server has traced"))

export const explain = Command.make(
  "explain",
  {
    id: Argument.String("id").pipe(Argument.withDescription("What the answer had as its x-weirgate-trace")),
    server,
    json
  },
  ({ id, json, server }) => Effect.flatMap(running.explain(id, json), Console.log).pipe(flags.through(server), quiet)
).pipe(Command.withDescription("What became of a request, step by step"))

export const route = Command.make("route").pipe(
  Command.withDescription("The public names of models"),
  Command.withSubcommands([
    Command.make("list", { server, json }, ({ json, server }) =>
      Effect.flatMap(running.routes(json), Console.log).pipe(flags.through(server), quiet)
    ).pipe(Command.withDescription("Show who serves them, and whether each can now, as a running server sees it"))
  ])
)
