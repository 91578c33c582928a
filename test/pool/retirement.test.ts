import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Metric, Random, Redacted } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import type { TokenId, TokenKind } from "../../src/domain/Token.ts"
import { isSpent, refillWithin, retiredAfter } from "../../src/pool/retirement.ts"
import type { TokenPool } from "../../src/pool/TokenPool.ts"
import { fold } from "../../src/pool/tokenRules.ts"
import { type TokenEvent, TokenRecord } from "../../src/pool/tokenState.ts"
import { Store } from "../../src/store/Store.ts"
import { add, call, callWith, lease, start, world } from "./pools.ts"
import { added, foldOn, hour, minute, quotaExhausted, report, succeeded, throttled } from "./records.ts"

type History = ReadonlyArray<readonly [at: number, event: TokenEvent]>

/** A token that the acquirer has made, and what became of it. */
const made = (events: History, kind: TokenKind = "anonymous", byAcquirer = true) => {
  const fresh = fold(undefined, 0, { ...added("a", kind), acquired: byAcquirer } as TokenEvent)
  if (fresh === undefined) throw new Error("the token was not added")
  return events.reduce((record, [at, event]) => foldOn(record, at, event), fresh)
}

const blocked = report({ _tag: "Blocked", reason: "terms" })
const retired: TokenEvent = { _tag: "Retired" }

describe("a token that the acquirer has made", () => {
  it("is spent a week after it died, not one millisecond before, and then forgotten", () => {
    const dead = made([[5, blocked]])
    assert.isFalse(isSpent(dead, 5 + retiredAfter - 1))
    assert.isTrue(isSpent(dead, 5 + retiredAfter))
    assert.strictEqual(fold(dead, 5 + retiredAfter - 1, retired), dead)
    assert.isUndefined(fold(dead, 5 + retiredAfter, retired))
  })

  it("is spent a week after its quota was used up, however often it has been probed in vain", () => {
    let record = made([[5, report(quotaExhausted())]])
    for (let at = hour; at < retiredAfter; at += hour) {
      record = foldOn(record, at, report(quotaExhausted(), { probe: "us" }))
    }
    assert.isFalse(isSpent(record, 5 + retiredAfter - 1))
    assert.isTrue(isSpent(record, 5 + retiredAfter))
  })

  it("is not spent when a probe has brought it back meanwhile, and counts anew", () => {
    const back = made([
      [0, report(quotaExhausted())],
      [retiredAfter - 1, report(succeeded, { probe: "us" })]
    ])
    assert.isUndefined(back.outSince)
    assert.isFalse(isSpent(back, 2 * retiredAfter))
    const again = foldOn(back, retiredAfter, report(quotaExhausted()))
    assert.isFalse(isSpent(again, 2 * retiredAfter - 1))
    assert.isTrue(isSpent(again, 2 * retiredAfter))
  })

  it("counts anew when the time that the upstream named has passed in between", () => {
    const record = made([
      [0, report(quotaExhausted(hour))],
      [2 * hour, report(quotaExhausted())]
    ])
    assert.strictEqual(record.outSince, 2 * hour)
  })

  it("is waited for when the upstream has named a refill within a month, and not beyond", () => {
    const noted = (resetAt: number) =>
      made([[0, { _tag: "QuotaNoted", report: { unlimited: false, limit: 10, used: 10, resetAt } }]])
    const month = retiredAfter + refillWithin
    assert.isFalse(isSpent(noted(month), retiredAfter))
    assert.isTrue(isSpent(noted(month + 1), retiredAfter))
    // Over, it may be lent again.
    assert.isFalse(isSpent(noted(month), month))
  })

  it("is not spent while it cools, is disabled, or a process is at work on it", () => {
    const late = 2 * retiredAfter
    assert.isFalse(isSpent(made([[0, report(throttled())]]), late))
    assert.isFalse(isSpent(made([[0, { _tag: "Disabled", why: "by hand" }]]), late))
    const due = made([[0, report(quotaExhausted())]])
    const claim = { by: "them", until: late }
    assert.isFalse(isSpent(foldOn(due, late - minute, { _tag: "ProbeClaimed", claim }), late - 1))
    assert.isTrue(isSpent(foldOn(due, late - minute, { _tag: "ProbeClaimed", claim }), late))
    const renewing = foldOn(due, late - minute, { _tag: "RenewalClaimed", claim, generation: 0 })
    assert.isFalse(isSpent(renewing, late - 1))
  })
})

