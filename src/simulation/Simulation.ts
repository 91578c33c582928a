/** Replays a trace through the layers that serve, under virtual time, against modelled upstreams. Takes no network and no file. */
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Broker from "../Broker.ts"
import { nameOf, type Target } from "../domain/Provider.ts"
import { Store } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import { ScriptedWarp } from "../testing/ScriptedWarp.ts"
import { Gateway } from "../traffic/Gateway.ts"
import { Governor } from "../traffic/Governor.ts"
import { offerOf } from "../traffic/routing.ts"
import * as Journey from "../traffic/journey.ts"
import { figuresOf } from "./figures.ts"
import { capacityPerMinute, idealMeanWaitMs } from "./ideal.ts"
import { interval, Meter } from "./meter.ts"
import * as ModelledOpenAi from "./ModelledOpenAi.ts"
import type { Outcome, ProviderOutcome } from "./outcome.ts"
import type { Scenario, Upstream } from "./scenario.ts"
import { type Arrival, atSpeed, mostWithin, speedFor } from "./trace.ts"

/** It cannot be simulated as it was asked for. */
export class SimulationInvalid extends Schema.TaggedError<SimulationInvalid>()("SimulationInvalid", {
  field: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.field}: ${this.reason}`
  }
}

export interface SimulationOptions {
  /** What a server would be configured with: providers, routes, limits of the queue. */
  readonly broker: Broker.BrokerOptions
  readonly scenario: Scenario
  readonly trace: ReadonlyArray<Arrival>
  /** What the trace is called in the outcome. */
  readonly name: string
  /** The route that is asked for. */
  readonly model: string
  /** How many times as fast as it was recorded; or what share of the capacity is asked for on average, or in its busiest minute. */
  readonly pace: { readonly speed: number } | { readonly load: number } | { readonly peak: number }
  /** Requests come from so many clients in turn. */
  readonly clients: number
  /** Whatever is left to chance follows from it. */
  readonly seed: string
  /** Told now and then how many of the requests have ended, and how far virtual time has come, in milliseconds. */
  readonly progress?: (done: number, at: number) => Effect.Effect<void>
}

const minute = 60_000

/** The same of all options gives the same outcome. */
export const simulate = Effect.fnUntraced(
  function* (options: SimulationOptions) {
    const { broker, model, name, scenario, seed, trace } = options
    const targets = yield* targetsOf(broker, model)
    const unmodelled = targets.find(({ provider }) =>
      broker.providers?.some(({ kind, name }) => name === provider && kind === "warp")
    )
    if (unmodelled !== undefined) {
      const reason = `${nameOf(unmodelled)} is one of its targets, and Warp is not modelled`
      return yield* new SimulationInvalid({ field: "model", reason })
    }
    const upstreams = upstreamsOf(targets, scenario)
    const capacity = capacityPerMinute(trace, upstreams)
    const speed = yield* speedOf(options, capacity)
    const paced = atSpeed(trace, speed)
    const lengthMs = paced.at(-1)?.at ?? 0
    const run = yield* played(options, upstreams, paced)
    return {
      scenario: {
        trace: name,
        rows: trace.length,
        lengthMs,
        speed,
        seed,
        model,
        capacityPerMinute: capacity,
        meanLoad: trace.length / capacity / (Math.max(minute, lengthMs) / minute),
        busiestMinuteLoad: mostWithin(paced, minute) / capacity
      },
      ...run,
      leastMeanWaitMs: idealMeanWaitMs(paced, upstreams),
      figures: figuresOf(run.requests, run.waits, run.providers)
    } satisfies Outcome
  },
  (effect, { seed }) => Effect.provide(Random.withSeed(effect, seed), TestClock.layer())
)

/** In the order of the route. */
const targetsOf = ({ providers = [], routes = [] }: Broker.BrokerOptions, model: string) =>
  Effect.suspend(() => {
    const targets = offerOf(providers, routes).resolve(model)
    return targets === undefined
      ? Effect.fail(
          new SimulationInvalid({ field: "model", reason: `the configuration has no ${JSON.stringify(model)}` })
        )
      : Effect.succeed(targets)
  })

const upstreamsOf = (targets: ReadonlyArray<Target>, { upstreams }: Scenario): ReadonlyArray<Upstream> =>
  [...new Set(targets.map(({ provider }) => provider))].flatMap((name) => upstreams.get(name) ?? [])

const speedOf = ({ pace, trace }: SimulationOptions, capacity: number) => {
  if ("speed" in pace) return Effect.succeed(pace.speed)
  const field = "load" in pace ? "load" : "peak"
  if (!Number.isFinite(capacity)) {
    const reason = "without limits there is no capacity to take a share of; give a speed"
    return Effect.fail(new SimulationInvalid({ field, reason }))
  }
  const perMinute = ("load" in pace ? pace.load : pace.peak) * capacity
  if ("peak" in pace) return Effect.succeed(speedFor(trace, perMinute))
  const lengthMs = Math.max(minute, trace.at(-1)?.at ?? 0)
  return Effect.succeed((perMinute * lengthMs) / minute / trace.length)
}

/** Waits longer than this at the end of the trace are cut off: whatever is still under way is of no use to anyone. */
const afterwards = 15 * minute

const played = Effect.fnUntraced(function* (
  options: SimulationOptions,
  upstreams: ReadonlyArray<Upstream>,
  trace: ReadonlyArray<Arrival>
) {
  const startedAt = yield* Clock.currentTimeMillis
  const counts = new Map(
    [...options.scenario.upstreams.keys()].map((name) => [name, { calls: 0, served: 0, throttled: 0, failed: 0 }])
  )
  const services = yield* Layer.build(
    Broker.layerWith(options.broker).pipe(
      Layer.provide(
        Layer.mergeAll(
          Store.layerMemory,
          Vault.layerEphemeral,
          ScriptedWarp.layer(),
          ModelledOpenAi.layer(options.scenario, counts, startedAt)
        )
      )
    )
  )
  const gateway = Context.get(services, Gateway)
  const governor = Context.get(services, Governor)
  const meter = new Meter(upstreams.map(({ name }) => name))
  const requests = { asked: 0, answered: 0, refused: 0, failed: 0, reasons: {} as Record<string, number> }
  const waits: Array<number> = []
  const latencies: Array<number> = []

  const ended = (exit: Exit.Exit<unknown, { readonly _tag: string }>, journey: Journey.Journey, tookMs: number) => {
    if (journey.attempts > 0) waits.push(journey.queuedMs)
    if (Exit.isSuccess(exit)) {
      requests.answered++
      latencies.push(tookMs)
      return
    }
    const tag = exit.cause.reasons.find(Cause.isFailReason)?.error._tag ?? "Defect"
    requests.reasons[tag] = (requests.reasons[tag] ?? 0) + 1
    if (isRefusal.has(tag)) requests.refused++
    else requests.failed++
  }

  const ask = Effect.fnUntraced(function* (arrival: Arrival, ordinal: number) {
    yield* Effect.sleep(startedAt + arrival.at - (yield* Clock.currentTimeMillis))
    const journey = Journey.make(false)
    requests.asked++
    const exit = yield* Effect.exit(
      Effect.scoped(
        gateway.send({
          id: `sim-${ordinal}`,
          endpoint: "/chat/completions",
          body: ModelledOpenAi.bodyOf(arrival),
          model: options.model,
          stream: false,
          client: `client-${(ordinal % options.clients) + 1}`,
          journey
        })
      )
    )
    ended(exit, journey, (yield* Clock.currentTimeMillis) - startedAt - arrival.at)
  })

  const look = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const standings = yield* governor.providers
    meter.look(now - startedAt, (yield* governor.statistics).waiting, standings, now)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, Effect.sleep(interval))))

  // Only so many sleep at a time: those of the next while.
  const lengthMs = trace.at(-1)?.at ?? 0
  const fibers: Array<Fiber.Fiber<void>> = []
  let next = 0
  const doneBy = (): number => requests.answered + requests.refused + requests.failed
  for (let until = 0; doneBy() < trace.length && until < lengthMs + afterwards;) {
    until += step
    for (let arrival = trace[next]; arrival !== undefined && arrival.at < until; arrival = trace[++next]) {
      fibers.push(yield* Effect.forkChild(ask(arrival, next), { startImmediately: true }))
    }
    yield* TestClock.setTime(startedAt + until)
    if (options.progress !== undefined) yield* options.progress(doneBy(), until)
  }
  yield* Fiber.interruptAll(fibers)

  const providers = upstreams.map(({ faults, limits, name }): ProviderOutcome => {
    const { calls, failed, served, throttled } = counts.get(name) ?? { calls: 0, failed: 0, served: 0, throttled: 0 }
    return { name, ...limits, calls, served, throttled, failed, ...meter.of(name), faults }
  })
  return {
    requests,
    waits: waits.toSorted((a, b) => a - b),
    latencies: latencies.toSorted((a, b) => a - b),
    providers,
    samples: meter.samples()
  }
}, Effect.scoped)

/** Milliseconds by which virtual time is moved on at once. */
const step = 1_000

/** What a request meets that we turn away. */
const isRefusal: ReadonlySet<string> = new Set(["SlotRefused", "NoCapacity", "StoreUnavailable"])
