import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { TokenId } from "../../src/domain/Token.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"
import { add, call, callWith, lease, leased, start, stateOf, world } from "./pools.ts"
import { accessRejected, hour, minute, quotaExhausted, second, succeeded, throttled } from "./records.ts"

type Pool = Effect.Success<ReturnType<typeof start>>

/** A pool with so many tokens. */
const poolOf = Effect.fnUntraced(function* (count: number) {
  const pool = yield* start()
  const ids = yield* Effect.forEach(Array.from({ length: count }), (_, i) => add(pool, `t${i}`))
  return { pool, ids }
})

const unusable = (pool: Pool) => Effect.flip(call(pool, succeeded))

const failuresOf = (pool: Pool, id: TokenId) => Effect.map(pool.get(id), ({ failed }) => failed)

describe("probes", () => {
  const cooldowns: ReadonlyArray<readonly [name: string, outcome: Outcome, first: number, second: number]> = [
    ["a used-up quota", quotaExhausted(), hour, 2 * hour],
    ["a refused access secret", accessRejected, 30 * second, 60 * second],
    ["a 429 that states nothing", throttled(), 30 * second, 60 * second]
  ]
  for (const [name, outcome, first, next] of cooldowns) {
    it.effect(`${name} is over when one probe succeeds, and out for longer when it fails`, () =>
      Effect.gen(function* () {
        const { pool } = yield* poolOf(1)
        yield* call(pool, outcome)
        yield* TestClock.setTime(first - 1)
        assert.deepStrictEqual((yield* unusable(pool)).retryAfter, Duration.millis(1))
        yield* TestClock.setTime(first)
        assert.isTrue((yield* call(pool, outcome)).probe)
        yield* TestClock.setTime(first + next - 1)
        assert.deepStrictEqual((yield* unusable(pool)).retryAfter, Duration.millis(1))
        yield* TestClock.setTime(first + next)
        assert.isTrue((yield* call(pool, succeeded)).probe)
        assert.isFalse((yield* call(pool, succeeded)).probe)
      }).pipe(Effect.provide(world()))
    )
  }

  it.effect("of many who ask when a guessed cooldown is over, one gets the probe", () =>
    Effect.gen(function* () {
      const { pool } = yield* poolOf(1)
      yield* call(pool, throttled())
      yield* TestClock.adjust("30 seconds")
      const gate = yield* Scope.fork(yield* Effect.scope)
      const exits = yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.exit(Scope.provide(lease(pool), gate))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      const none = yield* unusable(pool)
      assert.deepStrictEqual([none.reason, none.retryAfter], ["1 being probed", Duration.seconds(1)])
      yield* Scope.close(gate, Exit.void)
      assert.isTrue((yield* lease(pool)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a probe that is left without a report, or interrupted, makes room for the next", () =>
    Effect.gen(function* () {
      const { pool } = yield* poolOf(1)
      yield* call(pool, throttled())
      yield* TestClock.adjust("30 seconds")
      for (let i = 0; i < 3; i++) {
        const holder = yield* Effect.forkChild(Effect.scoped(Effect.andThen(lease(pool), Effect.never)), {
          startImmediately: true
        })
        assert.strictEqual(yield* leased(pool), 1)
        yield* Fiber.interrupt(holder)
      }
      assert.isTrue((yield* call(pool, succeeded)).probe)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("when a stated time is over, the token is lent to all who ask", () =>
    Effect.gen(function* () {
      const { pool } = yield* poolOf(1)
      yield* call(pool, throttled(5_000))
      yield* TestClock.setTime(4_999)
      assert.deepStrictEqual((yield* unusable(pool)).retryAfter, Duration.millis(1))
      yield* TestClock.setTime(5_000)
      const leases = yield* Effect.all([lease(pool), lease(pool)])
      assert.deepStrictEqual(
        leases.map(({ probe }) => probe),
        [false, false]
      )
    }).pipe(Effect.provide(world()))
  )
})

describe("a limit above the tokens", () => {
  it.effect("one token's own 429 leaves its siblings and the provider alone", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(3)
      const [hit] = ids
      for (let i = 0; i < 3; i++) {
        yield* callWith(pool, hit!, throttled())
        assert.isUndefined(yield* pool.coolingUntil("warp"))
        yield* TestClock.adjust("2 minutes")
      }
      assert.strictEqual((yield* stateOf(pool, hit!))._tag, "cooling")
      assert.notStrictEqual((yield* call(pool, succeeded, { exclude: new Set([hit!]) })).id, hit)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a token without siblings is cooled itself", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(1)
      yield* call(pool, throttled(1_000))
      assert.isUndefined(yield* pool.coolingUntil("warp"))
      assert.strictEqual((yield* stateOf(pool, ids[0]!))._tag, "cooling")
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "the same 429 to half of the tokens cools the provider until the latest Retry-After and undoes their penalties",
    () =>
      Effect.gen(function* () {
        const { ids, pool } = yield* poolOf(4)
        yield* callWith(pool, ids[0]!, throttled(20_000))
        assert.isUndefined(yield* pool.coolingUntil("warp"))
        yield* TestClock.setTime(9_000)
        yield* callWith(pool, ids[1]!, throttled(3_000))
        assert.strictEqual(yield* pool.coolingUntil("warp"), 20_000)
        for (const id of ids) {
          assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "active" })
          assert.strictEqual(yield* failuresOf(pool, id), 0)
        }
        yield* TestClock.setTime(19_999)
        const none = yield* unusable(pool)
        assert.deepStrictEqual([none.held, none.retryAfter], [4, Duration.millis(1)])
        yield* TestClock.setTime(20_000)
        assert.isFalse((yield* call(pool, succeeded)).probe)
        assert.isUndefined(yield* pool.coolingUntil("warp"))
      }).pipe(Effect.provide(world()))
  )

  it.effect("different limits, or the same more than ten seconds apart, are the tokens' own", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(2)
      yield* callWith(pool, ids[0]!, throttled(60_000, "one"))
      yield* callWith(pool, ids[1]!, throttled(1_000, "another"))
      assert.isUndefined(yield* pool.coolingUntil("warp"))
      yield* TestClock.setTime(10_001)
      yield* callWith(pool, ids[1]!, throttled(60_000, "one"))
      assert.isUndefined(yield* pool.coolingUntil("warp"))
      for (const id of ids) assert.strictEqual((yield* stateOf(pool, id))._tag, "cooling")
    }).pipe(Effect.provide(world()))
  )

  it.effect("two of five are too few", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(5)
      yield* callWith(pool, ids[0]!, throttled())
      yield* callWith(pool, ids[1]!, throttled())
      assert.isUndefined(yield* pool.coolingUntil("warp"))
      yield* callWith(pool, ids[2]!, throttled())
      assert.strictEqual(yield* pool.coolingUntil("warp"), 30 * second)
    }).pipe(Effect.provide(world()))
  )

  it.effect("calls that meet the known limit meanwhile put its end off and harm no token", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(3)
      const late = yield* Effect.all([lease(pool), lease(pool), lease(pool)])
      yield* late[0].report(throttled(5_000))
      yield* late[1].report(throttled(5_000))
      assert.strictEqual(yield* pool.coolingUntil("warp"), 5_000)
      yield* TestClock.setTime(1_000)
      yield* late[2].report(throttled(9_000))
      assert.strictEqual(yield* pool.coolingUntil("warp"), 10_000)
      for (const id of ids) assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "active" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("a guessed end is probed by one call, with gaps that double, and its success opens the provider", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(2)
      for (const id of ids) yield* callWith(pool, id, throttled())
      let at = 0
      for (const gap of [30, 60, 120, 240, 480, 900, 900].map((seconds) => seconds * second)) {
        assert.strictEqual(yield* pool.coolingUntil("warp"), at + gap)
        yield* TestClock.setTime(at + gap - 1)
        assert.deepStrictEqual((yield* unusable(pool)).retryAfter, Duration.millis(1))
        yield* TestClock.setTime(at + gap)
        at += gap
        yield* Effect.scoped(
          Effect.gen(function* () {
            const probe = yield* lease(pool)
            assert.isTrue(probe.probe)
            assert.deepStrictEqual((yield* unusable(pool)).retryAfter, Duration.seconds(1))
            yield* probe.report(throttled())
          })
        )
        for (const id of ids) assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "active" })
      }
      yield* TestClock.setTime(at + 15 * minute)
      yield* call(pool, succeeded)
      assert.isFalse((yield* call(pool, succeeded)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tokens out of use do not count among those that could be used", () =>
    Effect.gen(function* () {
      const { ids, pool } = yield* poolOf(6)
      for (const id of ids.slice(2)) yield* callWith(pool, id, quotaExhausted())
      yield* callWith(pool, ids[0]!, throttled())
      yield* callWith(pool, ids[1]!, throttled())
      assert.strictEqual(yield* pool.coolingUntil("warp"), 30 * second)
    }).pipe(Effect.provide(world()))
  )
})
