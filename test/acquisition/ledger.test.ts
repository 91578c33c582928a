import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ledger from "../../src/acquisition/ledger.ts"
import { Sealed } from "../../src/store/Vault.ts"
import * as model from "./budgetModel.ts"

const strict = { hourly: 3, daily: 20, interval: 300_000, base: 600_000, max: 3_600_000 }
const minutes = (n: number) => n * 60_000
const sealed = Sealed.make("synthetic")

const reserveAt = (current: ledger.Ledger, at: number) => {
  const [taken, gate, next] = ledger.reserve(current, strict, at, "why")
  assert.isDefined(taken, `refused by ${gate.rule} until ${gate.opensAt}`)
  return next
}
const refusalAt = (current: ledger.Ledger, at: number) => {
  const [taken, gate, next] = ledger.reserve(current, strict, at, "why")
  assert.isUndefined(taken)
  assert.strictEqual(next, current)
  return gate
}
const filled = (...times: ReadonlyArray<number>) => times.reduce(reserveAt, ledger.empty)

describe("ledger", () => {
  it("opens the interval after 300 seconds, not a millisecond before", () => {
    const one = filled(0)
    assert.deepStrictEqual(refusalAt(one, 299_999), { rule: "interval", opensAt: 300_000 })
    reserveAt(one, 300_000)
  })

  it("opens the hour when the oldest of three leaves it, not a millisecond before", () => {
    const three = filled(0, minutes(10), minutes(20))
    assert.deepStrictEqual(refusalAt(three, minutes(60) - 1), { rule: "hourly", opensAt: minutes(60) })
    reserveAt(three, minutes(60))
  })

  it("opens the day when the oldest of twenty leaves it, not a millisecond before", () => {
    const twenty = filled(...Array.from({ length: 20 }, (_, i) => i * minutes(60)))
    const end = minutes(24 * 60)
    assert.deepStrictEqual(refusalAt(twenty, end - 1), { rule: "daily", opensAt: end })
    reserveAt(twenty, end)
  })

  it("doubles the backoff from the first failure on, up to its most", () => {
    let current = ledger.empty
    let now = 0
    for (const expected of [600_000, 1_200_000, 2_400_000, 3_600_000, 3_600_000]) {
      current = reserveAt(current, now)
      current = ledger.fail(current, strict, current.attempts.at(-1)?.id ?? "", now + 7, {
        type: "UpstreamUnavailable"
      })
      assert.strictEqual(current.blockedUntil, now + 7 + expected)
      now = Math.max(current.blockedUntil, ledger.gate(current, strict).opensAt)
    }
  })

  it("stays away for as long as the upstream says, when that is longer than the backoff", () => {
    const current = ledger.fail(filled(0), strict, "1", 5, { type: "CreateUserRateLimited", retryAfter: 5_000_000 })
    assert.deepStrictEqual(refusalAt(current, 5_000_004), { rule: "backoff", opensAt: 5_000_005 })
    reserveAt(current, 5_000_005)
  })

  it("names the rule that holds longest", () => {
    const three = filled(0, minutes(5), minutes(55))
    assert.strictEqual(refusalAt(three, minutes(59)).rule, "hourly")
    assert.strictEqual(refusalAt(three, minutes(60) - 1).opensAt, minutes(60))
    const failed = ledger.fail(three, strict, "3", minutes(56), { type: "x" })
    assert.strictEqual(refusalAt(failed, minutes(59)).rule, "backoff")
  })

  it("clears the failures with a success, and moves no deadline earlier", () => {
    const failed = ledger.fail(filled(0, minutes(5)), strict, "1", minutes(6), { type: "x" })
    const cleared = ledger.succeed(failed, "2", minutes(7))
    assert.strictEqual(cleared.consecutiveFailures, 0)
    assert.strictEqual(cleared.blockedUntil, failed.blockedUntil)
  })

  it("counts each attempt's end once, and a late success instead of the failure", () => {
    const failed = ledger.fail(filled(0), strict, "1", 1, { type: "x" })
    assert.strictEqual(ledger.fail(failed, strict, "1", 2, { type: "x" }), failed)
    const saved = ledger.succeed(failed, "1", 3)
    assert.deepInclude(saved, { succeeded: 1, failed: 0, consecutiveFailures: 0 })
    assert.strictEqual(ledger.succeed(saved, "1", 4), saved)
    assert.strictEqual(ledger.fail(saved, strict, "1", 5, { type: "x" }), saved)
  })

  it("keeps what another process on the ledger counts by", () => {
    const wide = { ...strict, hourly: 30, daily: 50, interval: 1 }
    let current = ledger.empty
    for (let at = 0; at < 50; at++) current = ledger.reserve(current, wide, at * minutes(3), "why")[2]
    assert.strictEqual(current.attempts.length, 50)
    current = ledger.reserve(current, strict, minutes(60 * 24 * 2), "why")[2]
    assert.strictEqual(current.attempts.length, 50)
  })

  it("never holds more attempts than it counts by", () => {
    let current = ledger.empty
    for (let i = 0; i < 100; i++) current = reserveAt(current, i * minutes(24 * 60))
    assert.strictEqual(current.attempts.length, 20)
  })

  it("bounds the kinds of failure that are counted apart", () => {
    let current = ledger.empty
    for (let i = 0; i < 100; i++) current = ledger.fail(current, strict, `${i}`, i, { type: `type-${i}` })
    assert.isAtMost(Object.keys(current.failureTypes).length, 33)
    assert.strictEqual(current.failureTypes["other"], 68)
  })

  const seconds = (n: number) => n * 1_000

  it("gives what was left unfinished to one at a time, and waits twice as long after each, at most 15 minutes", () => {
    let current = ledger.hold(filled(0), "1", sealed, 0)
    let now = 0
    for (const wait of [45, 90, 180, 360, 720, 900, 900]) {
      assert.isFalse(ledger.hasLeft(current, now + seconds(wait) - 1))
      assert.isUndefined(ledger.takeOver(current, now + seconds(wait) - 1)[0])
      now += seconds(wait)
      assert.isTrue(ledger.hasLeft(current, now))
      const [left, next] = ledger.takeOver(current, now)
      assert.deepInclude(left, { sealed, isFirst: wait === 45, isLast: now === seconds(3_195) })
      current = next
    }
    assert.strictEqual(now, seconds(3_195))
  })

  it("throws what was left unfinished away after an hour", () => {
    const held = ledger.hold(filled(0), "1", sealed, 0)
    assert.isDefined(ledger.takeOver(held, minutes(60) - 1)[0])
    assert.isTrue(ledger.hasLeft(held, minutes(60)))
    const [none, emptied] = ledger.takeOver(held, minutes(60))
    assert.isUndefined(none)
    assert.notProperty(emptied.attempts[0], "unfinished")
    assert.isFalse(ledger.hasLeft(emptied, minutes(60)))
  })

  it("frees what a clock that has jumped back since would hold for days", () => {
    const held = ledger.hold(filled(minutes(5_000)), "1", sealed, minutes(5_000))
    assert.isDefined(ledger.takeOver(held, minutes(10))[0])
  })

  it("keeps what was left unfinished past a failure only when told that it may still be used", () => {
    const held = ledger.hold(filled(0), "1", sealed, 0)
    const kept = ledger.fail(held, strict, "1", 1, { type: "x", unfinished: true })
    assert.strictEqual(kept.attempts[0]?.unfinished?.sealed, sealed)
    assert.notProperty(ledger.fail(held, strict, "1", 1, { type: "x" }).attempts[0], "unfinished")
    const dropped = ledger.fail(kept, strict, "1", 2, { type: "x" })
    assert.notProperty(dropped.attempts[0], "unfinished")
    assert.strictEqual(dropped.consecutiveFailures, 1)
    assert.notProperty(ledger.succeed(held, "1", 1).attempts[0], "unfinished")
  })

  it.effect.prop(
    "agrees with a naive count over any history of waits, jumps of the clock, ends and crashes",
    { budget: model.budget, history: model.history },
    ({ budget, history }) =>
      Effect.sync(() => {
        let now = 10 * ledger.day
        let told = 0
        let current = ledger.empty
        let naive = model.nothingYet
        let under: Array<Array<string>> = [[], []]
        for (const command of history) {
          switch (command._tag) {
            case "Wait":
              now += command.millis
              break
            case "JumpBack":
              now -= command.millis
              break
            case "WaitAsTold":
              now += Math.max(told - (command.short ? 1 : 0), 0)
              break
            case "StoreFails":
              // The pure rules know of no store.
              break
            case "Restart":
              under[command.process] = []
              break
            case "Succeed": {
              const id = under[command.process]?.shift()
              if (id === undefined) break
              current = ledger.succeed(current, id, now)
              naive = model.succeeded(naive)
              break
            }
            case "Fail": {
              const id = under[command.process]?.shift()
              if (id === undefined) break
              const { retryAfter } = command
              const before = current.blockedUntil
              current = ledger.fail(current, budget, id, now, { type: "x", retryAfter })
              naive = model.failed(naive, budget, now, retryAfter)
              assert.isAtLeast(current.blockedUntil, before)
              break
            }
            case "Reserve": {
              const [taken, gate, next] = ledger.reserve(current, budget, now, "why")
              assert.strictEqual(taken !== undefined, model.allows(naive, budget, now))
              if (taken === undefined) {
                told = gate.opensAt - now
                assert.isTrue(model.allows(naive, budget, gate.opensAt))
                assert.isFalse(model.allows(naive, budget, gate.opensAt - 1))
              } else {
                under[command.process]?.push(taken.id)
                naive = model.attempted(naive, now)
              }
              current = next
            }
          }
        }
        assert.strictEqual(current.total, naive.attempts.length)
        assert.strictEqual(current.consecutiveFailures, naive.failures)
        assert.isAtMost(model.busiest(naive.attempts, ledger.hour), budget.hourly)
        assert.isAtMost(model.busiest(naive.attempts, ledger.day), budget.daily)
        assert.isAtLeast(model.closest(naive.attempts), budget.interval)
        assert.isAtMost(current.attempts.length, Math.max(budget.hourly, budget.daily))
      }),
    { timeout: 60_000, arbitrary: { runs: 2_000, size: 80 } }
  )
})
