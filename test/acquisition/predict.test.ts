import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as evidence from "../../src/acquisition/evidence.ts"
import { isShort, type Lives, predict, survivalOf } from "../../src/acquisition/predict.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"

const served: Outcome = { _tag: "Succeeded", latencyMs: 100 }
const slow: Outcome = { _tag: "Succeeded", latencyMs: 5_001 }
const refused: Outcome = { _tag: "QuotaExhausted" }
const fault: Outcome = { _tag: "UpstreamFault" }
const times = (n: number, outcome: Outcome) => Array.from({ length: n }, () => outcome)
const observed = (outcomes: ReadonlyArray<Outcome>, now = 0) =>
  outcomes.reduce<evidence.KindEvidence>(
    (current, outcome) => evidence.observeKind(current, now, { outcome }),
    evidence.noEvidence
  )
const nobody: Lives = { kind: "anonymous", ended: [], living: [] }
const level = (outcomes: ReadonlyArray<Outcome>, now = 0) => predict(now, observed(outcomes), nobody, undefined).level

describe("prediction from the window", () => {
  it("is EXHAUSTED above half quota errors, CRITICAL above a fifth", () => {
    assert.strictEqual(level([...times(6, refused), ...times(4, served)]), "EXHAUSTED")
    assert.strictEqual(level([...times(5, refused), ...times(5, served)]), "CRITICAL")
    assert.strictEqual(level([...times(3, refused), ...times(7, served)]), "CRITICAL")
    assert.strictEqual(level([...times(2, refused), ...times(8, served)]), "HIGH")
  })

  it("takes other errors apart: above 70 % LOW, above 30 % MEDIUM", () => {
    assert.strictEqual(level([...times(8, fault), ...times(2, served)]), "LOW")
    assert.strictEqual(level([...times(7, fault), ...times(3, served)]), "MEDIUM")
    assert.strictEqual(level([...times(4, fault), ...times(6, served)]), "MEDIUM")
    assert.strictEqual(level([...times(3, fault), ...times(7, served)]), "HIGH")
  })

  it("takes a mean latency above 5 seconds for pressure", () => {
    assert.strictEqual(level(times(3, slow)), "MEDIUM")
    assert.strictEqual(level([{ _tag: "Succeeded", latencyMs: 5_000 }]), "HIGH")
  })

  it("grows surer with each request, from 0 to 1", () => {
    const confidence = (n: number) => predict(0, observed(times(n, served)), nobody, undefined).confidence
    assert.deepStrictEqual([0, 5, 10, 20, 40].map(confidence), [0, 0.25, 0.5, 1, 1])
  })

  it("forgets a minute after it has left the five-minute window", () => {
    const kind = observed(times(20, served))
    assert.strictEqual(predict(5 * evidence.minute - 1, kind, nobody, undefined).confidence, 1)
    assert.strictEqual(predict(5 * evidence.minute, kind, nobody, undefined).confidence, 0)
    assert.strictEqual(predict(-1, kind, nobody, undefined).confidence, 0)
  })
})

const at = (n: number): evidence.TokenEvidence => ({ ...evidence.unseen, served: n })

describe("prediction from the lives of other tokens", () => {
  it("has no confidence when nothing was ever observed, though 10 to 20 requests are usual", () => {
    const fresh = predict(0, evidence.noEvidence, nobody, at(0))
    assert.deepInclude(fresh, { level: "HIGH", confidence: 0, chance: 0 })
    assert.strictEqual(predict(0, evidence.noEvidence, nobody, at(20)).level, "CRITICAL")
  })

  it("expects the end where earlier tokens ended, and is sure of it once ten have", () => {
    const lives: Lives = { ...nobody, ended: times(12, served).map(() => 15) }
    const on = (n: number) => survivalOf(lives, n)
    assert.isBelow(on(14).chance, 0.05)
    assert.isAbove(on(15).chance, 0.9)
    assert.deepStrictEqual(
      [0, 7, 12, 15].map((n) => on(n).sign.level),
      ["HIGH", "MEDIUM", "LOW", "CRITICAL"]
    )
    assert.strictEqual(on(15).sign.confidence, 1)
  })

  it("names the most worrying sign, and is as sure as the signs are that agree on whether the end is near", () => {
    const wellServed = observed(times(20, served))
    const one: Lives = { ...nobody, kind: "personal", ended: [15] }
    assert.deepInclude(predict(0, wellServed, one, at(10)), { level: "MEDIUM", confidence: 1 })
    assert.deepInclude(predict(0, wellServed, one, at(15)), { level: "CRITICAL", confidence: 0.1 })
  })

  it("counts living tokens as far as they have come, as no death", () => {
    const dead = { ...nobody, kind: "personal", ended: [5, 5] } as const
    assert.strictEqual(survivalOf(dead, 5).chance, 1)
    assert.strictEqual(survivalOf({ ...dead, living: [6, 6] }, 5).chance, 0.5)
    assert.strictEqual(survivalOf({ ...dead, living: [5, 5] }, 5).chance, 1)
  })

  it("does not expect of a personal token what is usual for an anonymous one", () => {
    const own = predict(0, evidence.noEvidence, { ...nobody, kind: "personal" }, at(500))
    assert.deepInclude(own, { level: "HIGH", confidence: 0 })
    assert.isBelow(own.chance, 0.01)
  })

  const lives = Schema.Struct({
    kind: Schema.Literals(["anonymous", "personal"]),
    ended: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))),
    living: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })))
  })
  it.effect.prop(
    "agrees with counting who came as far and who ended there",
    { lives, n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 45 })) },
    ({ lives, n }) =>
      Effect.sync(() => {
        const { chance, sign } = survivalOf(lives, n)
        assert.isTrue(chance >= 0 && chance <= 1)
        const reached = lives.ended.filter((life) => life >= n).length + lives.living.filter((life) => life > n).length
        const ended = lives.ended.filter((life) => life === n).length
        if (lives.kind === "personal" && reached > 0) assert.strictEqual(chance, ended / reached)
        if (lives.kind === "anonymous" && reached > 0) {
          assert.isTrue(chance >= ended / (reached + 1) && chance <= (ended + 1) / (reached + 1))
        }
        assert.strictEqual(sign.confidence, Math.min(1, reached / 10))
      }),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 30 } }
  )
})

