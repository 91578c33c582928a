import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { fold } from "../../src/pool/tokenRules.ts"
import { standingOf, type TokenEvent, TokenRecord, type TokenState } from "../../src/pool/tokenState.ts"
import { Sealed } from "../../src/store/Vault.ts"
import { TokenId } from "../../src/domain/Token.ts"
import {
  accessRejected,
  added,
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

const claim = (by: string, until: number) => ({ by, until })
const quota = (used: number, resetAt?: number): TokenEvent => ({
  _tag: "QuotaNoted",
  report: { unlimited: false, limit: 10, used, resetAt }
})
const undone = (since: number): TokenEvent => ({ _tag: "PenaltyUndone", signature: "limit", since })
const renewal = (at: number, by = "us", generation = 0) =>
  ({ _tag: "RenewalClaimed", claim: claim(by, at + minute), generation }) satisfies TokenEvent

describe("the rule of a token", () => {
  it("nothing that happens to a removed token brings it back, but adding it", () => {
    assert.isUndefined(fold(after(), 1, { _tag: "Removed" }))
    const late: ReadonlyArray<TokenEvent> = [report(succeeded), { _tag: "Enabled" }, { _tag: "Reset" }, quota(1)]
    for (const event of late) assert.isUndefined(fold(undefined, 2, event))
    assert.strictEqual(fold(undefined, 2, added())?.state._tag, "active")
  })

  it("adding it again keeps state and statistics and takes the kind and the secrets", () => {
    const sealed = Sealed.make("sealed-new")
    const record = after(
      [0, report(throttled())],
      [1, { ...added("a", "personal"), secrets: { access: { sealed, expiresAt: 9 } } } as TokenEvent]
    )
    assert.deepStrictEqual([record.state._tag, record.failed, record.kind], ["cooling", 1, "personal"])
    assert.deepStrictEqual(record.access, { sealed, expiresAt: 9 })
    assert.isUndefined(record.refresh)
    assert.strictEqual(record.generation, 1)
  })

  it("another token that was given the same id is left as it is", () => {
    const record = after()
    assert.strictEqual(fold(record, 1, { ...added("b"), id: TokenId.make("id-a") } as TokenEvent), record)
  })

  it("a person's word overrides, enabling forgets the trouble, and reset the statistics too", () => {
    const disabled = after([0, report(throttled())], [1, { _tag: "Disabled", why: "by hand" }], [2, report(succeeded)])
    assert.deepStrictEqual(disabled.state, { _tag: "disabled", why: "by hand" })
    const enabled = foldOn(disabled, 3, { _tag: "Enabled" })
    assert.deepStrictEqual([enabled.state._tag, enabled.failed, enabled.relapses.trouble], ["active", 1, 0])
    const fresh = foldOn(enabled, 4, { _tag: "Reset" })
    assert.deepStrictEqual([fresh.served, fresh.succeeded, fresh.failed, fresh.lastFailure], [0, 0, 0, undefined])
    const { generation: _, lastUsedAt: __, ...rest } = fresh
    const { generation: ___, ...unused } = after()
    assert.deepStrictEqual(rest, unused)
  })

  it("one process claims a renewal at a time; its claim is void at its end, or when the secret is another", () => {
    const ours = after([0, renewal(0)])
    assert.strictEqual(ours.renewal?.by, "us")
    assert.strictEqual(foldOn(ours, minute - 1, renewal(minute - 1, "them")).renewal?.by, "us")
    assert.strictEqual(foldOn(ours, minute, renewal(minute, "them")).renewal?.by, "them")
    assert.isUndefined(foldOn(ours, 1, { _tag: "RenewalReleased", by: "us" }).renewal)
    assert.isDefined(foldOn(ours, 1, { _tag: "RenewalReleased", by: "them" }).renewal)
    const renewed = foldOn(ours, 1, { _tag: "Renewed", secrets: {}, generation: 0 })
    assert.isUndefined(renewed.renewal)
    assert.isUndefined(foldOn(renewed, 2, renewal(2)).renewal)
  })

  it("one process claims the probe of a token that is due; others wait for its end", () => {
    const cooling = after([0, report(throttled())])
    const claims = (by: string, at: number) =>
      ({ _tag: "ProbeClaimed", claim: claim(by, at + minute) }) satisfies TokenEvent
    assert.isUndefined(foldOn(cooling, 30 * second - 1, claims("us", 0)).probe)
    const ours = foldOn(cooling, 30 * second, claims("us", 30 * second))
    assert.strictEqual(foldOn(ours, 31 * second, claims("them", 31 * second)).probe?.by, "us")
    assert.strictEqual(foldOn(ours, 90 * second, claims("them", 90 * second)).probe?.by, "them")
    assert.isUndefined(foldOn(ours, 31 * second, probe(succeeded)).probe)
    assert.isDefined(foldOn(ours, 31 * second, { _tag: "ProbeReleased", by: "them" }).probe)
  })

  it("a renewal that fails is tried again after five seconds, doubling to five minutes, or when it was told", () => {
    let record = after()
    let at = 0
    for (const gap of [5, 10, 20, 40, 80, 160, 300, 300].map((seconds) => seconds * second)) {
      record = foldOn(record, at, { _tag: "RenewalFailed", by: "us" })
      assert.strictEqual(record.renewalHold?.until, at + gap)
      at += gap
    }
    record = foldOn(record, at, { _tag: "RenewalFailed", by: "us", retryAfterMs: hour })
    assert.strictEqual(record.renewalHold?.until, at + hour)
    assert.isUndefined(foldOn(record, at + hour, { _tag: "Renewed", secrets: {}, generation: 0 }).renewalHold)
  })

  it("no renewal is claimed until one that has failed may be tried again", () => {
    const failed = after([0, renewal(0, "them")], [0, { _tag: "RenewalFailed", by: "them" }])
    assert.isUndefined(foldOn(failed, 5 * second - 1, renewal(5 * second - 1)).renewal)
    assert.strictEqual(foldOn(failed, 5 * second, renewal(5 * second)).renewal?.by, "us")
  })

  it("a renewal that ends after a person has brought another secret changes nothing", () => {
    const sealed = Sealed.make("sealed-late")
    const late: TokenEvent = { _tag: "Renewed", secrets: { refresh: sealed, access: { sealed } }, generation: 0 }
    assert.strictEqual(after([0, late]).refresh, sealed)
    const brought = after([0, added()])
    assert.deepStrictEqual(foldOn(brought, 1, late), brought)
  })

  it("death by an old secret is no death", () => {
    const died: TokenEvent = { _tag: "Died", why: "refused", generation: 0 }
    assert.strictEqual(after([0, died]).state._tag, "dead")
    assert.strictEqual(after([0, { _tag: "Renewed", secrets: {}, generation: 0 }], [1, died]).state._tag, "active")
    const rejected = report({ _tag: "RefreshRejected", code: "TOKEN_EXPIRED" })
    assert.strictEqual(after([0, { _tag: "Renewed", secrets: {}, generation: 0 }], [1, rejected]).state._tag, "active")
  })
})

describe("the upstream's answer on the quota", () => {
  it("that nothing is left exhausts until its reset, however far, also earlier than was guessed", () => {
    const far = 40 * 24 * hour
    assert.deepStrictEqual(after([0, quota(10, far)]).state, { _tag: "exhausted", until: far, source: "stated" })
    const record = after([0, report(quotaExhausted())], [1, quota(10, minute)])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: minute, source: "stated" })
  })

  it("does not bring an earlier end than one that was stated", () => {
    const record = after([0, report(quotaExhausted(hour))], [1, quota(10, minute)])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: hour, source: "stated" })
  })

  it("that nothing is left, but not until when, is probed", () => {
    assert.deepStrictEqual(after([0, quota(10)]).state, { _tag: "exhausted", until: hour, source: "guessed" })
  })

  it("that something is left ends a guess once; refused again after it, the token is exhausted", () => {
    const back = after([0, report(quotaExhausted())], [1, quota(3)])
    assert.strictEqual(back.state._tag, "active")
    const refused = foldOn(foldOn(back, 2, report(quotaExhausted())), 3, quota(3))
    assert.deepStrictEqual(refused.state, { _tag: "exhausted", until: 2 + 2 * hour, source: "guessed" })
  })

  it("that something is left does not overrule what a person or another refusal said", () => {
    for (const event of [report(throttled(hour)), report({ _tag: "Blocked", reason: "terms" })]) {
      const before = after([0, event])
      assert.deepStrictEqual(foldOn(before, 1, quota(3)).state, before.state)
    }
  })

  it("names the reset of a later refusal that does not", () => {
    const record = after([0, quota(3, 5 * hour)], [1, report(quotaExhausted())])
    assert.deepStrictEqual(record.state, { _tag: "exhausted", until: 5 * hour, source: "stated" })
  })
})

