/** `weirgate batch`: a file of requests, answered. */
import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { quiet } from "./quiet.ts"

// A server need not carry it.
const batching = Effect.promise(() => import("../batch.ts"))

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

export const batch = Command.make("batch", batchFlags, ({ errors, file, giveUpAfter, out, priority, server, width }) =>
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