describe("prediction from the upstream's own word", () => {
  const told = (limit: number, used: number, change: Partial<{ unlimited: boolean; resetAt: number }> = {}) =>
    evidence.observeToken(at(12), 0, {
      _tag: "QuotaTold",
      unlimited: false,
      limit,
      remaining: limit - used,
      resetAt: undefined,
      ...change
    })
  const busy = observed(times(20, refused))

  it("outranks every guess, with confidence 1, while it is fresh", () => {
    const levels = [0, 74, 75, 120, 142.5, 150].map((used) => predict(0, busy, nobody, told(150, used)).level)
    assert.deepStrictEqual(levels, ["HIGH", "HIGH", "MEDIUM", "LOW", "CRITICAL", "EXHAUSTED"])
    const minutes = (n: number) => n * evidence.minute
    assert.strictEqual(predict(minutes(15), evidence.noEvidence, nobody, told(150, 0)).confidence, 1)
    assert.strictEqual(predict(minutes(15) + 1, evidence.noEvidence, nobody, told(150, 0)).confidence, 0)
    assert.strictEqual(predict(0, busy, nobody, told(0, 0, { unlimited: true })).level, "HIGH")
  })

  it("counts what has been served since, and holds no longer than until the refill", () => {
    let token = told(10, 5)
    for (let i = 0; i < 5; i++)
      token = evidence.observeToken(token, 0, { _tag: "Observed", group: "g", outcome: served })
    assert.strictEqual(predict(0, busy, nobody, token).level, "EXHAUSTED")
    const refilled = told(10, 10, { resetAt: 60_000 })
    assert.strictEqual(predict(59_999, evidence.noEvidence, nobody, refilled).level, "EXHAUSTED")
    assert.strictEqual(predict(60_000, evidence.noEvidence, nobody, refilled).confidence, 0)
  })

  const refuse = (resetAt?: number) =>
    evidence.observeToken(at(12), 0, { _tag: "Observed", group: "g", outcome: { _tag: "QuotaExhausted", resetAt } })

  it("is EXHAUSTED after a refusal, until the stated time or for an hour, or until a request is served", () => {
    const on = (now: number, resetAt?: number) => predict(now, evidence.noEvidence, nobody, refuse(resetAt)).level
    assert.strictEqual(on(3_599_999), "EXHAUSTED")
    assert.notStrictEqual(on(3_600_000), "EXHAUSTED")
    assert.strictEqual(on(9_999_999, 10_000_000), "EXHAUSTED")
    const again = evidence.observeToken(refuse(), 1, { _tag: "Observed", group: "g", outcome: served })
    assert.deepInclude(again, { served: 1 })
    assert.notProperty(again, "exhausted")
  })

  it("believes a refusal more than a few credits that are left, but not more than a refill", () => {
    const told = (remaining: number) =>
      evidence.observeToken(refuse(), 1, {
        _tag: "QuotaTold",
        unlimited: false,
        limit: 100,
        remaining,
        resetAt: undefined
      })
    assert.property(told(20), "exhausted")
    assert.notProperty(told(21), "exhausted")
    assert.strictEqual(told(21)?.served, 0)
  })

  it("remembers the last hundred lives", () => {
    let kind = evidence.noEvidence
    for (let life = 0; life < 150; life++) kind = evidence.observeKind(kind, 0, { outcome: refused, life })
    assert.deepStrictEqual([kind.lives.length, kind.lives[0], kind.lives[99]], [100, 50, 149])
  })

  it("counts a life once, however often the end is repeated", () => {
    assert.strictEqual(evidence.lifeEnded(at(12), refused), 12)
    assert.isUndefined(evidence.lifeEnded(refuse(), refused))
    assert.isUndefined(evidence.lifeEnded(at(12), fault))
  })
})

describe("any prediction", () => {
  const outcome = Schema.Literals(["served", "refused", "fault", "slow"])
  const outcomes = { served, refused, fault, slow }
  it.effect.prop(
    "lies between 0 and 1, and without evidence is sure of nothing",
    { history: Schema.Array(outcome), n: Schema.Literals([0, 5, 15, 25]) },
    ({ history, n }) =>
      Effect.sync(() => {
        const { chance, confidence, level } = predict(0, observed(history.map((name) => outcomes[name])), nobody, at(n))
        assert.isTrue(confidence >= 0 && confidence <= 1 && chance >= 0 && chance <= 1)
        if (history.length === 0) assert.strictEqual(confidence, 0)
        if (history.length >= 20) assert.isTrue(confidence === 1 || isShort(level))
      }),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 40 } }
  )
})
