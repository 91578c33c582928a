import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Context, Duration, Effect, Exit, Fiber, Layer, Metric, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { Budget } from "../../src/acquisition/budget.ts"
import { presets, RateLimiter, type RateLimiterOptions, type Reservation } from "../../src/acquisition/RateLimiter.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Sealed } from "../../src/store/Vault.ts"
import * as model from "./budgetModel.ts"
import { holdsForAll } from "./holdsForAll.ts"

const strict = RateLimiter.layer.pipe(Layer.provideMerge(Store.layerMemory))

/** Another process on the same store. */
const another = (options: RateLimiterOptions = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const context = yield* Layer.buildWithScope(Layer.fresh(RateLimiter.layerWith(options)), scope)
    return Context.get(context, RateLimiter)
  })

/** Another process, whose writes can be made to fail, or to answer late. */
const troubled = Effect.fnUntraced(function* (options: RateLimiterOptions = {}) {
  const store = yield* Store
  const fault = { fails: false, late: Duration.zero }
  const through = <A>(effect: Effect.Effect<A, StoreUnavailable>) =>
    Effect.suspend(() => (fault.fails ? broken() : Effect.tap(effect, Effect.sleep(fault.late))))
  const limiter = yield* another(options).pipe(
    Effect.provideService(
      Store,
      Store.of({
        ...store,
        get: (collection, key) => through(store.get(collection, key)),
        modify: (collection, key, change) => through(store.modify(collection, key, change))
      })
    )
  )
  return { limiter, fault }
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
      const { fault, limiter } = yield* troubled()
      const reservation = yield* limiter.reserve("warp", "now")
      fault.fails = true
      const failure = { type: "CreateUserRateLimited", retryAfter: Duration.minutes(30) }
      for (let i = 0; i < 3; i++) yield* Effect.flip(limiter.failed(reservation, failure))
      yield* TestClock.adjust("10 minutes")
      fault.fails = false
      assert.deepStrictEqual((yield* limiter.check("warp")).retryAfter, Duration.minutes(20))
      const error = yield* Effect.flip(limiter.reserve("warp", "now"))
      assert.deepInclude(error, { rule: "backoff", retryAfter: Duration.minutes(20) })
      assert.deepInclude(yield* (yield* another()).statistics("warp"), { failed: 1, consecutiveFailures: 1 })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("keeps to a backoff that the store would not take while another write was under way", () =>
    Effect.gen(function* () {
      const { fault, limiter } = yield* troubled()
      const reservation = yield* limiter.reserve("warp", "now")
      fault.late = Duration.seconds(1)
      const held = yield* Effect.forkChild(limiter.hold(reservation, Sealed.make("synthetic")), {
        startImmediately: true
      })
      fault.fails = true
      yield* Effect.flip(limiter.failed(reservation, { type: "UpstreamUnavailable" }))
      fault.fails = false
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(held)
      fault.late = Duration.zero
      assert.strictEqual((yield* limiter.check("warp")).rule, "backoff")
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("counts an attempt's end once, however often its writing was tried or it was told", () =>
    Effect.gen(function* () {
      const { fault, limiter } = yield* troubled()
      const reservation = yield* limiter.reserve("warp", "now")
      fault.fails = true
      const failed = limiter.failed(reservation, { type: "UpstreamUnavailable", unfinished: true })
      for (let i = 0; i < 3; i++) yield* Effect.flip(failed)
      fault.fails = false
      yield* failed
      yield* failed
      const counts = (yield* Metric.snapshot).flatMap((metric) =>
        metric.id === "weirgate_acquisition_attempts_total" && metric.type === "Counter"
          ? [[metric.attributes?.["outcome"], metric.state.count]]
          : []
      )
      assert.sameDeepMembers(counts, [
        ["reserved", 1],
        ["succeeded", 0],
        ["failed", 1]
      ])
    }).pipe(Effect.provide(Store.layerMemory), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("says with its statistics what a look would, and whether anything was left unfinished", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const reservation = yield* limiter.reserve("warp", "now")
      assert.deepInclude(yield* limiter.statistics("warp"), {
        limitedBy: "interval",
        nextAllowedAt: 300_000,
        hasUnfinished: false
      })
      yield* limiter.hold(reservation, Sealed.make("synthetic"))
      yield* TestClock.adjust(44_999)
      assert.isFalse((yield* limiter.statistics("warp")).hasUnfinished)
      yield* TestClock.adjust(1)
      assert.isTrue((yield* limiter.statistics("warp")).hasUnfinished)
    }).pipe(Effect.provide(strict))
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

  it.effect(
    "agrees with a naive count over any history of two processes, crashes, failures of the store and jumps of the clock",
    () =>
      Effect.gen(function* () {
        const tally: Tally = { granted: 0, refused: 0, withoutStore: 0, lost: 0 }
        const histories = Arbitrary.all({ budget: model.budget, history: model.history })
        yield* holdsForAll(
          histories,
          ({ budget, history }) =>
            play(budget, history, tally).pipe(Effect.scoped, Effect.provide(Layer.fresh(Store.layerMemory))),
          { runs: 1_000, size: 80 }
        )
        // The histories must have been such as to put the rules to the test.
        assert.isAbove(tally.granted, 1_000)
        assert.isAbove(tally.refused, 1_000)
        assert.isAbove(tally.withoutStore, 500)
        assert.isAbove(tally.lost, 5)
      }),
    60_000
  )
})

interface Tally {
  granted: number
  refused: number
  /** Asked or told while the store failed. */
  withoutStore: number
  /** Ends that a process had not stored when it died. */
  lost: number
}

const play = Effect.fnUntraced(function* (budget: Budget, history: ReadonlyArray<model.Command>, tally: Tally) {
  const options = {
    hourly: budget.hourly,
    daily: budget.daily,
    interval: budget.interval,
    backoff: { base: budget.base, max: budget.max }
  }
  const begin = Effect.map(troubled(options), (process) => ({
    ...process,
    under: new Array<Reservation>(),
    /** What the process knows and could not store. */
    unsaved: new Array<(known: model.Model) => model.Model>()
  }))
  const processes = [yield* begin, yield* begin]
  let now = 864_000_000
  let told = 0
  let naive = model.nothingYet
  for (const command of history) {
    if ("millis" in command) now += command._tag === "Wait" ? command.millis : -command.millis
    if (command._tag === "WaitAsTold") now += Math.max(told - (command.short ? 1 : 0), 0)
    yield* TestClock.setTime(now)
    if (!("process" in command)) continue
    const process = processes[command.process]
    if (process === undefined) continue
    const { fault, limiter, under, unsaved } = process
    const store = () => {
      naive = unsaved.splice(0).reduce((known, end) => end(known), naive)
    }
    switch (command._tag) {
      case "Restart":
        processes[command.process] = yield* begin
        tally.lost += unsaved.length
        break
      case "StoreFails":
        fault.fails = command.fails
        break
      case "Reserve": {
        const verdict = yield* Effect.exit(limiter.check("warp"))
        const exit = yield* Effect.exit(limiter.reserve("warp", "why"))
        if (fault.fails) {
          tally.withoutStore += 1
          assert.strictEqual(failureOf(verdict)?._tag, "StoreUnavailable")
          assert.strictEqual(failureOf(exit)?._tag, "StoreUnavailable")
          break
        }
        store()
        assert(Exit.isSuccess(verdict))
        assert.strictEqual(Exit.isSuccess(exit), model.allows(naive, budget, now))
        assert.strictEqual(verdict.value.allowed, Exit.isSuccess(exit))
        if (Exit.isSuccess(exit)) {
          tally.granted += 1
          under.push(exit.value)
          naive = model.attempted(naive, now)
          break
        }
        tally.refused += 1
        const error = failureOf(exit)
        assert(error?._tag === "AcquisitionLimited")
        told = Duration.toMillis(error.retryAfter)
        assert.strictEqual(told, Duration.toMillis(verdict.value.retryAfter))
        assert.isTrue(model.allows(naive, budget, now + told))
        assert.isFalse(model.allows(naive, budget, now + told - 1))
        break
      }
      default: {
        const reservation = under.shift()
        if (reservation === undefined) break
        const at = now
        if (command._tag === "Succeed") unsaved.push(model.succeeded)
        else unsaved.push((known) => model.failed(known, budget, at, command.retryAfter))
        const exit = yield* Effect.exit(
          command._tag === "Succeed"
            ? limiter.succeeded(reservation)
            : limiter.failed(reservation, { type: "x", retryAfter: Duration.millis(command.retryAfter) })
        )
        assert.strictEqual(Exit.isFailure(exit), fault.fails)
        if (fault.fails) tally.withoutStore += 1
        else store()
      }
    }
  }
  assert.isAtMost(model.busiest(naive.attempts, 3_600_000), budget.hourly)
  assert.isAtMost(model.busiest(naive.attempts, 86_400_000), budget.daily)
  assert.isAtLeast(model.closest(naive.attempts), budget.interval)
})

const failureOf = <A, E>(exit: Exit.Exit<A, E>) => {
  const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
  return failure?._tag === "Some" ? failure.value : undefined
}
const broken = () => Effect.fail(new StoreUnavailable({ operation: "read", detail: "synthetic" }))
const recordsOf = (store: Store["Service"]) =>
  Effect.map(store.all({ name: "acquisition-ledger", schema: Schema.Json }), (records) => [...records.values()])
