import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Throttled } from "../../src/domain/Failure.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, call, callWith, lease, renewable, start, startStoppable, stateOf, StoreFaults, world } from "./pools.ts"
import { hour, minute, quotaExhausted, second, succeeded, throttled } from "./records.ts"

const refreshes = Effect.flatMap(ScriptedWarp, (warp) => Effect.map(warp.calls, (calls) => calls.refresh))

describe("a pool that is restarted", () => {
  it.effect("knows its tokens, their states, statistics and secrets", () =>
    Effect.gen(function* () {
      const { pool, stop } = yield* startStoppable()
      const exhausted = yield* add(pool, "exhausted")
      yield* call(pool, quotaExhausted())
      const cooling = yield* add(pool, "cooling")
      yield* call(pool, throttled(hour))
      const dead = yield* add(pool, "dead")
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      const disabled = yield* add(pool, "disabled")
      yield* pool.disable(disabled, "by hand")
      const active = yield* add(pool, "active", "personal", renewable("active"))
      yield* call(pool, succeeded)
      const before = yield* Effect.forEach([exhausted, cooling, dead, disabled, active], pool.get)
      yield* stop
      const restarted = yield* start()
      const after = yield* Effect.forEach([exhausted, cooling, dead, disabled, active], restarted.get)
      assert.deepStrictEqual(after, before)
      assert.strictEqual(Redacted.value((yield* call(restarted, succeeded)).access), "scripted-access-1")
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows of an exhausted token though it was killed", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, quotaExhausted())
      // Not stopped: what its predecessor had yet to store is lost.
      assert.strictEqual((yield* stateOf(yield* start(), id))._tag, "exhausted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows that the provider cools, and goes on with the gaps of its probes", () =>
    Effect.gen(function* () {
      const { pool, stop } = yield* startStoppable()
      const ids = [yield* add(pool, "a"), yield* add(pool, "b")]
      for (const id of ids) yield* callWith(pool, id, throttled())
      yield* stop
      const restarted = yield* start()
      assert.strictEqual(yield* restarted.coolingUntil("warp"), 30 * second)
      yield* TestClock.adjust("30 seconds")
      yield* call(restarted, throttled())
      assert.strictEqual(yield* restarted.coolingUntil("warp"), 90 * second)
    }).pipe(Effect.provide(world()))
  )
})

describe("two pools on one store", () => {
  it.effect("lend what the other has added", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* start(), yield* start()]
      const id = yield* add(one, "a")
      assert.strictEqual((yield* call(two, succeeded)).id, id)
    }).pipe(Effect.provide(world()))
  )

  it.effect("see within five seconds what the other has learnt", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const id = yield* add(one, "a")
      const two = yield* start()
      yield* call(one, quotaExhausted())
      assert.strictEqual((yield* stateOf(two, id))._tag, "active")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* stateOf(two, id))._tag, "exhausted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("add up what both have served", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const id = yield* add(one, "a")
      const two = yield* start()
      for (const pool of [one, two, one]) yield* call(pool, succeeded)
      yield* TestClock.adjust("6 seconds")
      for (const pool of [one, two]) assert.strictEqual((yield* pool.get(id)).served, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect("give one name one id", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* start(), yield* start()]
      const ids = yield* Effect.forEach([one, two, one], (pool) => add(pool, "a"), { concurrency: "unbounded" })
      assert.strictEqual(new Set(ids).size, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("renew a token once between them, and both lend the new secret", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(one, "a", "anonymous", renewable("a"))
      const two = yield* start()
      yield* warp.delay("refresh", "1 second")
      const callers = yield* Effect.forkChild(
        Effect.forEach([one, two, one, two], (pool) => call(pool, succeeded), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("2 seconds")
      const secrets = (yield* Fiber.join(callers)).map(({ access }) => Redacted.value(access))
      assert.deepStrictEqual(new Set(secrets), new Set(["scripted-access-1"]))
      assert.strictEqual(yield* refreshes, 1)
    }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect("do not ask again for a renewal that has just failed for the other", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(one, "a", "anonymous", renewable("a"))
      const two = yield* start()
      yield* warp.delay("refresh", "1 second")
      const limit = { provider: "warp", signature: "s", retryAfter: Duration.minutes(2) }
      yield* warp.fail("refresh", new Throttled(limit))
      const callers = yield* Effect.forkChild(
        Effect.forEach([one, two], (pool) => Effect.flip(call(pool, succeeded)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("3 seconds")
      const waits = (yield* Fiber.join(callers)).map(({ retryAfter }) => retryAfter !== undefined)
      assert.deepStrictEqual([waits, yield* refreshes], [[true, true], 1])
    }).pipe(Effect.provide(world()))
  )

  it.effect("take over the renewal of one that died a minute after it began", () =>
    Effect.gen(function* () {
      const { pool: one, stop } = yield* startStoppable()
      const warp = yield* ScriptedWarp
      const faults = yield* StoreFaults
      yield* add(one, "a", "anonymous", renewable("a"))
      const two = yield* start()
      yield* warp.delay("refresh", "1 hour")
      yield* Effect.forkChild(call(one, succeeded), { startImmediately: true })
      // It can neither finish nor tell: as if it had been killed.
      const stopping = yield* Effect.forkChild(stop)
      faults.fails = true
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(stopping)
      faults.fails = false
      const caller = yield* Effect.forkChild(call(two, succeeded))
      yield* TestClock.setTime(minute - 1)
      assert.isUndefined(caller.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(caller)
      assert.strictEqual(yield* refreshes, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("send one probe between them", () =>
    Effect.gen(function* () {
      const one = yield* start()
      yield* add(one, "a")
      yield* call(one, throttled())
      const two = yield* start()
      yield* TestClock.adjust("30 seconds")
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isTrue((yield* lease(one)).probe)
          assert.strictEqual((yield* Effect.flip(call(two, succeeded))).reason, "1 being probed")
        })
      )
      yield* one.sync
      assert.isTrue((yield* call(two, succeeded)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("send one probe of the provider between them", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const ids = [yield* add(one, "a"), yield* add(one, "b")]
      for (const id of ids) yield* callWith(one, id, throttled())
      const two = yield* start()
      yield* TestClock.adjust("30 seconds")
      assert.isTrue((yield* lease(one)).probe)
      assert.strictEqual((yield* Effect.flip(call(two, succeeded)))._tag, "NoTokenUsable")
    }).pipe(Effect.provide(world()))
  )

  it.effect("probe the provider next, when the other's probe has told nothing", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const ids = [yield* add(one, "a"), yield* add(one, "b")]
      for (const id of ids) yield* callWith(one, id, throttled())
      yield* TestClock.adjust("30 seconds")
      assert.isTrue((yield* call(one, { _tag: "UpstreamFault" })).probe)
      const two = yield* start()
      assert.isTrue((yield* call(two, succeeded)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("renew at once what the other had begun to when it stopped", () =>
    Effect.gen(function* () {
      const { pool: one, stop } = yield* startStoppable()
      const warp = yield* ScriptedWarp
      yield* add(one, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "1 hour")
      yield* Effect.forkChild(call(one, succeeded), { startImmediately: true })
      const stopping = yield* Effect.forkChild(stop)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(stopping)
      yield* call(yield* start(), succeeded)
      assert.strictEqual(yield* refreshes, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("infer a limit that each has met with one token", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const [a, b] = [yield* add(one, "a"), yield* add(one, "b")]
      const two = yield* start()
      yield* callWith(one, a, throttled(60_000))
      yield* callWith(two, b, throttled(60_000))
      yield* TestClock.adjust("10 seconds")
      for (const pool of [one, two]) {
        assert.strictEqual(yield* pool.coolingUntil("warp"), 60_000)
        for (const id of [a, b]) assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "active" })
      }
    }).pipe(Effect.provide(world()))
  )
})

describe("a pool whose store fails", () => {
  it.effect("goes on lending and learning in memory, and stores it all when the store is back", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const faults = yield* StoreFaults
      const a = yield* add(pool, "a")
      const b = yield* add(pool, "b", "personal", renewable("b"))
      faults.fails = true
      assert.strictEqual((yield* call(pool, quotaExhausted())).id, a)
      const caller = yield* Effect.forkChild(call(pool, succeeded))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(caller)).id, b)
      yield* TestClock.setTime(hour)
      assert.isTrue((yield* call(pool, succeeded, { exclude: new Set([b]) })).probe)
      yield* TestClock.adjust("10 seconds")
      faults.fails = false
      yield* TestClock.adjust("1 second")
      const restarted = yield* start()
      assert.strictEqual((yield* restarted.get(a)).succeeded, 1)
      assert.strictEqual((yield* restarted.get(b)).succeeded, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps a token that could not be stored, and gives it one id afterwards too", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const faults = yield* StoreFaults
      faults.fails = true
      assert.isTrue(Exit.isFailure(yield* Effect.exit(add(pool, "a"))))
      const { id } = yield* call(pool, succeeded)
      faults.fails = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* add(pool, "a"), id)
      assert.strictEqual((yield* call(yield* start(), succeeded)).id, id)
    }).pipe(Effect.provide(world()))
  )
})
