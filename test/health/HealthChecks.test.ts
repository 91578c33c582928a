import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, Metric, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  AccessRejected,
  AccountBlocked,
  RefreshRejected,
  RequestRejected,
  Throttled
} from "../../src/domain/Failure.ts"
import type { TokenId } from "../../src/domain/Token.ts"
import type { TokenPool } from "../../src/pool/TokenPool.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, call, callWith, lease, renewable, stateOf, world } from "../pool/pools.ts"
import { accessRejected, hour, minute, quotaExhausted, second, succeeded, throttled } from "../pool/records.ts"
import { addMany, down, scripted, start, startStoppable } from "./processes.ts"

type Pool = TokenPool["Service"]
const every = 5 * minute

/** A process whose every token is asked for by that script. */
const watched = Effect.fnUntraced(function* () {
  const script = scripted()
  return { ...(yield* start({ checks: { warp: script.check } })), ...script }
})

/** Six calls that fail, as D4's report has it. */
const failSix = (pool: Pool, id: TokenId) =>
  Effect.forEach(Array.from({ length: 6 }), () => callWith(pool, id, { _tag: "Failed" }), { discard: true })

const rejected = Effect.fail(new AccessRejected({ provider: "warp" }))

describe("health checks", () => {
  it.effect("ask about each of 60 tokens once in five minutes, no two of them in the same five seconds", () =>
    Effect.gen(function* () {
      const { asked, pool } = yield* watched()
      const ids = yield* addMany(pool, 60)
      yield* TestClock.adjust(every)
      assert.sameMembers(
        asked.map(({ id }) => id),
        ids
      )
      assert.strictEqual(new Set(asked.map(({ at }) => Math.floor(at / (5 * second)))).size, 60)
      const first = asked.splice(0)
      yield* TestClock.adjust(every)
      assert.deepStrictEqual(
        asked,
        first.map(({ at, id }) => ({ at: at + every, id }))
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect("bring back a token that was disabled, when its upstream has recovered, with no hand involved", () =>
    Effect.gen(function* () {
      const { health, of, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      upstream.answer = down
      yield* failSix(pool, id)
      assert.strictEqual((yield* stateOf(pool, id))._tag, "disabled")
      // Half a minute, then twice that, and twice that.
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(of(id), [30 * second, 90 * second, 210 * second])
      assert.strictEqual((yield* Effect.flip(lease(pool))).reason, "1 disabled")
      upstream.answer = () => Effect.void
      yield* TestClock.setTime(450 * second)
      assert.deepStrictEqual(of(id).at(-1), 450 * second)
      const lent = yield* lease(pool)
      assert.deepStrictEqual([lent.id, lent.probe], [id, false])
      assert.deepStrictEqual(
        (yield* health.history(10)).map(({ ok }) => ok),
        [true, false, false, false]
      )
    }).pipe(Effect.scoped, Effect.provide(world()))
  )

  it.effect(
    "bring a token back that was taken out of use long after it was last checked, at the moment it may come",
    () =>
      Effect.gen(function* () {
        const { of, pool } = yield* watched()
        const id = yield* add(pool, "a")
        yield* TestClock.setTime(12 * minute + 1)
        yield* call(pool, accessRejected)
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(of(id).at(-1), 12 * minute + 1 + 30 * second)
        assert.strictEqual((yield* stateOf(pool, id))._tag, "active")
      }).pipe(Effect.provide(world()))
  )

  it.effect("leave alone a token that calls prove good, and say nothing of it", () =>
    Effect.gen(function* () {
      const { asked, pool } = yield* watched()
      const id = yield* add(pool, "a")
      for (let i = 0; i < 6; i++) {
        yield* TestClock.adjust("4 minutes")
        yield* call(pool, succeeded)
      }
      assert.deepStrictEqual(asked, [])
      assert.isUndefined((yield* pool.get(id)).lastCheck)
      yield* TestClock.adjust(2 * every)
      assert.isNotEmpty(asked)
    }).pipe(Effect.provide(world()))
  )

  it.effect("are not made of tokens that only a person brings back, nor where the upstream cannot be asked", () =>
    Effect.gen(function* () {
      const { asked, health, pool } = yield* watched()
      const dead = yield* add(pool, "dead")
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      yield* pool.disable(yield* add(pool, "disabled"), "by hand")
      const credential = { access: Redacted.make("synthetic") }
      const other = yield* pool.add({ provider: "other", name: "a", kind: "shared", credential })
      yield* TestClock.adjust(3 * every)
      assert.deepStrictEqual(asked, [])
      assert.isUndefined(yield* health.check(other))
      assert.isUndefined((yield* pool.get(other)).lastCheck)
      assert.strictEqual((yield* stateOf(pool, dead))._tag, "dead")
      assert.deepStrictEqual(yield* health.history(10), [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("say nothing of a token when the question was at fault or had no answer", () =>
    Effect.gen(function* () {
      const { asked, health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      upstream.answer = () => Effect.succeed("unknown")
      assert.isUndefined(yield* health.check(id))
      upstream.answer = () =>
        Effect.fail(new RequestRejected({ provider: "warp", status: 400, code: null, reason: "synthetic" }))
      assert.isUndefined(yield* health.check(id))
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual([yield* health.history(10), (yield* pool.get(id)).lastCheck], [[], undefined])
    }).pipe(Effect.provide(world()))
  )

  it.effect("are two at a time, and those that had to wait are made as soon as one ends", () =>
    Effect.gen(function* () {
      const { asked, pool, upstream } = yield* watched()
      const ids = yield* addMany(pool, 60)
      const gate = yield* Deferred.make<void>()
      upstream.answer = () => Deferred.await(gate)
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual([asked.length, upstream.most], [2, 2])
      const fourth = yield* Deferred.make<void>()
      upstream.answer = () =>
        Effect.andThen(
          asked.length === 4 ? Deferred.succeed(fourth, undefined) : Effect.void,
          Effect.sleep("8 seconds")
        )
      yield* Deferred.succeed(gate, undefined)
      // Without a moment's wait.
      yield* Deferred.await(fourth)
      assert.deepStrictEqual([asked.length, upstream.most], [4, 2])
      yield* TestClock.adjust(every)
      assert.sameMembers([...new Set(asked.map(({ id }) => id))], ids)
      assert.strictEqual(upstream.most, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("give an upstream that never answers 30 seconds", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      upstream.answer = () => Effect.never
      const checking = yield* Effect.forkChild(health.check(id))
      yield* TestClock.adjust("30 seconds")
      const result = yield* Fiber.join(checking)
      assert.deepStrictEqual([result?.ok, result?.took], [false, 30 * second])
      assert.include(result?.detail, "did not answer the check")
    }).pipe(Effect.provide(world()))
  )

  it.effect("count for nothing among the token's calls", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      yield* health.check(id)
      upstream.answer = down
      yield* health.check(id)
      const { consecutiveFailures, failed, lastUsedAt, served, succeeded, window } = yield* pool.get(id)
      assert.deepStrictEqual([consecutiveFailures, failed, served, succeeded], [0, 0, 0, 0])
      assert.deepStrictEqual([lastUsedAt, window], [undefined, []])
      const [view] = yield* pool.list()
      assert.deepStrictEqual([view?.lastCheck?.ok, view?.leased], [false, 0])
    }).pipe(Effect.provide(world()))
  )

  it.effect("change nobody's turn to be lent", () =>
    Effect.gen(function* () {
      const { health, pool } = yield* watched()
      const [first, next] = yield* addMany(pool, 2)
      yield* callWith(pool, first!, succeeded)
      yield* health.check(next!)
      assert.strictEqual((yield* call(pool, succeeded)).id, next)
    }).pipe(Effect.provide(world()))
  )
})

describe("a check that is refused", () => {
  it.effect("renews the secret once and asks once more", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const secrets: Array<string> = []
      upstream.answer = ({ access }) => {
        secrets.push(Redacted.value(access))
        return secrets.length === 1 ? rejected : Effect.void
      }
      const id = yield* add(pool, "a", "anonymous", renewable("a"))
      assert.strictEqual((yield* health.check(id))?.ok, true)
      assert.deepStrictEqual(secrets, ["scripted-access-1", "scripted-access-2"])
      assert.strictEqual((yield* stateOf(pool, id))._tag, "active")
      upstream.answer = () => rejected
      const failed = yield* health.check(id)
      assert.deepStrictEqual([failed?.ok, failed?.detail], [false, "warp no longer accepts the access token"])
      assert.deepStrictEqual(yield* stateOf(pool, id), {
        _tag: "cooling",
        why: "access rejected",
        until: 30 * second,
        source: "guessed"
      })
    }).pipe(Effect.provide(world()))
  )

  it.effect("is the end of a token that is blocked, or whose secret is renewed no more", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const blocked = yield* add(pool, "blocked")
      upstream.answer = () => Effect.fail(new AccountBlocked({ provider: "warp", reason: "terms" }))
      assert.strictEqual((yield* health.check(blocked))?.ok, false)
      assert.strictEqual((yield* stateOf(pool, blocked))._tag, "dead")

      const gone = yield* add(pool, "gone", "anonymous", renewable("gone"))
      const warp = yield* ScriptedWarp
      yield* warp.fail("refresh", new RefreshRejected({ provider: "warp", code: "USER_DISABLED" }))
      const result = yield* health.check(gone)
      assert.strictEqual((yield* stateOf(pool, gone))._tag, "dead")
      assert.deepStrictEqual([result?.ok, result?.detail?.includes("refuses to renew")], [false, true])
    }).pipe(Effect.provide(world()))
  )

  it.effect("with 429 cools the token for as long as was said", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      const retryAfter = Duration.seconds(7)
      upstream.answer = () => Effect.fail(new Throttled({ provider: "warp", signature: "limit", retryAfter }))
      yield* health.check(id)
      const cooling = { _tag: "cooling", why: "throttled", until: 7 * second, source: "stated" } as const
      assert.deepStrictEqual(yield* stateOf(pool, id), cooling)
    }).pipe(Effect.provide(world()))
  )

  it.effect("with 429 as others were at once is the provider's limit; then none is asked until that is over", () =>
    Effect.gen(function* () {
      const { asked, health, pool, upstream } = yield* watched()
      const ids = yield* addMany(pool, 2)
      upstream.answer = () => Effect.fail(new Throttled({ provider: "warp", signature: "limit" }))
      for (const id of ids) yield* health.check(id)
      assert.strictEqual(yield* pool.coolingUntil("warp"), 30 * second)
      assert.deepStrictEqual(
        (yield* pool.list()).map(({ state }) => state._tag),
        ["active", "active"]
      )
      assert.isUndefined(yield* health.check(ids[0]!))
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("with 429 by schedule keeps the limit that the provider is known to have, and blames no token", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const ids = yield* addMany(pool, 2)
      for (const id of ids) yield* callWith(pool, id, throttled(undefined, "limit"))
      yield* TestClock.adjust("30 seconds")
      upstream.answer = () => Effect.fail(new Throttled({ provider: "warp", signature: "limit" }))
      assert.strictEqual((yield* health.check(ids[0]!))?.ok, false)
      assert.strictEqual((yield* stateOf(pool, ids[0]!))._tag, "active")
      assert.isAbove((yield* pool.coolingUntil("warp")) ?? 0, 30 * second)
    }).pipe(Effect.provide(world()))
  )
})

describe("the quota that a check brings", () => {
  const left = { unlimited: false, limit: 10, used: 3 }

  it.effect("is the pool's, and ends a guess that the token is exhausted", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      yield* call(pool, quotaExhausted())
      upstream.answer = () => Effect.succeed(left)
      assert.strictEqual((yield* health.check(id))?.ok, true)
      assert.strictEqual((yield* stateOf(pool, id))._tag, "active")
      upstream.answer = () => Effect.succeed({ ...left, used: 10, resetAt: hour })
      assert.strictEqual((yield* health.check(id))?.ok, true)
      assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "exhausted", until: hour, source: "stated" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("is not believed when the token was refused while it was asked for", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      const [arrived, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      upstream.answer = () =>
        Effect.as(Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(gate)), left)
      const checking = yield* Effect.forkChild(health.check(id))
      yield* Deferred.await(arrived)
      yield* TestClock.adjust(1)
      yield* call(pool, quotaExhausted())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(checking)
      assert.strictEqual((yield* stateOf(pool, id))._tag, "exhausted")
    }).pipe(Effect.provide(world()))
  )
})

describe("checks of several processes on one store", () => {
  it.effect("are of each token one in each interval", () =>
    Effect.gen(function* () {
      const { check, of } = scripted()
      const one = yield* start({ checks: { warp: check } })
      const ids = yield* addMany(one.pool, 10)
      yield* start({ checks: { warp: check } })
      yield* TestClock.adjust(4 * every)
      for (const id of ids) assert.strictEqual(of(id).length, 4)
      assert.strictEqual((yield* one.health.history(100)).length, 40)
    }).pipe(Effect.provide(world()))
  )

  it.effect("let one process probe a token whose time is over", () =>
    Effect.gen(function* () {
      const { check, of, upstream } = scripted()
      upstream.answer = down
      const one = yield* start({ checks: { warp: check } })
      const two = yield* start({ checks: { warp: check } })
      const id = yield* add(one.pool, "a")
      yield* failSix(one.pool, id)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* stateOf(two.pool, id))._tag, "disabled")
      yield* TestClock.adjust("62 seconds")
      assert.deepStrictEqual(of(id), [30 * second, 90 * second])
    }).pipe(Effect.provide(world()))
  )

  it.effect("keep history and state over a kill, and go on where they were", () =>
    Effect.gen(function* () {
      const { check, of, upstream } = scripted()
      upstream.answer = down
      const first = yield* start({ checks: { warp: check } })
      const id = yield* add(first.pool, "a")
      yield* failSix(first.pool, id)
      yield* TestClock.adjust("31 seconds")
      const before = yield* first.health.history(10)
      assert.strictEqual(before.length, 1)
      // Not stopped: its claims, had it any, were never given back.
      const next = yield* start({ checks: { warp: check } })
      assert.deepStrictEqual(yield* next.health.history(10), before)
      assert.deepStrictEqual(yield* next.pool.get(id), yield* first.pool.get(id))
      upstream.answer = () => Effect.void
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(of(id), [30 * second, 90 * second])
      assert.strictEqual((yield* stateOf(next.pool, id))._tag, "active")
    }).pipe(Effect.provide(world()))
  )

  it.effect("give back the claim of a check that was under way when the process ends", () =>
    Effect.gen(function* () {
      const { check, upstream } = scripted()
      const pool = (yield* start({ checks: {} })).pool
      const id = yield* add(pool, "a")
      yield* failSix(pool, id)
      const arrived = yield* Deferred.make<void>()
      upstream.answer = () => Effect.andThen(Deferred.succeed(arrived, undefined), Effect.never)
      const ending = yield* startStoppable({ checks: { warp: check } })
      yield* TestClock.adjust("32 seconds")
      yield* Deferred.await(arrived)
      assert.isDefined((yield* ending.pool.get(id)).probe)
      yield* ending.stop
      yield* pool.sync
      const { check: claim, lastCheck, probe } = yield* pool.get(id)
      assert.deepStrictEqual([claim, lastCheck, probe], [undefined, undefined, undefined])
      assert.strictEqual(upstream.atWork, 0)
      assert.isTrue((yield* lease(pool)).probe)
    }).pipe(Effect.scoped, Effect.provide(world()))
  )
})

describe("a check at a person's wish", () => {
  it.effect("is made at once, joins the one under way, and goes on when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const { asked, health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      const [arrived, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      upstream.answer = () => Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(gate))
      const [left, stayed] = [yield* Effect.forkChild(health.check(id)), yield* Effect.forkChild(health.check(id))]
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(left)
      yield* Deferred.succeed(gate, undefined)
      const result = yield* Fiber.join(stayed)
      assert.deepStrictEqual(result, { at: 0, token: id, name: "a", provider: "warp", ok: true, took: 0 })
      assert.strictEqual(asked.length, 1)
      assert.deepStrictEqual(yield* health.history(10, id), result && [result])
    }).pipe(Effect.provide(world()))
  )

  it.effect("of a token that is not there is none", () =>
    Effect.gen(function* () {
      const { health, pool } = yield* watched()
      const id = yield* add(pool, "a")
      yield* pool.remove(id)
      assert.isUndefined(yield* health.check(id))
    }).pipe(Effect.provide(world()))
  )

  it.effect("tells of a token that a person has disabled, and leaves it so", () =>
    Effect.gen(function* () {
      const { health, pool } = yield* watched()
      const id = yield* add(pool, "a")
      yield* pool.disable(id, "by hand")
      assert.strictEqual((yield* health.check(id))?.ok, true)
      assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "disabled", why: "by hand" })
    }).pipe(Effect.provide(world()))
  )
})

