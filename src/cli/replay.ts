/** Feeds a list of timed demands to the real layers under virtual time: what would the budget have made of them? */
import {
  Array as Arr,
  Context,
  DateTime,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Order,
  Schema,
  Scope,
  Stream
} from "effect"
import { Csv } from "effect/encoding"
import { TestClock } from "effect/testing"
import { warpProvider } from "../domain/Provider.ts"
import { Acquisition, Decision, Step } from "../acquisition/Acquisition.ts"
import * as Broker from "../Broker.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Store } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import { ScriptedOpenAi } from "../testing/ScriptedOpenAi.ts"
import { ScriptedWarp } from "../testing/ScriptedWarp.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { table } from "./table.ts"

/** One demand for a token. With the cause `restart` the broker starts anew, over what its store kept, before it asks. */
export const Demand = Schema.Struct({
  at: Schema.DateTimeUtcFromString,
  cause: Schema.NonEmptyString,
  caller: Schema.NonEmptyString,
  error: Schema.String
})
export type Demand = typeof Demand.Type

export interface Replay {
  readonly demands: ReadonlyArray<Demand>
  /** One for each demand, where `times` of one are so many. */
  readonly decisions: ReadonlyArray<Decision>
}

/** The file cannot be replayed. */
export class ReplayInvalid extends Schema.TaggedError<ReplayInvalid>()("ReplayInvalid", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

/** Everything that is done every few seconds is done in virtual time too: a longer span would take for ever. */
const longestSpan = Duration.days(31)

/** Reads `at,cause,caller,error` with a heading line; a bad row is refused with its number and field. */
export const readDemands = Effect.fnUntraced(function* (csv: string, file: string) {
  const invalid = (reason: string) => new ReplayInvalid({ file, reason })
  const rows = yield* Stream.make(csv).pipe(
    Stream.pipeThroughChannel(Csv.decodeSchemaString(Demand)({ headers: true })),
    Stream.runCollect,
    Effect.mapError((error) => invalid(error.message))
  )
  const demands = Arr.sortBy(Order.mapInput(DateTime.Order, (demand: Demand) => demand.at))(rows)
  const [first, last] = [demands[0], demands.at(-1)]
  if (first === undefined || last === undefined) return yield* invalid("there is no demand in it")
  if (Duration.isGreaterThan(DateTime.distance(first.at, last.at), longestSpan)) {
    return yield* invalid("its demands are more than 31 days apart")
  }
  return demands
})

/** Over a fresh memory store and a scripted upstream whose users serve 15 requests each. Takes no real time. */
export const replay = Effect.fnUntraced(
  function* (demands: ReadonlyArray<Demand>, options: Broker.BrokerOptions = {}) {
    const decisions: Array<Decision> = []
    const isDecision = Schema.is(Decision)
    // The journal keeps the newest only; here every decision counts.
    const recording = Layer.effect(
      Store,
      Effect.map(Store, (store) =>
        Store.of({
          ...store,
          append: (journal, entries) => {
            decisions.push(...entries.filter(isDecision))
            return store.append(journal, entries)
          }
        })
      )
    ).pipe(Layer.provide(Store.layerMemory))
    const base = yield* Layer.build(
      Layer.mergeAll(recording, Vault.layerEphemeral, ScriptedWarp.layer(), ScriptedOpenAi.layer)
    )
    const start = Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const services = yield* Layer.buildWithScope(Layer.fresh(Broker.layerWith(options)), scope)
      return { scope, services: Context.merge(base, services) }
    }).pipe(Effect.provideContext(base))

    let broker: Effect.Success<typeof start> | undefined
    const asked: Array<Fiber.Fiber<void>> = []
    for (const { at, cause, caller, error } of demands) {
      yield* TestClock.setTime(DateTime.toEpochMillis(at))
      if (broker !== undefined && cause === "restart") {
        yield* Scope.close(broker.scope, Exit.void)
        broker = undefined
      }
      broker ??= yield* start
      const demand = Acquisition.use((acquisition) =>
        acquisition.request({ provider: warpProvider, errorContext: error, caller })
      ).pipe(Effect.andThen(spend), Effect.provideContext(broker.services), Effect.ignore)
      asked.push(yield* Effect.forkChild(demand, { startImmediately: true }))
    }
    yield* TestClock.adjust("1 hour")
    yield* Fiber.joinAll(asked)
    return { demands, decisions } satisfies Replay
  },
  Effect.scoped,
  Effect.provide(TestClock.layer())
)

/** A token is asked for to be used: each demand that is met makes one model call, so tokens run out as they do in life. */
const spend = Effect.scoped(
  Effect.gen(function* () {
    const pool = yield* TokenPool
    const warp = yield* WarpClient
    const lease = yield* pool.lease({ provider: warpProvider })
    yield* warp.chat({ model: "auto", messages: [{ role: "user", content: "hi" }] }, lease).pipe(
      Effect.flatMap(Stream.runDrain),
      Effect.matchEffect({
        onSuccess: () => lease.report({ _tag: "Succeeded", latencyMs: 0 }),
        onFailure: (failure) => lease.report(outcomeOf(failure))
      })
    )
  })
)

/** The acquisitions, and the most of them in any sliding hour. */
const acquisitionsOf = ({ decisions }: Replay) => {
  const times = decisions.filter(({ step }) => step === "upstream").map(({ at }) => at)
  const busiestHour = Math.max(0, ...times.map((end) => times.filter((at) => at > end - hour && at <= end).length))
  return { times, busiestHour }
}
const hour = 3_600_000

export const reportOf = (replay: Replay): string => {
  const { demands, decisions } = replay
  const { times, busiestHour } = acquisitionsOf(replay)
  const causes = Object.entries(Arr.groupBy(demands, ({ cause }) => cause))
  const count = (step: Step, answered: boolean) =>
    countOf(decisions.filter((decision) => decision.step === step && (decision.answer === "token") === answered))
  const hours = new Set(demands.map(({ at }) => hourOf(DateTime.toEpochMillis(at))))
  return [
    `asked        ${demands.length} (${causes.map(([cause, of]) => `${cause} ${of.length}`).join(", ")})`,
    `acquired     ${times.length}, at most ${busiestHour} in any hour`,
    "",
    table(
      ["step", "answered with a token", "refused"],
      Step.literals.map((step) => [step, count(step, true), count(step, false)])
    ),
    "",
    table(
      ["hour", "asked", "acquired"],
      [...hours].map((start) => [
        start,
        demands.filter(({ at }) => hourOf(DateTime.toEpochMillis(at)) === start).length,
        times.filter((at) => hourOf(at) === start).length
      ])
    ),
    "",
    `accounted for ${countOf(decisions)} of ${demands.length} demands`
  ].join("\n")
}

const countOf = (decisions: ReadonlyArray<Decision>) => decisions.reduce((sum, { times = 1 }) => sum + times, 0)

const hourOf = (at: number) => `${DateTime.formatIso(DateTime.makeUnsafe(at)).slice(0, 13)}:00`