describe("a token that a person has added", () => {
  it("is never spent, whatever its kind, nor is a shared or personal one", () => {
    const late = 100 * retiredAfter
    for (const kind of ["anonymous", "shared", "personal"] as const) {
      assert.isFalse(isSpent(made([[0, blocked]], kind, false), late))
      if (kind !== "anonymous") assert.isFalse(isSpent(made([[0, blocked]], kind), late))
    }
  })

  it("is a person's from then on, also when the acquirer had made it", () => {
    assert.isUndefined(made([[0, added()]]).acquired)
    assert.isTrue(made([[0, { ...added(), acquired: true } as TokenEvent]]).acquired)
  })
})

type Pool = TokenPool["Service"]
const acquire = (pool: Pool, name: string) =>
  pool.add({
    provider: "warp",
    name,
    kind: "anonymous",
    acquired: true,
    credential: { access: Redacted.make(`synthetic-access-${name}`) }
  })
const block = { _tag: "Blocked", reason: "terms" } as const
const names = (pool: Pool) => Effect.map(pool.list(), (views) => views.map(({ name }) => name).toSorted())

/** As if it had got into its state so much earlier. */
const age = Effect.fnUntraced(function* (pool: Pool, id: TokenId, ms: number) {
  yield* pool.sync
  const store = yield* Store
  yield* store.modify({ name: "token", schema: TokenRecord }, id, (record) => [
    undefined,
    record && { ...record, outSince: (record.outSince ?? 0) - ms }
  ])
  yield* pool.sync
})

describe("a pool", () => {
  it.effect("forgets what it need not hold, in the store too, and tells of it", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* acquire(pool, "acquired")
      const own = yield* add(pool, "own")
      for (const token of [id, own]) {
        yield* callWith(pool, token, block)
        yield* age(pool, token, retiredAfter - 5_000)
      }
      yield* TestClock.setTime(4_999)
      yield* pool.sync
      assert.deepStrictEqual(yield* names(pool), ["acquired", "own"])
      yield* TestClock.setTime(5_000)
      assert.deepStrictEqual(yield* names(pool), ["own"])
      assert.deepStrictEqual(yield* names(yield* start()), ["own"])
      const lines = (yield* TestConsole.logLines).map(String)
      assert.lengthOf(
        lines.filter((line) => line.includes(`token ${id} is forgotten`)),
        1
      )
      const counted = (yield* Metric.snapshot).find((metric) => metric.id === "weirgate_tokens_retired_total")
      assert.strictEqual(counted !== undefined && "count" in counted.state && counted.state.count, 1)
      // Its name is free again.
      assert.notStrictEqual(yield* acquire(pool, "acquired").pipe(Random.withSeed("another")), id)
    }).pipe(
      Effect.provide([world(), Logger.layer([Logger.consoleLogFmt])]),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )

  it.effect("forgets twenty in a round, so that none takes long", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const ids = yield* Effect.forEach(Array.from({ length: 25 }), (_, i) => acquire(pool, `t${i}`))
      for (const _ of ids) yield* call(pool, block)
      for (const id of ids) yield* age(pool, id, retiredAfter - 5_000)
      yield* TestClock.setTime(5_000)
      assert.lengthOf(yield* pool.list(), 5)
      yield* pool.sync
      assert.lengthOf(yield* pool.list(), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps one that is lent until it comes back", () =>
    Effect.gen(function* () {
      const pool = yield* start()
      const id = yield* acquire(pool, "acquired")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* lease(pool)
          yield* callWith(pool, id, block)
          yield* age(pool, id, retiredAfter)
          assert.lengthOf(yield* pool.list(), 1)
        })
      )
      yield* pool.sync
      assert.lengthOf(yield* pool.list(), 0)
    }).pipe(Effect.provide(world()))
  )
})
