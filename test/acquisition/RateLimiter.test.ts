import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { presets, RateLimiter, type RateLimiterOptions, type Reservation } from "../../src/acquisition/RateLimiter.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Sealed } from "../../src/store/Vault.ts"
import * as model from "./budgetModel.ts"

const strict = RateLimiter.layer.pipe(Layer.provideMerge(Store.layerMemory))

/** Another process on the same store. */
const another = (options: RateLimiterOptions = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const context = yield* Layer.buildWithScope(Layer.fresh(RateLimiter.layerWith(options)), scope)
    return Context.get(context, RateLimiter)
  })

const reserve = Effect.flatMap(RateLimiter, (limiter) => limiter.reserve("warp", "quota used up"))
const denied = Effect.map(Effect.flip(reserve), (error) => {
  assert.strictEqual(error._tag, "AcquisitionLimited")
  return error._tag === "AcquisitionLimited" ? [error.rule, Duration.toMillis(error.retryAfter)] : []
})
const allowedAfter = (rule: string, millis: number) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* denied, [rule, millis])
    yield* TestClock.adjust(millis - 1)
    assert.deepStrictEqual(yield* denied, [rule, 1])
    yield* TestClock.adjust(1)
    return yield* reserve
  })

describe("RateLimiter", () => {
  it.effect("allows the next attempt 300 seconds after the last, and says so to the millisecond", () =>
    Effect.gen(function* () {
      yield* reserve
      yield* TestClock.adjust(1)
      yield* allowedAfter("interval", 299_999)
    }).pipe(Effect.provide(strict))
  )

  it.effect("allows the fourth of an hour when the first has left it", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) {
        yield* reserve
        yield* TestClock.adjust("10 minutes")
      }
      yield* allowedAfter("hourly", 30 * 60_000)
    }).pipe(Effect.provide(strict))
  )

  it.effect("allows the twenty-first of a day when the first has left it", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        yield* reserve
        yield* TestClock.adjust("30 minutes")
      }
      yield* allowedAfter("daily", 14 * 3_600_000)
    }).pipe(Effect.provide(strict))
  )

  it.effect("backs off twice as long after each failure, and not at all after a success", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const failure = { type: "UpstreamUnavailable" }
      yield* limiter.failed(yield* reserve, failure)
      const second = yield* allowedAfter("backoff", 600_000)
      yield* limiter.failed(second, failure)
      const third = yield* allowedAfter("backoff", 1_200_000)
      yield* limiter.succeeded(third)
      yield* TestClock.adjust("2 hours")
      yield* limiter.failed(yield* reserve, failure)
      yield* allowedAfter("backoff", 600_000)
    }).pipe(Effect.provide(strict))
  )

  it.effect("counts the backoff from when the failure was known", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const reservation = yield* reserve
      yield* TestClock.adjust("40 seconds")
      yield* limiter.failed(reservation, { type: "UpstreamUnavailable" })
      yield* allowedAfter("backoff", 600_000)
    }).pipe(Effect.provide(strict))
  )

  it.effect("stays away for the upstream's Retry-After when it is longer than the backoff", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const failure = { type: "CreateUserRateLimited", retryAfter: Duration.minutes(45) }
      yield* limiter.failed(yield* reserve, failure)
      yield* allowedAfter("backoff", 45 * 60_000)
    }).pipe(Effect.provide(strict))
  )

  it.effect("looks without taking", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      for (let i = 0; i < 10; i++) assert.isTrue((yield* limiter.check("warp")).allowed)
      yield* reserve
      const verdict = yield* limiter.check("warp")
      assert.deepStrictEqual(verdict, { allowed: false, rule: "interval", retryAfter: Duration.minutes(5) })
      yield* TestClock.adjust("5 minutes")
      assert.isTrue((yield* limiter.check("warp")).allowed)
    }).pipe(Effect.provide(strict))
  )

  it.effect("keeps a budget for each provider", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      yield* reserve
      yield* limiter.reserve("elsewhere", "quota used up")
    }).pipe(Effect.provide(strict))
  )

  it.effect("grants one place to a hundred who ask at once, whichever process they ask", () =>
    Effect.gen(function* () {
      const limiters = [yield* RateLimiter, yield* another(), yield* another()]
      const asked = Array.from({ length: 99 }, (_, i) => limiters[i % 3]?.reserve("warp", "now") ?? Effect.die("none"))
      const results = yield* Effect.all(asked.map(Effect.exit), { concurrency: "unbounded" })
      assert.strictEqual(results.filter(Exit.isSuccess).length, 1)
    }).pipe(Effect.provide(strict))
  )

  it.effect("does not forget with a restart what was spent, nor a place whose process died", () =>
    Effect.gen(function* () {
      yield* reserve
      const reborn = yield* another()
      assert.isFalse((yield* reborn.check("warp")).allowed)
      const statistics = yield* reborn.statistics("warp")
      assert.deepInclude(statistics, { totalAttempts: 1, succeeded: 0, failed: 0, hourly: 1, daily: 1 })
    }).pipe(Effect.provide(strict))
  )

  it.effect("keeps the place spent when the one who took it is interrupted", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.andThen(reserve, Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* denied)[0], "interval")
    }).pipe(Effect.provide(strict))
  )

  it.effect("grants nothing when the store fails", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      assert.strictEqual((yield* Effect.flip(limiter.reserve("warp", "now")))._tag, "StoreUnavailable")
      assert.strictEqual((yield* Effect.flip(limiter.check("warp")))._tag, "StoreUnavailable")
    }).pipe(Effect.provide(RateLimiter.layer.pipe(Layer.provide(Layer.mock(Store, { get: broken, modify: broken })))))
  )

  it.effect("keeps to a backoff that the store would not take, and stores it when it can", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const fault = { fails: false }
      const modify: Store["Service"]["modify"] = (collection, key, change) =>
        Effect.suspend(() => (fault.fails ? broken() : store.modify(collection, key, change)))
      const limiter = yield* another().pipe(Effect.provideService(Store, Store.of({ ...store, modify })))
      const reservation = yield* limiter.reserve("warp", "now")
      fault.fails = true
      const failure = { type: "CreateUserRateLimited", retryAfter: Duration.minutes(30) }
      for (let i = 0; i < 3; i++) yield* Effect.flip(limiter.failed(reservation, failure))
      assert.deepStrictEqual((yield* limiter.check("warp")).retryAfter, Duration.minutes(30))
      yield* TestClock.adjust("10 minutes")
      fault.fails = false
      const error = yield* Effect.flip(limiter.reserve("warp", "now"))
      assert.deepInclude(error, { rule: "backoff", retryAfter: Duration.minutes(20) })
      assert.deepInclude(yield* (yield* another()).statistics("warp"), { failed: 1, consecutiveFailures: 1 })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("keeps nothing of a reason that tells one time from another", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const reservation = yield* limiter.reserve("warp", "No AI requests remaining at 12:00:01 for user 4711")
      yield* limiter.hold(reservation, Sealed.make("synthetic"))
      yield* TestClock.adjust("45 seconds")
      assert.strictEqual((yield* limiter.takeOver("warp"))?.reservation.id, reservation.id)
      assert.isUndefined(yield* limiter.takeOver("warp"))
      const store = yield* Store
      assert.notInclude(JSON.stringify(yield* recordsOf(store)), "4711")
    }).pipe(Effect.provide(strict))
  )

  it.effect("knows the three presets, and what differs from them", () =>
    Effect.gen(function* () {
      const numbers = (options: RateLimiterOptions) =>
        Effect.map(
          Effect.flatMap(another(options), (limiter) => limiter.statistics("warp")),
          ({ limits }) => [
            limits.hourly,
            limits.daily,
            Duration.toSeconds(limits.interval),
            Duration.toSeconds(limits.backoff.base),
            Duration.toSeconds(limits.backoff.max)
          ]
        )
      assert.deepStrictEqual(yield* numbers({}), [3, 20, 300, 600, 3600])
      assert.deepStrictEqual(yield* numbers({ preset: "production" }), [5, 20, 300, 600, 3600])
      assert.deepStrictEqual(yield* numbers({ preset: "standard" }), [10, 50, 60, 300, 4800])
      const own = { preset: "standard", hourly: 7, backoff: { base: "10 seconds" } } as const
      assert.deepStrictEqual(yield* numbers(own), [7, 50, 60, 10, 4800])
      assert.strictEqual(presets.strict.hourly, 3)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  const nonsense: ReadonlyArray<readonly [string, RateLimiterOptions]> = [
    ["hourly", { hourly: 0 }],
    ["hourly", { hourly: 2.5 }],
    ["daily", { daily: -1 }],
    ["daily", { daily: Number.NaN }],
    ["interval", { interval: 0 }],
    ["interval", { interval: "-5 seconds" }],
    ["interval", { interval: Number.NaN }],
    ["interval", { interval: "Infinity" }],
    ["backoff.base", { backoff: { base: 0 } }],
    ["backoff.max", { backoff: { max: "-1 millis" } }]
  ]
  it.effect.each(nonsense)("refuses a limit that makes no sense, by name: %s", ([field, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(another(options))
      assert.strictEqual(error.field, field)
      assert.include(error.message, field)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect.prop(
    "agrees with a naive count over any history of two processes, restarts, crashes and jumps of the clock",
    { budget: model.budget, history: model.history },
    ({ budget, history }) =>
      Effect.gen(function* () {
        const options = {
          hourly: budget.hourly,
          daily: budget.daily,
          interval: budget.interval,
          backoff: { base: budget.base, max: budget.max }
        }
        const limiters = [yield* another(options), yield* another(options)]
        const under: Array<Array<Reservation>> = [[], []]
        let now = 864_000_000
        let told = 0
        let naive = model.nothingYet
        for (const command of history) {
          if ("millis" in command) now += command._tag === "Wait" ? command.millis : -command.millis
          if (command._tag === "WaitAsTold") now += Math.max(told - (command.short ? 1 : 0), 0)
          yield* TestClock.setTime(now)
          if (!("process" in command)) continue
          const limiter = limiters[command.process]
          if (limiter === undefined) continue
          if (command._tag === "Restart") {
            limiters[command.process] = yield* another(options)
            under[command.process] = []
          } else if (command._tag === "Reserve") {
            const verdict = yield* limiter.check("warp")
            const exit = yield* Effect.exit(limiter.reserve("warp", "why"))
            assert.strictEqual(Exit.isSuccess(exit), model.allows(naive, budget, now))
            assert.strictEqual(verdict.allowed, Exit.isSuccess(exit))
            if (Exit.isSuccess(exit)) {
              under[command.process]?.push(exit.value)
              naive = model.attempted(naive, now)
            } else {
              const error = Cause.findErrorOption(exit.cause)
              assert(error._tag === "Some" && error.value._tag === "AcquisitionLimited")
              told = Duration.toMillis(error.value.retryAfter)
              assert.strictEqual(told, Duration.toMillis(verdict.retryAfter))
              assert.isTrue(model.allows(naive, budget, now + told))
              assert.isFalse(model.allows(naive, budget, now + told - 1))
            }
          } else {
            const reservation = under[command.process]?.shift()
            if (reservation === undefined) continue
            if (command._tag === "Succeed") {
              yield* limiter.succeeded(reservation)
              naive = model.succeeded(naive)
            } else {
              const retryAfter = Duration.millis(command.retryAfter)
              yield* limiter.failed(reservation, { type: "x", retryAfter })
              naive = model.failed(naive, budget, now, command.retryAfter)
            }
          }
        }
        assert.isAtMost(model.busiest(naive.attempts, 3_600_000), budget.hourly)
        assert.isAtMost(model.busiest(naive.attempts, 86_400_000), budget.daily)
        assert.isAtLeast(model.closest(naive.attempts), budget.interval)
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Store.layerMemory))),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 80 } }
  )
})

const broken = () => Effect.fail(new StoreUnavailable({ operation: "read", detail: "synthetic" }))
const recordsOf = (store: Store["Service"]) =>
  Effect.map(store.all({ name: "acquisition-ledger", schema: Schema.Json }), (records) => [...records.values()])
