import { assert, describe, it } from "@effect/vitest"
import { isStatistic } from "../../src/pool/outcomeRules.ts"
import { type Outcome, standing, type TokenRecord } from "../../src/pool/tokenState.ts"
import {
  accessRejected,
  after,
  foldOn,
  hour,
  minute,
  probe,
  quotaExhausted,
  report,
  second,
  succeeded,
  throttled
} from "./records.ts"

const day = 24 * hour
const untouched = { state: after().state, relapses: after().relapses }

/** Out of use from `at` until `until`, and at that instant what is expected. */
const assertOutUntil = (record: TokenRecord, until: number, then: "ready" | "due") => {
  assert.strictEqual(standing(record, until - 1), "out")
  assert.strictEqual(standing(record, until), then)
}

describe("the outcome table", () => {
  it("a call that went well, or ill by no fault of the token, moves numbers only; a probe's end more", () => {
    const numbers = ["UpstreamFault", "CallerFault", "Abandoned"] as const
    for (const outcome of [succeeded, ...numbers.map((_tag) => ({ _tag }))]) {
      assert.isTrue(isStatistic(report(outcome)))
      assert.isFalse(isStatistic(probe(outcome)))
      const { state, relapses, throttle } = after([0, report(outcome)])
      assert.deepStrictEqual({ state, relapses, throttle }, { ...untouched, throttle: undefined })
    }
    for (const outcome of [quotaExhausted(), throttled(), accessRejected, { _tag: "Failed" } as const]) {
      assert.isFalse(isStatistic(report(outcome)))
    }
    assert.isFalse(isStatistic({ _tag: "Removed" }))
  })

  it("success counts, and ends the failures in a row", () => {
    const record = after([1, report({ _tag: "Failed" })], [2, report(succeeded)])
    assert.strictEqual(record.consecutiveFailures, 0)
    assert.deepStrictEqual([record.served, record.succeeded, record.failed], [2, 1, 1])
    assert.strictEqual(record.lastUsedAt, 2)
    assert.strictEqual(standing(record, 2), "ready")
  })

  it("a used-up quota exhausts until the stated reset, at which the token is lent freely again", () => {
    const record = after([10, report(quotaExhausted(10 + hour))])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: 10 + hour, source: "stated" })
    assertOutUntil(record, 10 + hour, "ready")
  })

  it("a used-up quota without a reset is probed after an hour, then after gaps that double up to a day", () => {
    let at = 0
    let record = after([at, report(quotaExhausted())])
    for (const gap of [1, 2, 4, 8, 16, 24, 24]) {
      assert.deepStrictEqual(record.state, { _tag: "exhausted", until: at + gap * hour, source: "guessed" })
      assertOutUntil(record, at + gap * hour, "due")
      at += gap * hour
      record = foldOn(record, at, probe(quotaExhausted()))
    }
  })

  it("a reset in the past is no reset", () => {
    const record = after([hour, report(quotaExhausted(hour))])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: 2 * hour, source: "guessed" })
  })

  it("a reset beyond a day is probed after a day, unless the quota answer named it too", () => {
    assertOutUntil(after([0, report(quotaExhausted(30 * day))]), day, "due")
    const quota = { unlimited: false, limit: 150, used: 150, resetAt: 30 * day }
    const record = after([0, { _tag: "QuotaNoted", report: quota }], [1, report(quotaExhausted(30 * day))])
    assertOutUntil(record, 30 * day, "ready")
  })

  it("a refused access secret cools for half a minute, doubling to a quarter of an hour, and is renewed before the probe", () => {
    let at = 0
    let record = after([at, report(accessRejected)])
    for (const gap of [30, 60, 120, 240, 480].map((seconds) => seconds * second)) {
      assert.isUndefined(record.access)
      assertOutUntil(record, at + gap, "due")
      at += gap
      record = foldOn(record, at, probe(accessRejected))
    }
  })

  it("a refused access secret that has been renewed since is held against nobody", () => {
    const renewed = { _tag: "Renewed", secrets: {}, generation: 0 } as const
    const record = after([0, renewed], [1, report(accessRejected, { generation: 0 })])
    assert.strictEqual(record.state._tag, "active")
    assert.strictEqual(record.failed, 0)
  })

  it("a refused refresh secret and a blocked account are dead, and stay so whatever else ends", () => {
    const deaths: ReadonlyArray<Outcome> = [
      { _tag: "RefreshRejected", code: "USER_DISABLED" },
      { _tag: "Blocked", reason: "terms" }
    ]
    for (const death of deaths) {
      const record = after([0, report(death)], [1, report(succeeded)], [2, report(throttled(5))])
      assert.strictEqual(record.state._tag, "dead")
      assert.strictEqual(standing(record, 100 * day), "out")
    }
  })

  it("a 429 cools for the stated time", () => {
    const record = after([7, report(throttled(1_500))])
    assert.deepStrictEqual(record.state, { _tag: "cooling", why: "throttled", until: 1_507, source: "stated" })
    assertOutUntil(record, 1_507, "ready")
  })

  it("a 429 that states more than a day is probed after a day", () => {
    assertOutUntil(after([0, report(throttled(18 * day))]), day, "due")
  })

  it("a 429 that states nothing, or no time at all, cools for half a minute, doubling to a quarter of an hour", () => {
    for (const said of [undefined, 0]) {
      let at = 0
      let record = after([at, report(throttled(said))])
      for (const gap of [30, 60, 120, 240, 480].map((seconds) => seconds * second)) {
        assertOutUntil(record, at + gap, "due")
        at += gap
        record = foldOn(record, at, probe(throttled(said)))
      }
    }
  })

  it("an upstream's fault, a caller's fault and a caller who left count nothing against the token", () => {
    const fresh = after()
    for (const _tag of ["UpstreamFault", "CallerFault", "Abandoned"] as const) {
      const record = after(...Array.from({ length: 50 }, (_, at) => [at, report({ _tag })] as const))
      assert.deepStrictEqual(record.state, fresh.state)
      assert.deepStrictEqual(record.window, [])
      assert.deepStrictEqual([record.failed, record.consecutiveFailures], [0, 0])
    }
  })

  it("five errors are tolerated, six without half successes disable for half a minute", () => {
    const errors = (count: number) =>
      Array.from({ length: count }, (_, at) => [at, report({ _tag: "Failed" })] as const)
    assert.strictEqual(after(...errors(5)).state._tag, "active")
    const record = after(...errors(6))
    assert.deepStrictEqual(record.state, { _tag: "disabled", why: "too many errors", until: 5 + 30 * second })
    assertOutUntil(record, 5 + 30 * second, "due")
  })

  it("half successes are enough, whatever the number of errors", () => {
    const mixed = Array.from(
      { length: 20 },
      (_, at) => [at, report(at % 2 === 0 ? succeeded : { _tag: "Failed" })] as const
    )
    assert.strictEqual(after(...mixed).state._tag, "active")
  })

  it("errors of more than an hour ago are forgotten", () => {
    const early = Array.from({ length: 5 }, (_, at) => [at, report({ _tag: "Failed" })] as const)
    assert.strictEqual(after(...early, [hour + 4, report({ _tag: "Failed" })]).state._tag, "active")
    assert.strictEqual(after(...early, [hour - 1, report({ _tag: "Failed" })]).state._tag, "disabled")
  })

  it("a disabled token is half open: one failed probe doubles the gap up to an hour, one success brings it back", () => {
    let at = 5
    let record = after(...Array.from({ length: 6 }, (_, at) => [at, report({ _tag: "Failed" })] as const))
    for (const gap of [0.5, 1, 2, 4, 8, 16, 32, 60, 60].map((minutes) => minutes * minute)) {
      assertOutUntil(record, at + gap, "due")
      at += gap
      record = foldOn(record, at, probe({ _tag: "Failed" }))
    }
    at += 60 * minute
    record = foldOn(record, at, probe(succeeded))
    assert.strictEqual(record.state._tag, "active")
    assert.strictEqual(foldOn(record, at, report({ _tag: "Failed" })).state._tag, "active")
  })

  it("once back, a disabled token is not disabled again by the errors of before", () => {
    const errors = Array.from({ length: 6 }, (_, at) => [at, report({ _tag: "Failed" })] as const)
    const back = after(...errors, [11 * minute, probe(succeeded)], [12 * minute, report({ _tag: "Failed" })])
    assert.strictEqual(back.state._tag, "active")
  })

  it("a successful probe brings a token back from every cooldown, and its gaps start over", () => {
    for (const outcome of [quotaExhausted(), accessRejected, throttled()]) {
      const first = after([0, report(outcome)])
      const back = after([0, report(outcome)], [day, probe(succeeded)])
      assert.strictEqual(back.state._tag, "active")
      const again = foldOn(back, 2 * day, report(outcome)).state
      assert.deepStrictEqual(again, foldOn(after(), 2 * day, report(outcome)).state)
      assert.notStrictEqual(first.state._tag, "active")
    }
  })

  it("a call lent before the trouble began brings nothing back by its success, and makes nothing worse by its failure", () => {
    const cooling = after([0, report(throttled())])
    assert.strictEqual(foldOn(cooling, second, report(succeeded)).state._tag, "cooling")
    const burst = Array.from({ length: 40 }, (_, at) => [at, report(throttled())] as const)
    const record = after(...burst)
    assert.deepStrictEqual(record.state, {
      _tag: "cooling",
      why: "throttled",
      until: 39 + 30 * second,
      source: "guessed"
    })
    assert.strictEqual(record.relapses.trouble, 1)
    // However often it was asked for less: that is no error of the token, and never disables it.
    assert.strictEqual(record.window.length, 0)
  })

  it("a probe that ends by a fault of others leaves the token due", () => {
    for (const _tag of ["UpstreamFault", "CallerFault", "Abandoned"] as const) {
      const record = after([0, report(throttled())], [30 * second, probe({ _tag })])
      assert.strictEqual(standing(record, 30 * second), "due")
    }
  })

  it("a shorter Retry-After does not shorten a longer one", () => {
    const record = after([0, report(throttled(60 * second))], [1, report(throttled(second))])
    assertOutUntil(record, 60 * second, "ready")
  })

  it("an exhausted token that is throttled too stays exhausted, until the later end", () => {
    const record = after([0, report(quotaExhausted(hour))], [1, report(throttled(2 * hour))])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: 1 + 2 * hour, source: "stated" })
  })

  it("an account that is exhausted while it cools is exhausted", () => {
    const record = after([0, report(throttled(2 * hour))], [1, report(quotaExhausted(hour))])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: 2 * hour, source: "stated" })
  })
})