describe("what is told of checks", () => {
  it.effect("is a history, newest first, of all tokens or one", () =>
    Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const [a, b] = yield* addMany(pool, 2)
      yield* health.check(a!)
      yield* TestClock.adjust(1)
      upstream.answer = down
      yield* health.check(b!)
      yield* health.check(a!)
      const told = (yield* health.history(2)).map(({ ok, token }) => [token, ok])
      assert.deepStrictEqual(told, [
        [a, false],
        [b, false]
      ])
      assert.deepStrictEqual(
        (yield* health.history(9, a)).map(({ at, ok }) => [at, ok]),
        [
          [1, false],
          [0, true]
        ]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect("is counted by provider and result, and logged when it changes, not each time", () => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      const line = String(Array.isArray(message) ? message[0] : message)
      if (line.includes("checks")) lines.push(line)
    })
    return Effect.gen(function* () {
      const { health, pool, upstream } = yield* watched()
      const id = yield* add(pool, "a")
      yield* health.check(id)
      upstream.answer = down
      for (let i = 0; i < 3; i++) yield* health.check(id)
      upstream.answer = () => Effect.void
      for (let i = 0; i < 2; i++) yield* health.check(id)
      assert.deepStrictEqual(lines, [
        `token ${id} fails its checks: warp is unavailable (connection): synthetic`,
        `token ${id} passes its checks again`
      ])
      const counts = (yield* Metric.snapshot)
        .filter(({ id }) => id === "weirgate_health_checks_total")
        .map(({ attributes, state }) => [
          attributes?.["provider"],
          attributes?.["result"],
          "count" in state && state.count
        ])
      assert.sameDeepMembers(counts, [
        ["warp", "ok", 3],
        ["warp", "failed", 3]
      ])
    }).pipe(
      Effect.provide(Layer.merge(world(), Logger.layer([logger]))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })
})
