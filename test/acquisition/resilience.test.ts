import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Acquisition } from "../../src/acquisition/Acquisition.ts"
import { CreateUserRefused, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, creations, exchanges, lastDecision, start, statistics, world } from "./process.ts"

const background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const tokens = TokenPool.use((pool) => Effect.andThen(pool.sync, pool.list("warp")))
const down = new UpstreamUnavailable({ provider: "warp", reason: "status", status: 503, detail: "synthetic" })

describe("Acquisition over several processes and crashes", () => {
  it.effect("makes one token when two processes start at once, and both have it", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "2 seconds")
      const first = yield* background(a.request())
      const second = yield* background(b.request({ caller: "bob" }))
      const third = yield* background(b.request())
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      const { id } = yield* Fiber.join(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(second)).id, id)
      assert.strictEqual((yield* Fiber.join(third)).id, id)
      assert.strictEqual(yield* creations, 1)
      assert.strictEqual((yield* b.use(statistics)).totalAttempts, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives a request the token that was made while it looked for one", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      process.faults.slow = { match: /^get token-cache/, by: "2 seconds" }
      const slow = yield* background(process.request({ caller: "bob" }))
      yield* warp.delay("createAnonymousUser", "1 second")
      const quick = yield* background(process.request())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).id, (yield* Fiber.join(quick)).id)
      assert.deepInclude(yield* process.use(lastDecision), { step: "cache", caller: "bob" })
    }).pipe(Effect.provide(world()))
  )

  const races: ReadonlyArray<readonly [string, RegExp]> = [
    ["before it looked at the ledger", /^get acquisition-dedup/],
    ["after it had looked at the ledger", /^all/]
  ]
  it.effect.each(races)("gives a request the token for which another process took the place %s", ([, match]) =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "5 seconds")
      b.faults.slow = { match, by: "1 second" }
      const late = yield* background(b.request({ caller: "bob" }))
      const early = yield* background(a.request())
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(late)).id, (yield* Fiber.join(early)).id)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives a request the token for which another process took the place at the same moment", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "5 seconds")
      b.faults.slow = { match: /^modify acquisition-dedup/, by: "1 second" }
      a.faults.slow = { match: /^all/, by: "500 millis" }
      const early = yield* background(a.request())
      const late = yield* background(b.request({ caller: "bob" }))
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(late)).id, (yield* Fiber.join(early)).id)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows after a restart what was answered, cached and decided before", () =>
    Effect.gen(function* () {
      const before = yield* start()
      const { id } = yield* before.request()
      yield* before.stop
      const after = yield* start()
      assert.strictEqual((yield* after.request()).id, id)
      assert.strictEqual((yield* after.use(lastDecision))?.step, "dedup")
      assert.strictEqual((yield* after.request({ caller: "bob" })).id, id)
      assert.strictEqual((yield* after.use(lastDecision))?.step, "cache")
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("stores the token it has asked for before it stops", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "2 seconds")
      yield* background(Effect.exit(before.request()))
      const stopping = yield* background(before.stop)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(stopping)
      const after = yield* start()
      assert.strictEqual((yield* after.use(tokens)).length, 1)
      assert.strictEqual((yield* after.use(statistics)).succeeded, 1)
      assert.strictEqual((yield* after.use(lastDecision))?.answer, "token")
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token of a user that was created before a crash, and creates no other", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("exchange", "1 second")
      const dying = yield* background(Effect.exit(before.request()))
      yield* TestClock.adjust("500 millis")
      yield* before.kill
      yield* TestClock.adjust("500 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(dying)))

      const after = yield* start()
      assert.strictEqual((yield* after.use(tokens)).length, 0)
      yield* TestClock.adjust("1 minute")
      const { id } = yield* after.request({ caller: "bob" })
      assert.deepStrictEqual(
        (yield* after.use(tokens)).map((token) => token.id),
        [id]
      )
      assert.strictEqual(yield* creations, 1)
      assert.deepInclude(yield* after.use(statistics), { totalAttempts: 1, succeeded: 1 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("spends the place of an attempt whose process died before the upstream answered", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "1 second")
      const dying = yield* background(Effect.exit(before.request()))
      yield* before.kill
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(dying)
      const after = yield* start()
      const refused = yield* background(Effect.flip(after.request()))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Fiber.join(refused)).step, "policy")
      assert.strictEqual((yield* after.use(statistics)).totalAttempts, 1)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("never passes the hourly limit over twenty crashes in the middle of acquisitions", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      for (let i = 0; i < 20; i++) {
        const process = yield* start()
        yield* warp.delay("createAnonymousUser", "1 second")
        const dying = yield* background(Effect.exit(process.request({ caller: `caller-${i}` })))
        yield* process.kill
        yield* TestClock.adjust("170 seconds")
        yield* Fiber.join(dying)
      }
      assert.strictEqual(yield* creations, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect("repeats an exchange that fails in passing, which costs no user", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", down, 2)
      const fiber = yield* background(process.request())
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* creations, 1)
      assert.strictEqual(yield* exchanges, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token later when the exchange was down, without another creation", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", down, 4)
      const fiber = yield* background(Effect.flip(process.request()))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).step, "upstream")
      assert.strictEqual((yield* process.use(statistics)).failed, 1)
      yield* TestClock.adjust("1 minute")
      yield* process.request({ caller: "bob" })
      assert.strictEqual(yield* creations, 1)
      assert.deepInclude(yield* process.use(statistics), { succeeded: 1, failed: 0, consecutiveFailures: 0 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token later when the store would not take it, without another creation", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.delay("exchange", "1 second")
      const fiber = yield* background(Effect.flip(process.request()))
      process.faults.failing = /^modify (?!acquisition)/
      yield* TestClock.adjust("20 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { step: "upstream" })
      assert.include(error.reason, "synthetic")
      process.faults.failing = undefined
      yield* TestClock.adjust("1 minute")
      yield* process.request({ caller: "bob" })
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives up a user whose exchange is refused for good", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", new CreateUserRefused({ provider: "warp", reason: "INVALID_CUSTOM_TOKEN" }))
      assert.strictEqual((yield* Effect.flip(process.request())).step, "upstream")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* exchanges, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("waits no longer than 15 seconds for a process that died at work", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "10 days")
      yield* background(Effect.exit(before.request()))
      yield* before.kill
      const after = yield* start()
      yield* after.use(add("personal"))
      const waiting = yield* background(Effect.exit(after.request()))
      yield* TestClock.adjust(14_999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(251)
      const exit = yield* Fiber.join(waiting)
      const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
      assert(error?._tag === "Some")
      assert.strictEqual(error.value.reason, "a personal token is usable")
      // What the dead process still waits for ends, or the test would not.
      yield* TestClock.adjust("2 minutes")
    }).pipe(Effect.provide(world()))
  )

  const parts: ReadonlyArray<readonly [RegExp, string]> = [
    [/acquisition-dedup/, "dedup"],
    [/token-cache/, "cache"],
    [/^all/, "policy"],
    [/acquisition-ledger/, "rate_limiter"],
    [/modify acquisition-ledger/, "rate_limiter"],
    [/./, "dedup"]
  ]
  it.effect.each(parts)("grants nothing when the store fails, and names the step: %s", ([failing, step]) =>
    Effect.gen(function* () {
      const process = yield* start()
      process.faults.failing = failing
      const error = yield* Effect.flip(process.request())
      assert.strictEqual(error.step, step)
      assert.include(error.reason, "synthetic")
      assert.strictEqual(yield* creations, 0)
      process.faults.failing = undefined
      yield* process.request()
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps the denials of the last moment when it stops, and at the latest a tenth of a second after", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* start(), yield* start()]
      yield* a.use(add("personal"))
      yield* Effect.flip(a.request())
      assert.isUndefined(yield* b.use(lastDecision))
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* b.use(lastDecision))?.caller, "alice")
      yield* Effect.flip(a.request({ caller: "bob" }))
      yield* a.stop
      assert.strictEqual((yield* b.use(lastDecision))?.caller, "bob")
    }).pipe(Effect.provide(world()))
  )

  it.effect("answers as decided when the decision cannot be kept", () =>
    Effect.gen(function* () {
      const process = yield* start()
      process.faults.failing = /append/
      assert.strictEqual((yield* process.request()).kind, "anonymous")
      process.faults.failing = undefined
      const decisions = yield* process.use(Acquisition.use((acquisition) => acquisition.decisions(10)))
      assert.deepStrictEqual(decisions, [])
    }).pipe(Effect.provide(world()))
  )
})
