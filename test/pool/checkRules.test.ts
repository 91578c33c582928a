import { assert, describe, it } from "@effect/vitest"
import { foldWith } from "../../src/pool/tokenRules.ts"
import { type Outcome, standing, type TokenEvent, type TokenRecord } from "../../src/pool/tokenState.ts"
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

const failed: Outcome = { _tag: "Failed" }
const upstreamFault: Outcome = { _tag: "UpstreamFault" }
const claimed = (at: number, by = "us/check", seen?: { readonly at: number | undefined }): TokenEvent => ({
  _tag: "CheckClaimed",
  claim: { by, until: at + 3 * minute },
  ...(seen && { seen })
})
const checked = (
  outcome: Outcome,
  options: { readonly by?: string; readonly generation?: number } = {}
): TokenEvent => ({
  _tag: "Checked",
  by: "us/check",
  outcome,
  generation: 0,
  ...(outcome._tag === "Succeeded" ? {} : { detail: "why" }),
  ...options
})

/** A check of the schedule, from its claim to its end. */
const check = (record: TokenRecord, at: number, outcome: Outcome): TokenRecord =>
  foldOn(foldOn(record, at, claimed(at, "us/check", { at: record.lastCheck?.at })), at, checked(outcome))

const statisticsOf = ({
  consecutiveFailures,
  failed,
  lastFailure,
  lastUsedAt,
  served,
  succeeded,
  window
}: TokenRecord) => ({
  consecutiveFailures,
  failed,
  lastFailure,
  lastUsedAt,
  served,
  succeeded,
  window
})
const sixErrors = Array.from({ length: 6 }, (_, at) => [at, report(failed)] as const)
const disabledUntil = 5 + 30 * second

describe("the check of a token", () => {
  it("is told of in its last check, and counts in no statistics, however it ends", () => {
    const used = after([0, report(succeeded)], [1, report(failed)])
    const ends = [succeeded, upstreamFault, throttled(), throttled(1_000), accessRejected, quotaExhausted()]
    for (const outcome of [...ends, { _tag: "Blocked", reason: "terms" } as const]) {
      const record = check(used, 10, outcome)
      assert.deepStrictEqual(statisticsOf(record), statisticsOf(used), outcome._tag)
      const ok = outcome._tag === "Succeeded"
      assert.deepStrictEqual(record.lastCheck, ok ? { at: 10, ok } : { at: 10, ok, detail: "why" })
      assert.deepStrictEqual([record.check, record.probe], [undefined, undefined])
    }
  })

  it("is no check when it is given up, or when the question was at fault", () => {
    const ours = after([0, claimed(0)])
    for (const event of [checked({ _tag: "Abandoned" }), checked({ _tag: "CallerFault" })]) {
      assert.deepStrictEqual(foldOn(ours, 1, event), after())
    }
    assert.deepStrictEqual(foldOn(ours, 1, { _tag: "CheckReleased", by: "us/check" }), after())
    assert.strictEqual(foldOn(ours, 1, { _tag: "CheckReleased", by: "them/check" }), ours)
  })

  it("brings a disabled token back when its time is over, not before, and forgets the errors of before", () => {
    const disabled = after(...sixErrors)
    const early = foldOn(foldOn(disabled, second, claimed(second)), second, checked(succeeded))
    assert.deepStrictEqual(early.state, disabled.state)
    const back = check(disabled, disabledUntil, succeeded)
    assert.deepStrictEqual([back.state._tag, back.window, back.consecutiveFailures], ["active", [], 0])
    const tolerated = Array.from({ length: 5 }).reduce<TokenRecord>(
      (record) => foldOn(record, disabledUntil + 1, report(failed)),
      back
    )
    assert.strictEqual(tolerated.state._tag, "active")
  })

  it("of a token that passes each and fails its calls makes it wait longer each time, until a call goes well", () => {
    let record = after(...sixErrors)
    let at = disabledUntil
    for (const gap of [60, 120, 240, 480].map((seconds) => seconds * second)) {
      record = check(record, at, succeeded)
      for (let i = 0; i < 6; i++) record = foldOn(record, at, report(failed))
      assert.deepStrictEqual(record.state, { _tag: "disabled", why: "too many errors", until: at + gap })
      at += gap
    }
    record = foldOn(check(record, at, succeeded), at, report(succeeded))
    for (let i = 0; i < 6; i++) record = foldOn(record, at + hour, report(failed))
    assert.deepStrictEqual(record.state, { _tag: "disabled", why: "too many errors", until: at + hour + 30 * second })
  })

  it("while the upstream is down leaves a disabled token so for its next gap, which grows up to an hour", () => {
    let record = after(...sixErrors)
    let at = disabledUntil
    for (const gap of [1, 2, 4, 8, 16, 32, 60, 60].map((minutes) => minutes * minute)) {
      record = check(record, at, upstreamFault)
      assert.deepStrictEqual(record.state, { _tag: "disabled", why: "too many errors", until: at + gap })
      at += gap
    }
    assert.strictEqual(check(record, at, succeeded).state._tag, "active")
  })

  it("while the upstream is down holds nothing against a token in use, nor one that is not half open", () => {
    assert.strictEqual(check(after(), 1, upstreamFault).state._tag, "active")
    const disabled = after(...sixErrors)
    const early = foldOn(foldOn(disabled, second, claimed(second)), second, checked(upstreamFault))
    assert.deepStrictEqual([early.state, early.relapses], [disabled.state, disabled.relapses])
  })

  it("brings back a token whose secret had been refused, once its time is over", () => {
    const cooling = after([0, report(accessRejected)])
    assert.strictEqual(check(cooling, 30 * second, succeeded).state._tag, "active")
    const again = check(cooling, 30 * second, accessRejected)
    assert.strictEqual(standing(again, 90 * second - 1), "out")
    assert.strictEqual(standing(again, 90 * second), "due")
  })

  it("proves nothing about a limit or a quota", () => {
    for (const outcome of [throttled(), quotaExhausted()]) {
      const record = after([0, report(outcome)])
      const later = check(record, 2 * hour, succeeded)
      assert.deepStrictEqual(later.state, record.state)
      assert.strictEqual(standing(later, 2 * hour), "due")
    }
  })

  it("that is refused does what a refused call does", () => {
    assert.strictEqual(check(after(), 1, { _tag: "Blocked", reason: "terms" }).state._tag, "dead")
    assert.strictEqual(check(after(), 1, { _tag: "RefreshRejected", code: "X" }).state._tag, "dead")
    assert.deepStrictEqual(check(after(), 1, throttled(second)).state, after([1, report(throttled(second))]).state)
    assert.deepStrictEqual(
      check(after(), 1, quotaExhausted(hour)).state,
      after([1, report(quotaExhausted(hour))]).state
    )
    const refused = check(after(), 1, accessRejected)
    assert.deepStrictEqual([refused.state, refused.access], [after([1, report(accessRejected)]).state, undefined])
  })

  it("with an old secret is held against nobody", () => {
    const renewed = after([0, claimed(0)], [0, { _tag: "Renewed", secrets: {}, generation: 0 }])
    const record = foldOn(renewed, 1, checked(accessRejected, { generation: 0 }))
    assert.deepStrictEqual([record.state._tag, record.lastCheck, record.check], ["active", undefined, undefined])
  })

  it("brings back neither the dead nor whom a person has disabled", () => {
    const dead = after([0, report({ _tag: "Blocked", reason: "terms" })])
    const disabled = after([0, { _tag: "Disabled", why: "by hand" }])
    for (const record of [dead, disabled]) {
      assert.isUndefined(foldOn(record, 1, claimed(1, "us/check", { at: undefined })).check)
      const wished = foldOn(foldOn(record, 1, claimed(1)), 1, checked(succeeded))
      assert.deepStrictEqual([wished.state, wished.lastCheck?.ok], [record.state, true])
    }
  })

  it("of a 429 that turns out to be the provider's takes back no failed call", () => {
    const met = check(after([0, report(failed)]), 1, throttled())
    const undone = foldOn(met, 2, { _tag: "PenaltyUndone", signature: "limit", since: 0 })
    assert.deepStrictEqual([undone.state._tag, undone.failed, undone.consecutiveFailures], ["active", 1, 1])
  })
})

