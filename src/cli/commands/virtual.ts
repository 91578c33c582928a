/** `weirgate simulate` and `weirgate replay`: the real layers under virtual time. */
import { Console, Effect, FileSystem, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { quiet } from "./quiet.ts"

// A server need not carry the scripted upstream and the virtual clock.
const replaying = Effect.promise(() => import("../replay.ts"))
const simulating = Effect.promise(() => import("../simulate.ts"))

export const simulate = Command.make(
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
      Flag.withDescription("Instead of a speed: the share of the capacity that is asked for on average, such as 0.8"),
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
).pipe(Command.withDescription("Replay recorded traffic through the real layers under virtual time: what would happen"))

export const replay = Command.make("replay", { file: Argument.String("file") }, ({ file }) =>
  Effect.gen(function* () {
    const { readDemands, replay, reportOf } = yield* replaying
    const csv = yield* FileSystem.FileSystem.use((fs) => fs.readFileString(file))
    yield* Console.log(reportOf(yield* replay(yield* readDemands(csv, file))))
  }).pipe(quiet)
).pipe(Command.withDescription("Feed a list of timed demands (CSV) to the real layers under virtual time"))