describe("a penalty undone", () => {
  it("leaves the token as if the 429s had not been", () => {
    const before = after([0, report({ _tag: "Failed" })], [1, report(succeeded)], [2, report({ _tag: "Failed" })])
    const burst = [3, 4, 5].reduce((record, at) => foldOn(record, at, report(throttled())), before)
    assert.strictEqual(burst.state._tag, "cooling")
    const { lastFailure: _, lastUsedAt: __, served: ___, ...rest } = foldOn(burst, 6, undone(0))
    const { lastFailure: _1, lastUsedAt: _2, served: _3, ...expected } = before
    assert.deepStrictEqual(rest, expected)
  })

  it("brings back the cooldown that was there before, not more", () => {
    const cooling = after([0, report(accessRejected)])
    const undoing = foldOn(foldOn(cooling, 5, report(throttled(hour))), 6, undone(0))
    assert.deepStrictEqual(undoing.state, cooling.state)
  })

  it("does nothing to another limit's 429, an earlier one, or what came after", () => {
    const cooling = after([5, report(throttled())])
    assert.strictEqual(foldOn(cooling, 6, undone(6)).state._tag, "cooling")
    const other = after([5, report(throttled(undefined, "other"))])
    assert.strictEqual(foldOn(other, 6, undone(0)).state._tag, "cooling")
    const exhausted = after([5, report(throttled())], [6, report(quotaExhausted())])
    assert.strictEqual(foldOn(exhausted, 7, undone(0)).state._tag, "exhausted")
  })
})

