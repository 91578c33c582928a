import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { RefreshRejected, Throttled, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, call, lease, leased, renewable, start, startStoppable, stateOf, StoreFaults, world } from "./pools.ts"
import { accessRejected, hour, minute, succeeded } from "./records.ts"

const refreshes = Effect.flatMap(ScriptedWarp, (warp) => Effect.map(warp.calls, (calls) => calls.refresh))
const unavailable = new UpstreamUnavailable({ provider: "warp", reason: "status", detail: "synthetic" })
const rejected = new RefreshRejected({ provider: "warp", code: "INVALID_REFRESH_TOKEN" })
/** Longer than the renewer's patience. */
const patience = "2 seconds"

describe("renewal", () => {
  // Defect 7: the stream took its first secret from elsewhere and never the one in hand.
  it.effect("a ready access secret is lent again and again without a call to the upstream", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      yield* add(pool, "a", "personal", renewable("a"))
      const first = yield* call(pool, succeeded)
      assert.strictEqual(Redacted.value(first.access), "scripted-access-1")
      yield* TestClock.adjust("50 minutes")
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(Redacted.value((yield* call(pool, succeeded)).access), "scripted-access-1")
      }
      assert.strictEqual(yield* refreshes, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("97 leases at once make one renewal, and all get its secret", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "personal", renewable("a"))
      yield* warp.delay("refresh", "1 second")
      const callers = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 97 }, () => call(pool, succeeded)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 second")
      const lent = yield* Fiber.join(callers)
      assert.deepStrictEqual([...new Set(lent.map(({ access }) => Redacted.value(access)))], ["scripted-access-1"])
      assert.strictEqual(yield* refreshes, 1)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "within five minutes of its end a secret is renewed once beside the calls, which use the old one meanwhile",
    () =>
      Effect.gen(function* () {
        const pool = yield* start()
        const warp = yield* ScriptedWarp
        yield* add(pool, "a", "personal", renewable("a"))
        yield* call(pool, succeeded)
        yield* TestClock.setTime(55 * minute - 1)
        yield* call(pool, succeeded)
        assert.strictEqual(yield* refreshes, 1)
        yield* TestClock.setTime(55 * minute)
        yield* warp.delay("refresh", "1 second")
        for (let i = 0; i < 10; i++) {
          assert.strictEqual(Redacted.value((yield* call(pool, succeeded)).access), "scripted-access-1")
        }
        assert.strictEqual(yield* refreshes, 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(Redacted.value((yield* call(pool, succeeded)).access), "scripted-access-2")
        assert.strictEqual(yield* refreshes, 2)
      }).pipe(Effect.provide(world()))
  )

  it.effect("an old secret is lent until the millisecond before its end, though it cannot be renewed for now", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "personal", renewable("a"))
      yield* call(pool, succeeded)
      yield* TestClock.setTime(hour - minute)
      yield* warp.fail("refresh", unavailable, 100)
      yield* call(pool, succeeded)
      yield* TestClock.setTime(hour - 1)
      assert.strictEqual(Redacted.value((yield* call(pool, succeeded)).access), "scripted-access-1")
      yield* TestClock.setTime(hour)
      const late = yield* Effect.forkChild(Effect.flip(call(pool, succeeded)))
      yield* TestClock.adjust(patience)
      assert.isDefined((yield* Fiber.join(late)).retryAfter)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a refused renewal is death, and the next token is lent", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      const a = yield* add(pool, "a", "anonymous", renewable("a"))
      const b = yield* add(pool, "b", "personal", renewable("b"))
      yield* warp.fail("refresh", rejected)
      assert.strictEqual((yield* call(pool, succeeded)).id, b)
      assert.strictEqual((yield* stateOf(pool, a))._tag, "dead")
      assert.strictEqual(yield* refreshes, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a passing failure is waited out by two more attempts", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.fail("refresh", unavailable, 2)
      const caller = yield* Effect.forkChild(call(pool, succeeded))
      yield* TestClock.adjust("1499 millis")
      assert.isUndefined(caller.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(caller)
      assert.strictEqual(yield* refreshes, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a failure that lasts passes the token over and is tried again after a growing time, not before", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      const a = yield* add(pool, "a", "anonymous", renewable("a"))
      const b = yield* add(pool, "b", "personal")
      yield* warp.fail("refresh", unavailable, 6)
      const first = yield* Effect.forkChild(call(pool, succeeded))
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual((yield* Fiber.join(first)).id, b)
      assert.deepStrictEqual(yield* stateOf(pool, a), { _tag: "active" })
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* call(pool, succeeded)).id, b)
      assert.strictEqual(yield* refreshes, 3)
      yield* TestClock.adjust("1 millis")
      const second = yield* Effect.forkChild(call(pool, succeeded))
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.join(second)
      assert.strictEqual(yield* refreshes, 6)
      yield* TestClock.adjust("9999 millis")
      yield* call(pool, succeeded)
      assert.strictEqual(yield* refreshes, 6)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* call(pool, succeeded)).id, a)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a token that could not be made ready has not been used, and nothing is stored of the try", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      const a = yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.fail("refresh", new Throttled({ provider: "warp", signature: "s", retryAfter: Duration.minutes(2) }))
      yield* TestClock.setTime(minute)
      yield* Effect.flip(call(pool, succeeded))
      yield* warp.delay("refresh", "1 second")
      yield* TestClock.setTime(4 * minute)
      const leaving = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      yield* Fiber.interrupt(leaving)
      assert.isUndefined((yield* pool.get(a)).lastUsedAt)
      assert.strictEqual(yield* leased(pool), 0)
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(world()))
  )

  it.effect("a probe that could not be made ready is free again at once, in every process", () =>
    Effect.gen(function* () {
      const one = yield* start()
      const warp = yield* ScriptedWarp
      const id = yield* add(one, "a", "anonymous", renewable("a"))
      yield* call(one, accessRejected)
      yield* TestClock.adjust("30 seconds")
      yield* warp.delay("refresh", "1 second")
      const leaving = yield* Effect.forkChild(call(one, succeeded), { startImmediately: true })
      yield* Fiber.interrupt(leaving)
      assert.isUndefined((yield* one.get(id)).probe)
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* call(yield* start(), succeeded)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a throttled renewal stays away for as long as it was told", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.fail("refresh", new Throttled({ provider: "warp", signature: "s", retryAfter: Duration.minutes(2) }))
      const none = yield* Effect.flip(call(pool, succeeded))
      assert.deepStrictEqual(none.retryAfter, Duration.minutes(2))
      yield* TestClock.adjust(2 * minute - 1)
      assert.deepStrictEqual((yield* Effect.flip(call(pool, succeeded))).retryAfter, Duration.millis(1))
      yield* TestClock.adjust(1)
      yield* call(pool, succeeded)
      assert.strictEqual(yield* refreshes, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("after a 401 the lease renews once for all who met it, and answers with the new secret", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      const leases = yield* Effect.all([lease(pool), lease(pool), lease(pool)])
      yield* warp.delay("refresh", "1 second")
      const renewing = yield* Effect.forkChild(
        Effect.forEach(leases.slice(0, 2), (lent) => lent.renew, { concurrency: 2 })
      )
      yield* TestClock.adjust("1 second")
      const renewed = [...(yield* Fiber.join(renewing)), yield* leases[2].renew]
      assert.deepStrictEqual(
        renewed.map(Redacted.value),
        Array.from({ length: 3 }, () => "scripted-access-2")
      )
      assert.strictEqual(yield* refreshes, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a lease whose renewal is refused learns that its token cannot be used", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      const id = yield* add(pool, "a", "anonymous", renewable("a"))
      const lent = yield* lease(pool)
      yield* warp.fail("refresh", rejected)
      assert.strictEqual((yield* Effect.flip(lent.renew))._tag, "NoTokenUsable")
      assert.strictEqual((yield* stateOf(pool, id))._tag, "dead")
    }).pipe(Effect.provide(world()))
  )

  it.effect("a lease does not ask again for a renewal that has just failed", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      const [one, two] = yield* Effect.all([lease(pool), lease(pool)])
      yield* warp.fail("refresh", unavailable, 3)
      const renewing = yield* Effect.forkChild(Effect.flip(one.renew))
      yield* TestClock.adjust(patience)
      yield* Fiber.join(renewing)
      assert.strictEqual((yield* Effect.flip(two.renew))._tag, "NoTokenUsable")
      assert.strictEqual(yield* refreshes, 4)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(Redacted.value(yield* two.renew), "scripted-access-2")
    }).pipe(Effect.provide(world()))
  )

  it.effect("a new secret that is refused too cools the token, and its probe brings a newer one", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a", "anonymous", renewable("a"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lent = yield* lease(pool)
          yield* lent.renew
          yield* lent.report(accessRejected)
        })
      )
      assert.strictEqual((yield* stateOf(pool, id))._tag, "cooling")
      yield* TestClock.adjust("30 seconds")
      const probe = yield* call(pool, succeeded)
      assert.deepStrictEqual([probe.probe, Redacted.value(probe.access)], [true, "scripted-access-3"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("a caller who leaves while it waits gives the lease back, and the renewal serves the others", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "1 second")
      const leaving = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      const staying = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      assert.strictEqual(yield* leased(pool), 2)
      yield* Fiber.interrupt(leaving)
      assert.strictEqual(yield* leased(pool), 1)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(staying)
      assert.strictEqual(yield* refreshes, 1)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a renewal that nobody waits for any more is still stored", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      const id = yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "1 second")
      yield* Effect.flatMap(Effect.forkChild(call(pool, succeeded), { startImmediately: true }), Fiber.interrupt)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* pool.get(id)).generation, 1)
      yield* call(pool, succeeded)
      assert.strictEqual(yield* refreshes, 1)
    }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect("a rotated refresh secret is stored before the new access secret is lent", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const faults = yield* StoreFaults
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "1 second")
      const caller = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      const gate = yield* Deferred.make<void>()
      faults.waits = gate
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* refreshes, 1)
      const another = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([caller.pollUnsafe(), another.pollUnsafe()], [undefined, undefined])
      faults.waits = undefined
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(Redacted.value((yield* Fiber.join(caller)).access), "scripted-access-1")
      yield* Fiber.join(another)
      const restarted = yield* start()
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(Redacted.value((yield* call(restarted, succeeded)).access), "scripted-access-2")
    }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect(
    "when the store fails, a rotated secret is kept, lent after a moment, and stored when the store is back",
    () =>
      Effect.gen(function* () {
        const { pool, stop } = yield* startStoppable()
        const faults = yield* StoreFaults
        yield* add(pool, "a", "anonymous", renewable("a"))
        faults.fails = true
        const caller = yield* Effect.forkChild(call(pool, succeeded))
        yield* TestClock.adjust("699 millis")
        assert.isUndefined(caller.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(Redacted.value((yield* Fiber.join(caller)).access), "scripted-access-1")
        faults.fails = false
        yield* TestClock.adjust("1 second")
        yield* stop
        const restarted = yield* start()
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(Redacted.value((yield* call(restarted, succeeded)).access), "scripted-access-2")
      }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect("adding a token again with its first secret does not undo a rotation", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a", "personal", renewable("a"))
      yield* call(pool, succeeded)
      const restarted = yield* start()
      assert.strictEqual(yield* add(restarted, "a", "personal", renewable("a")), id)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(Redacted.value((yield* call(restarted, succeeded)).access), "scripted-access-2")
    }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect("a pool that closes waits for a renewal under way, so that its answer is not lost", () =>
    Effect.gen(function* () {
      const { pool, stop } = yield* startStoppable()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "3 seconds")
      const caller = yield* Effect.forkChild(call(pool, succeeded), { startImmediately: true })
      yield* Fiber.interrupt(caller)
      const stopping = yield* Effect.forkChild(stop)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(stopping)
      const restarted = yield* start()
      yield* call(restarted, succeeded)
      assert.strictEqual(yield* refreshes, 1)
    }).pipe(Effect.provide(world({ rotating: true })))
  )

  it.effect("a renewal that never ends is given up, and the token tried again later", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const warp = yield* ScriptedWarp
      yield* add(pool, "a", "anonymous", renewable("a"))
      yield* warp.delay("refresh", "1 day")
      const caller = yield* Effect.forkChild(Effect.exit(call(pool, succeeded)))
      yield* TestClock.adjust("45 seconds")
      const exit = yield* Fiber.join(caller)
      assert.isTrue(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause))
      yield* TestClock.adjust("5 seconds")
      yield* call(pool, succeeded)
    }).pipe(Effect.provide(world()))
  )
})
