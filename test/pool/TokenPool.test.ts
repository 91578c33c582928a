import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Logger, Metric, Random, Redacted } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { TokenId } from "../../src/domain/Token.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Vault, VaultLocked } from "../../src/store/Vault.ts"
import { add, call, callWith, lease, leased, start, stateOf, StoreFaults, world } from "./pools.ts"
import { quotaExhausted, succeeded, throttled } from "./records.ts"

describe("TokenPool", () => {
  it.effect("lends the token it was given, and counts the lease until its scope closes", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* Effect.gen(function* () {
        const lent = yield* lease(pool)
        assert.strictEqual(lent.id, id)
        assert.strictEqual(lent.name, "a")
        assert.isFalse(lent.probe)
        assert.strictEqual(Redacted.value(lent.access), "synthetic-access-a")
        assert.strictEqual(yield* leased(pool), 1)
      }).pipe(Effect.scoped)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives ids that name provider and kind", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      assert.match(yield* add(pool, "a", "personal"), /^warp-personal-[0-9a-f]{4}$/)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives two tokens two ids, though chance proposes one", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const a = yield* add(pool, "a").pipe(Random.withSeed("the same"))
      const b = yield* add(pool, "b").pipe(Random.withSeed("the same"))
      assert.notStrictEqual(a, b)
      assert.deepStrictEqual([(yield* pool.get(a)).name, (yield* pool.get(b)).name], ["a", "b"])
      assert.strictEqual(yield* add(pool, "b"), b)
    }).pipe(Effect.provide(world()))
  )

  it.effect("follows the strategy it was made with, unless the lease asks for another", () =>
    Effect.gen(function* () {
      const pool = yield* start({ strategy: "round_robin" })
      const ids = [yield* add(pool, "p", "personal"), yield* add(pool, "a", "anonymous")].toSorted()
      const lent = yield* Effect.forEach(Array.from({ length: 6 }), () => call(pool, succeeded))
      assert.deepStrictEqual(
        lent.map(({ id }) => id),
        [...ids, ...ids, ...ids]
      )
      assert.strictEqual((yield* call(pool, succeeded, { strategy: "priority" })).kind, "anonymous")
    }).pipe(Effect.provide(world()))
  )

  it.effect("passes over a token that was sealed with another key, and does it no harm", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const sealed = yield* add(pool, "a")
      const before = yield* pool.get(sealed)
      const vault = yield* Vault
      const open: Vault["Service"]["open"] = (_, purpose) => Effect.fail(new VaultLocked({ purpose }))
      const stranger = yield* start().pipe(Effect.provideService(Vault, Vault.of({ ...vault, open })))
      const none = yield* Effect.flip(call(stranger, succeeded))
      assert.deepStrictEqual([none.reason, none.retryAfter], ["1 sealed with another key", undefined])
      assert.deepStrictEqual(
        (yield* stranger.list()).map(({ usable }) => usable),
        [false]
      )
      assert.deepStrictEqual((yield* pool.get(sealed)).state, before.state)
      assert.strictEqual((yield* call(pool, succeeded)).id, sealed)
    }).pipe(Effect.provide(world()))
  )

  it.effect("spends anonymous tokens first, then shared, then personal ones", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const personal = yield* add(pool, "p", "personal")
      const shared = yield* add(pool, "s", "shared")
      const anonymous = yield* add(pool, "a", "anonymous")
      for (const expected of [anonymous, shared, personal]) {
        assert.strictEqual((yield* call(pool, quotaExhausted())).id, expected)
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("lends the least recently used of a kind, also within one millisecond", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const ids = [yield* add(pool, "a"), yield* add(pool, "b"), yield* add(pool, "c")]
      const lent = yield* Effect.forEach(Array.from({ length: 9 }), () => call(pool, succeeded))
      for (const id of ids) assert.strictEqual(lent.filter((lease) => lease.id === id).length, 3)
      for (const [i, { id }] of lent.slice(3).entries()) assert.strictEqual(id, lent[i]?.id)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a token whose call goes on has been used when it was lent", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const [a, b] = [yield* add(pool, "a"), yield* add(pool, "b")].toSorted()
      assert.strictEqual((yield* call(pool, succeeded)).id, a)
      yield* TestClock.setTime(1)
      assert.strictEqual((yield* call(pool, succeeded)).id, b)
      yield* TestClock.setTime(2)
      assert.strictEqual((yield* lease(pool)).id, a)
      assert.strictEqual((yield* lease(pool)).id, b)
    }).pipe(Effect.provide(world()))
  )

  it.effect("never lends a token that the caller excludes", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const [a, b] = [yield* add(pool, "a"), yield* add(pool, "b")]
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* call(pool, succeeded, { exclude: new Set([a]) })).id, b)
      const none = yield* Effect.flip(call(pool, succeeded, { exclude: new Set([a, b]) }))
      assert.deepStrictEqual([none._tag, none.held, none.reason], ["NoTokenUsable", 2, "2 tried already"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("says that what the caller has tried may serve the next one at once, unless it needs a person", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const [a, b] = [yield* add(pool, "a"), yield* add(pool, "b")]
      const wait = Effect.map(
        Effect.flip(call(pool, succeeded, { exclude: new Set([a, b]) })),
        (none) => none.retryAfter
      )
      assert.deepStrictEqual(yield* wait, Duration.seconds(1))
      yield* callWith(pool, a, quotaExhausted(60_000))
      assert.deepStrictEqual(yield* wait, Duration.seconds(1))
      yield* pool.disable(b, "by hand")
      assert.deepStrictEqual(yield* wait, Duration.seconds(60))
      yield* pool.reset(a)
      yield* callWith(pool, a, { _tag: "Blocked", reason: "terms" })
      assert.isUndefined(yield* wait)
    }).pipe(Effect.provide(world()))
  )

  it.effect("adds a token without a look at all the others", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      yield* add(pool, "a")
      const faults = yield* StoreFaults
      const { reads } = faults
      yield* add(pool, "b")
      yield* add(pool, "a")
      assert.strictEqual(faults.reads, reads)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is made with its defaults when nothing is asked for", () =>
    Effect.gen(function* () {
      const pool = Context.get(yield* Layer.build(Layer.fresh(TokenPool.layerWith())), TokenPool)
      yield* add(pool, "p", "personal")
      const anonymous = yield* add(pool, "a")
      assert.strictEqual((yield* call(pool, succeeded)).id, anonymous)
    }).pipe(Effect.provide(world()))
  )

  // Defect 8: the exhausted token was picked first again on every request.
  it.effect("does not lend an exhausted token again, but the next, and says exactly when one returns", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const a = yield* add(pool, "a")
      const b = yield* add(pool, "b", "personal")
      assert.strictEqual((yield* call(pool, quotaExhausted(60_000))).id, a)
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* call(pool, succeeded)).id, b)
      yield* call(pool, quotaExhausted())
      yield* TestClock.setTime(59_999)
      const none = yield* Effect.flip(call(pool, succeeded))
      assert.deepStrictEqual([none.held, none.retryAfter], [2, Duration.millis(1)])
      yield* TestClock.setTime(60_000)
      assert.strictEqual((yield* call(pool, succeeded)).id, a)
    }).pipe(Effect.provide(world()))
  )

  // Defect 8: success never brought a token back.
  it.effect("brings a token back when its probe succeeds", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, quotaExhausted())
      yield* TestClock.adjust("1 hour")
      assert.isTrue((yield* call(pool, succeeded)).probe)
      assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "active" })
      assert.isFalse((yield* call(pool, succeeded)).probe)
    }).pipe(Effect.provide(world()))
  )

  it.effect("takes the first report of a lease and no other", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lent = yield* lease(pool)
          yield* lent.report(succeeded)
          yield* lent.report({ _tag: "Blocked", reason: "late" })
        })
      )
      const record = yield* pool.get(id)
      assert.deepStrictEqual([record.served, record.state._tag], [1, "active"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("lends from memory: no read and no write of the store", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      yield* add(pool, "a")
      yield* call(pool, succeeded)
      const faults = yield* StoreFaults
      const before = { ...faults }
      for (let i = 0; i < 100; i++) yield* call(pool, succeeded)
      assert.deepStrictEqual({ ...faults }, before)
    }).pipe(Effect.provide(world()))
  )

  it.effect("fails with what is held and why, without a time when only a person can help", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const empty = yield* Effect.flip(call(pool, succeeded))
      assert.deepStrictEqual([empty.held, empty.reason, empty.retryAfter], [0, "none is held", undefined])
      yield* add(pool, "a")
      yield* add(pool, "b")
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      const dead = yield* Effect.flip(call(pool, succeeded))
      assert.deepStrictEqual([dead.held, dead.reason, dead.retryAfter], [2, "2 dead", undefined])
    }).pipe(Effect.provide(world()))
  )

  it.effect("a person's disabling lasts until enabling, and nothing else brings the token back", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      const under = yield* Effect.scoped(
        Effect.gen(function* () {
          const lent = yield* lease(pool)
          yield* pool.disable(id, "by hand")
          yield* lent.report(succeeded)
          return lent
        })
      )
      assert.strictEqual(under.id, id)
      yield* TestClock.adjust("5 hours")
      assert.strictEqual((yield* Effect.flip(call(pool, succeeded))).reason, "1 disabled")
      yield* pool.enable(id)
      assert.strictEqual((yield* call(pool, succeeded)).id, id)
    }).pipe(Effect.provide(world()))
  )

  it.effect("reset brings back a dead token as if it were new", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      yield* pool.reset(id)
      const { failed, served, state } = yield* pool.get(id)
      assert.deepStrictEqual({ failed, served, state }, { failed: 0, served: 0, state: { _tag: "active" } })
      yield* call(pool, succeeded)
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows no token it does not hold", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const nobody = TokenId.make("nobody")
      const id = yield* add(pool, "a")
      yield* pool.remove(id)
      for (const unknown of [nobody, id]) {
        for (const what of [pool.get(unknown), pool.remove(unknown), pool.enable(unknown), pool.reset(unknown)]) {
          assert.strictEqual((yield* Effect.flip(Effect.asVoid(what)))._tag, "TokenUnknown")
        }
      }
      assert.deepStrictEqual(yield* pool.list(), [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("a token that is removed and added again is another", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a").pipe(Random.withSeed("one"))
      yield* call(pool, { _tag: "Blocked", reason: "terms" })
      yield* pool.remove(id)
      const again = yield* add(pool, "a").pipe(Random.withSeed("two"))
      assert.notStrictEqual(again, id)
      assert.strictEqual((yield* call(pool, succeeded)).id, again)
    }).pipe(Effect.provide(world()))
  )

  it.effect("a token of the same name keeps its state and statistics and takes the new secret", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, quotaExhausted(60_000))
      const again = yield* add(pool, "a", "anonymous", { access: Redacted.make("synthetic-other") })
      assert.strictEqual(again, id)
      assert.strictEqual((yield* stateOf(pool, id))._tag, "exhausted")
      assert.strictEqual((yield* pool.get(id)).failed, 1)
      yield* TestClock.setTime(60_000)
      assert.strictEqual(Redacted.value((yield* call(pool, succeeded)).access), "synthetic-other")
    }).pipe(Effect.provide(world()))
  )

  it.effect("a new secret is what a dead token needs; the old one is not", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, { _tag: "RefreshRejected", code: "USER_NOT_FOUND" })
      yield* add(pool, "a")
      assert.strictEqual((yield* stateOf(pool, id))._tag, "dead")
      yield* add(pool, "a", "anonymous", { access: Redacted.make("synthetic-other") })
      assert.strictEqual((yield* stateOf(pool, id))._tag, "active")
    }).pipe(Effect.provide(world()))
  )

  it.effect("takes the upstream's word on the quota over its own guess", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      const quota = { unlimited: false, limit: 10 }
      yield* call(pool, quotaExhausted())
      yield* pool.noteQuota(id, { ...quota, used: 3 })
      assert.strictEqual((yield* stateOf(pool, id))._tag, "active")
      yield* pool.noteQuota(id, { ...quota, used: 10, resetAt: 90_000_000 })
      assert.deepStrictEqual(yield* stateOf(pool, id), { _tag: "exhausted", until: 90_000_000, source: "stated" })
      assert.deepStrictEqual((yield* pool.list())[0]?.quota, { ...quota, used: 10, at: 0 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("shows when an access secret without a successor has ended", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a", "anonymous", { access: Redacted.make("synthetic"), expiresAt: 10_000 })
      yield* TestClock.setTime(9_999)
      yield* call(pool, succeeded)
      yield* TestClock.setTime(10_000)
      assert.isUndefined((yield* Effect.flip(call(pool, succeeded))).retryAfter)
      assert.strictEqual((yield* stateOf(pool, id))._tag, "dead")
    }).pipe(Effect.provide(world()))
  )

  it.effect("counts switches, and tokens and leases by provider and state", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      yield* add(pool, "a")
      yield* add(pool, "b")
      yield* call(pool, quotaExhausted())
      yield* lease(pool)
      yield* Effect.flip(call(pool, succeeded, { provider: "other" }))
      yield* pool.sync
      const seen = (yield* Metric.snapshot).flatMap((metric) => {
        const labels = Object.values(metric.attributes ?? {}).join(" ")
        const { state } = metric
        return "count" in state
          ? [`${metric.id} ${labels}: ${state.count}`]
          : "value" in state
            ? [`${metric.id} ${labels}: ${state.value}`]
            : []
      })
      for (const line of [
        "weirgate_token_switches_total warp active exhausted: 1",
        "weirgate_tokens warp active: 1",
        "weirgate_tokens warp exhausted: 1",
        "weirgate_tokens warp dead: 0",
        "weirgate_leases warp: 1",
        "weirgate_leases_refused_total other: 1"
      ]) {
        assert.include(seen, line)
      }
    }).pipe(Effect.provide(world()), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("tells of each switch of state with the token's name, and of no secret", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* add(pool, "a")
      yield* call(pool, throttled())
      yield* TestClock.adjust("30 seconds")
      yield* call(pool, succeeded)
      const lines = (yield* TestConsole.logLines).map(String)
      assert.isTrue(lines.some((line) => line.includes(`token ${id}: active -> cooling`) && line.includes("TokenPool")))
      assert.isTrue(lines.some((line) => line.includes(`token ${id}: cooling -> active`)))
      assert.isFalse(lines.some((line) => line.includes("synthetic-access")))
    }).pipe(Effect.provide([world(), Logger.layer([Logger.consoleLogFmt])]))
  )
})