const Ms = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 * hour }))
const Happening = Schema.Struct({
  after: Ms,
  probe: Schema.Boolean,
  /** Whether a check ended so, and no call. */
  check: Schema.Boolean,
  what: Schema.Union([
    Schema.TaggedStruct("Succeeded", { latencyMs: Schema.Literal(1) }),
    Schema.TaggedStruct("QuotaExhausted", { resetIn: Schema.optionalKey(Ms) }),
    Schema.TaggedStruct("AccessRejected", {}),
    Schema.TaggedStruct("Throttled", { retryAfterMs: Schema.optionalKey(Ms), signature: Schema.Literals(["a", "b"]) }),
    Schema.TaggedStruct("Failed", {}),
    Schema.TaggedStruct("UpstreamFault", {}),
    Schema.TaggedStruct("CallerFault", {}),
    Schema.TaggedStruct("Abandoned", {}),
    Schema.TaggedStruct("Blocked", { reason: Schema.Literal("terms") })
  ])
})
const History = Schema.Array(Happening).check(Schema.isMinLength(1), Schema.isMaxLength(60))

const eventOf = ({ probe, what }: Pick<typeof Happening.Type, "probe" | "what">, at: number) => {
  const outcome =
    what._tag === "QuotaExhausted" ? quotaExhausted(what.resetIn === undefined ? undefined : at + what.resetIn) : what
  return report(outcome, probe ? { probe: "us" } : {})
}