describe("the claim of a check", () => {
  const never = { at: undefined }

  it("of the schedule goes to one process, which knows of the last one", () => {
    const ours = after([0, claimed(0, "us/check", never)])
    assert.strictEqual(foldOn(ours, 1, claimed(1, "them/check", never)).check?.by, "us/check")
    assert.strictEqual(foldOn(ours, 3 * minute, claimed(3 * minute, "them/check", never)).check?.by, "them/check")
    const done = foldOn(ours, 2, checked(succeeded))
    assert.isUndefined(foldOn(done, 3, claimed(3, "them/check", never)).check)
    assert.strictEqual(foldOn(done, 3, claimed(3, "them/check", { at: 2 })).check?.by, "them/check")
  })

  it("of a person waits for nobody", () => {
    const ours = after([0, claimed(0, "us/check", never)])
    assert.strictEqual(foldOn(ours, 1, claimed(1, "them/check")).check?.by, "them/check")
  })

  it("of a token that the check may bring back is its probe, and goes to nobody while another has that", () => {
    const disabled = after(...sixErrors)
    const at = disabledUntil
    const ours = foldOn(disabled, at, claimed(at, "us/check", never))
    assert.strictEqual(ours.probe?.by, "us/check")
    const call: TokenEvent = { _tag: "ProbeClaimed", claim: { by: "us", until: at + minute } }
    assert.strictEqual(foldOn(ours, at, call).probe?.by, "us/check")
    const called = foldOn(disabled, at, call)
    assert.isUndefined(foldOn(called, at, claimed(at, "us/check", never)).check)
    // A person's check goes on without it, and moves no state.
    const wished = foldOn(foldOn(called, at, claimed(at)), at, checked(succeeded))
    assert.deepStrictEqual([wished.state._tag, wished.probe?.by], ["disabled", "us"])
    assert.strictEqual(foldOn(wished, at, probe(succeeded)).state._tag, "active")
  })

  it("of a token that only a call can bring back leaves the probe to one", () => {
    const record = foldOn(after([0, report(throttled())]), minute, claimed(minute, "us/check", never))
    assert.deepStrictEqual([record.check?.by, record.probe], ["us/check", undefined])
  })
})

describe("the gap of a disabled token", () => {
  it("may be set", () => {
    const fold = foldWith({ disableFor: { first: second, most: 3 * second } })
    const foldIn = (record: TokenRecord | undefined, at: number, event: TokenEvent) => {
      const next = fold(record, at, event)
      assert.isDefined(next)
      return next
    }
    let record = sixErrors.reduce((record, [, event]) => foldIn(record, 0, event), after())
    let at = 0
    for (const gap of [1, 2, 3, 3].map((seconds) => seconds * second)) {
      assert.deepStrictEqual(record.state, { _tag: "disabled", why: "too many errors", until: at + gap })
      at += gap
      record = foldIn(record, at, probe(failed))
    }
  })
})
