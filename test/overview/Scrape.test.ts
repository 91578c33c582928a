import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer, Metric, type Scope } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import type { Limits, Provider, Route } from "../../src/domain/Provider.ts"
import { StoreUnavailable } from "../../src/store/Store.ts"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { RateLimiter } from "../../src/acquisition/RateLimiter.ts"
import { Exchanges } from "../../src/overview/Exchanges.ts"
import { Scrape } from "../../src/overview/Scrape.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Catalog } from "../../src/traffic/Catalog.ts"
import { Governor, type SlotOutcome } from "../../src/traffic/Governor.ts"
import { offering, warp } from "../../src/traffic/offering.ts"
import { add, world } from "../pool/pools.ts"
import { version } from "../../src/version.ts"

/** Whether the ledger can be read, which is all that a scrape asks of a store. */
class Ledger extends Context.Service<Ledger, { isAway: boolean }>()("test/Ledger") {}

const limiter = Layer.effect(
  RateLimiter,
  Effect.gen(function* () {
    const inner = yield* RateLimiter
    const ledger = yield* Ledger
    return RateLimiter.of({
      ...inner,
      statistics: (provider) =>
        Effect.suspend(() =>
          ledger.isAway
            ? Effect.fail(new StoreUnavailable({ operation: "read", detail: "synthetic" }))
            : inner.statistics(provider)
        )
    })
  })
).pipe(
  Layer.provide(RateLimiter.layerWith({ hourly: 2, daily: 5, interval: "1 minute" })),
  Layer.provideMerge(Layer.sync(Ledger, () => ({ isAway: false })))
)

const services = Scrape.layer.pipe(
  Layer.provideMerge(
    Layer.mergeAll(Catalog.layer, Exchanges.layer, Governor.layer, TokenPool.layer, Predictor.layer, limiter)
  ),
  Layer.provideMerge(world())
)

const watched = <A, E>(effect: Effect.Effect<A, E, Layer.Success<typeof services> | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(services), Effect.provideService(Metric.MetricRegistry, new Map()))

/** The samples of the page, by metric and labels as they stand there. */
const page = Effect.gen(function* () {
  yield* Scrape.use(({ refresh }) => refresh)
  const text = yield* PrometheusMetrics.format()
  return Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const [, sample, value] = /^([^#]\S*) (\S+)$/.exec(line) ?? []
      return sample === undefined ? [] : [[sample, Number(value)]]
    })
  ) as Readonly<Record<string, number | undefined>>
})

const provider = (name: string, limits: Partial<Limits>, models?: ReadonlyArray<string>): Provider => ({
  ...warp,
  kind: "openai",
  name,
  baseUrl: "https://synthetic.example/v1",
  keys: [],
  models,
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited", ...limits }
})

const offer = (providers: ReadonlyArray<Provider>, routes: ReadonlyArray<Route> = []) => offering(providers, routes)

const slot = (targets: ReadonlyArray<readonly [provider: string, model: string]>, tokens = 1) =>
  Effect.gen(function* () {
    const since = yield* Clock.currentTimeMillis
    return yield* Governor.use((governor) =>
      governor.slot({
        targets: targets.map(([provider, model]) => ({ provider, model })),
        client: "test",
        priority: 5,
        since,
        until: since + 600_000,
        tokens
      })
    )
  })

const call = (provider: string, model: string, outcome: SlotOutcome) =>
  Effect.scoped(
    Effect.map(slot([[provider, model]]), (held) => {
      held.sent()
      held.settle(outcome)
    })
  )

const failed: SlotOutcome = { _tag: "Failed", retryAfter: undefined }
const served: SlotOutcome = { _tag: "Served", tokens: undefined }