const untilOf = (state: TokenState) => ("until" in state ? (state.until ?? Number.POSITIVE_INFINITY) : 0)
const isStored = Schema.is(TokenRecord)

/** A check of the schedule, or the end of one that is nobody's. */
const checkedSo = (record: TokenRecord, at: number, { probe, what }: typeof Happening.Type): TokenRecord => {
  const by = "us/check"
  const { outcome } = eventOf({ probe: false, what }, at)
  const claim: TokenEvent = {
    _tag: "CheckClaimed",
    claim: { by, until: at + minute },
    seen: { at: record.lastCheck?.at }
  }
  return foldOn(probe ? foldOn(record, at, claim) : record, at, { _tag: "Checked", by, outcome, generation: 0 })
}

describe("over any history of outcomes", () => {
  it.prop(
    "ends only move later, every one is bounded, and all but the dead come back",
    [History],
    ([history]) => {
      let record = after()
      let at = 0
      for (const happening of history) {
        at += happening.after
        const before = record
        record = happening.check ? checkedSo(record, at, happening) : foldOn(record, at, eventOf(happening, at))
        const [was, is] = [standingOf(before.state, at), standingOf(record.state, at)]
        // Out of use it stays at least as long as was said before.
        if (was === "out") assert.isTrue(record.state._tag === "dead" || untilOf(record.state) >= untilOf(before.state))
        // Due, only the success of a probe makes it ready.
        if (was === "due" && is === "ready") {
          assert.isTrue(happening.what._tag === "Succeeded" ? happening.probe : record.state._tag !== "active")
        }
        if (record.state._tag === "dead")
          assert.isTrue(before.state._tag === "dead" || happening.what._tag === "Blocked")
        else assert.isAtMost(untilOf(record.state), Math.max(untilOf(before.state), at + 24 * hour))
        assert.isTrue(isStored(record))
        assert.isAtMost(record.window.length, 20)
        if (happening.check) {
          // A check counts in no statistics, and proves nothing about limits and quotas.
          assert.deepStrictEqual([record.served, record.failed], [before.served, before.failed])
          if (was === "due" && is === "ready" && record.state._tag === "active") {
            assert.include(["disabled", "cooling"], before.state._tag)
            assert.notStrictEqual("why" in before.state ? before.state.why : "", "throttled")
          }
        }
        assert.isTrue(record.failed >= 0 && record.served >= record.succeeded + record.failed)
      }
    },
    { arbitrary: { runs: 2_000, size: 60 } }
  )

  // What the table says of each outcome, counted by hand.
  it.prop(
    "the statistics are what was reported",
    [History],
    ([history]) => {
      const alive = history.filter(({ what }) => what._tag !== "Blocked")
      const count = (...tags: ReadonlyArray<string>) => alive.filter(({ what }) => tags.includes(what._tag)).length
      let at = 0
      const record = alive.reduce((record, happening) => {
        at += happening.after
        return foldOn(record, at, eventOf(happening, at))
      }, after())
      const failures = ["QuotaExhausted", "AccessRejected", "Throttled", "Failed"]
      assert.strictEqual(record.succeeded, count("Succeeded"))
      assert.strictEqual(record.failed, count(...failures))
      assert.strictEqual(record.served, count("Succeeded", "CallerFault", ...failures))
      const told = alive.map(({ what }) => what._tag).filter((tag) => tag === "Succeeded" || failures.includes(tag))
      assert.strictEqual(record.consecutiveFailures, told.length - 1 - told.lastIndexOf("Succeeded"))
    },
    { arbitrary: { runs: 1_000, size: 60 } }
  )
})