describe("a scrape", () => {
  it.effect("tells how far each limit is used, and which is learned; where there is no limit, the use alone", () =>
    watched(
      Effect.gen(function* () {
        yield* offer([provider("set", { concurrency: 3, rpm: 40, tpm: 1_000 }), provider("free", {})])
        yield* offer([
          provider("set", { concurrency: 3, rpm: 40, tpm: 1_000 }),
          provider("free", {}),
          provider("learns", { concurrency: "unknown", rpm: "unknown" })
        ])
        const held = yield* slot([["set", "m"]], 70)
        held.sent()
        const seen = yield* page
        const of = (name: string, provider: string, limit: string) =>
          seen[`weirgate_provider_${name}{provider="${provider}",limit="${limit}"}`]
        for (const [limit, most, use] of [
          ["concurrency", 3, 1],
          ["rpm", 40, 1],
          ["tpm", 1_000, 70]
        ] as const) {
          assert.strictEqual(of("limit", "set", limit), most)
          assert.strictEqual(of("use", "set", limit), use)
          assert.strictEqual(of("limit_learned", "set", limit), 0)
          assert.isUndefined(of("limit", "free", limit))
          assert.strictEqual(of("use", "free", limit), 0)
        }
        for (const limit of ["concurrency", "rpm"]) {
          assert.isAbove(of("limit", "learns", limit) ?? 0, 0)
          assert.strictEqual(of("limit_learned", "learns", limit), 1)
        }
        assert.isUndefined(of("limit_learned", "learns", "tpm"))
        held.settle({ _tag: "Served", tokens: 50 })
        assert.strictEqual((yield* page)[`weirgate_provider_use{provider="set",limit="tpm"}`], 50)
      })
    )
  )

  it.effect("tells the circuit of each model that the operator has named, and of all others the worst", () =>
    watched(
      Effect.gen(function* () {
        yield* offer(
          [provider("a", {}, ["m", "n"]), provider("any", {})],
          [{ model: "public", targets: [{ provider: "any", model: "routed" }] }]
        )
        const state = (provider: string, model: string) =>
          Effect.map(page, (seen) => seen[`weirgate_circuit_state{provider="${provider}",model="${model}"}`])
        yield* call("a", "n", served)
        for (const model of ["routed", "what a client chose"]) yield* call("any", model, served)
        for (let i = 0; i < 2; i++) yield* call("a", "m", failed)
        assert.deepStrictEqual(
          yield* Effect.all([state("a", "m"), state("a", "n"), state("any", "routed"), state("any", "other")]),
          [3, 0, 0, 0]
        )
        for (let i = 0; i < 2; i++) yield* call("any", "what another chose", failed)
        assert.strictEqual(yield* state("any", "other"), 3)
        assert.notInclude(Object.keys(yield* page).join(), "chose")
        yield* TestClock.adjust("1 minute")
        yield* call("a", "m", served)
        assert.include([0, 1], yield* state("a", "m"))
      })
    )
  )

  it.effect("counts a waiting request once, and at each provider that it waits for", () =>
    watched(
      Effect.gen(function* () {
        yield* offer([provider("a", { concurrency: 1 }), provider("b", { concurrency: 1 })])
        yield* slot([["a", "m"]])
        yield* slot([["b", "m"]])
        const ask = slot([
          ["a", "m"],
          ["b", "m"]
        ])
        const waiting = yield* Effect.forkScoped(Effect.all([ask, ask], { concurrency: 2 }))
        yield* TestClock.adjust("7 seconds")
        const seen = yield* page
        assert.strictEqual(seen["weirgate_requests_waiting"], 2)
        assert.strictEqual(seen["weirgate_requests_oldest_wait_seconds"], 7)
        for (const name of ["a", "b"]) assert.strictEqual(seen[`weirgate_slots_waiting{provider="${name}"}`], 2)
        yield* Fiber.interrupt(waiting)
        assert.deepInclude(yield* page, {
          weirgate_requests_waiting: 0,
          weirgate_requests_oldest_wait_seconds: 0
        })
      })
    )
  )

  it.effect("tells the budget against its limits, and leaves it out while the store is away", () =>
    watched(
      Effect.gen(function* () {
        const limiter = yield* RateLimiter
        yield* limiter.reserve("warp", "synthetic")
        const hour = `{provider="warp",window="hour"}`
        const day = `{provider="warp",window="day"}`
        assert.deepInclude(yield* page, {
          [`weirgate_acquisition_budget_used${hour}`]: 1,
          [`weirgate_acquisition_budget_limit${hour}`]: 2,
          [`weirgate_acquisition_budget_used${day}`]: 1,
          [`weirgate_acquisition_budget_limit${day}`]: 5,
          [`weirgate_acquisition_next_seconds{provider="warp"}`]: 60
        })
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* page, {
          [`weirgate_acquisition_budget_used${hour}`]: 0,
          [`weirgate_acquisition_budget_used${day}`]: 1,
          [`weirgate_acquisition_next_seconds{provider="warp"}`]: 0
        })
        const ledger = yield* Ledger
        ledger.isAway = true
        const seen = yield* page
        assert.isUndefined(seen[`weirgate_acquisition_budget_used${hour}`])
        assert.strictEqual(seen["weirgate_requests_waiting"], 0)
        ledger.isAway = false
        assert.strictEqual((yield* page)[`weirgate_acquisition_budget_used${day}`], 1)
      })
    )
  )

  it.effect("tells the usable tokens, and what is predicted of Warp's, with the mean confidence", () =>
    watched(
      Effect.gen(function* () {
        const pool = yield* TokenPool
        const predictor = yield* Predictor
        const told = yield* add(pool, "told")
        yield* add(pool, "new")
        yield* pool.disable(yield* add(pool, "out"), "synthetic")
        yield* predictor.noteQuota(told, { unlimited: false, limit: 100, used: 99 })
        const { confidence } = yield* predictor.predict({ provider: "warp", kind: "anonymous", token: told })
        const seen = yield* page
        assert.strictEqual(seen[`weirgate_tokens_usable{provider="warp"}`], 2)
        assert.strictEqual(seen[`weirgate_tokens_predicted{provider="warp",level="CRITICAL"}`], 1)
        const levels = Object.entries(seen).filter(([name]) => name.startsWith("weirgate_tokens_predicted"))
        assert.strictEqual(
          levels.reduce((sum, [, count = 0]) => sum + count, 0),
          2
        )
        assert.strictEqual(confidence, 1)
        const mean = seen[`weirgate_prediction_confidence{provider="warp"}`] ?? 0
        assert.isAtLeast(mean, 0.5)
        assert.isAtMost(mean, 1)
      })
    )
  )

  it.effect("has no series any more of a provider that is gone, and zeros of one that has come", () =>
    watched(
      Effect.gen(function* () {
        const mentions = (name: string) =>
          Effect.map(page, (seen) => Object.keys(seen).filter((key) => key.includes(`provider="${name}"`)))
        yield* offer([provider("a", { rpm: 5 })])
        yield* Governor.use(({ hold }) => hold("a", 90_000))
        assert.strictEqual((yield* page)[`weirgate_provider_held_seconds{provider="a"}`], 90)
        assert.includeMembers(
          yield* mentions("a"),
          ["served", "Throttled", "UpstreamUnavailable"].map(
            (outcome) => `weirgate_attempts_total{provider="a",outcome="${outcome}"}`
          )
        )
        yield* offer([provider("b", {})])
        const left = (yield* mentions("a")).filter((name) => !/_total|_slots_|_paused/.test(name))
        assert.deepStrictEqual(left, [])
        assert.isNotEmpty(yield* mentions("b"))
      })
    )
  )

  it.effect("has from the start what nobody has counted yet, and what the process is", () =>
    watched(
      Effect.gen(function* () {
        const seen = yield* page
        for (const name of [
          `weirgate_requests_total{outcome="failed"}`,
          `weirgate_requests_under_way`,
          `weirgate_requests_streaming`,
          `weirgate_slots_refused_total{reason="paused"}`,
          `weirgate_acquisition_attempts_total{outcome="reserved"}`,
          `weirgate_acquisition_limited_total{rule="backoff"}`,
          `weirgate_predictor_observations_total{result="quota"}`,
          `weirgate_pool_store_failures_total`
        ]) {
          assert.strictEqual(seen[name], 0, name)
        }
        assert.strictEqual(seen[`weirgate_build_info{version="${version}"}`], 1)
        for (const name of [
          "process_start_time_seconds",
          "process_cpu_seconds_total",
          "process_resident_memory_bytes",
          "nodejs_heap_size_used_bytes",
          "weirgate_event_loop_seconds_total"
        ]) {
          assert.isAbove(seen[name] ?? 0, 0, name)
        }
      })
    )
  )

  it.effect("that many ask for at once is read by one at a time, and others go on in between", () =>
    watched(
      Effect.gen(function* () {
        let turns = 0
        yield* Effect.forkScoped(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => void turns++),
              Effect.yieldNow
            )
          )
        )
        const { refresh } = yield* Scrape
        yield* Effect.all(
          Array.from({ length: 40 }, () => refresh),
          { concurrency: "unbounded", discard: true }
        )
        assert.isAtLeast(turns, 35)
      })
    )
  )
})
