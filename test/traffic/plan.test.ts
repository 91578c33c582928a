import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  AccessRejected,
  AccountBlocked,
  type CallFailure,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import { nameOf } from "../../src/domain/Provider.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { after, isWorthWaiting, type Plan, planOf, readmit, remedyOf, setAside } from "../../src/traffic/plan.ts"

const provider = "p"
const token = (n: number) => TokenId.make(`token-${n}`)
const a1 = { provider: "a", model: "m1" }
const a2 = { provider: "a", model: "m2" }
const b1 = { provider: "b", model: "m1" }
const b2 = { provider: "b", model: "m2" }
const rejected = (code: string | null) => new RequestRejected({ provider, status: 400, code, reason: "synthetic" })
const down = new UpstreamUnavailable({ provider, reason: "status", detail: "synthetic" })
const throttled = new Throttled({ provider, signature: "synthetic" })
const failed = (target: typeof a1, failure: CallFailure, n = 1, sent = true) => ({
  target,
  token: token(n),
  failure,
  sent
})
const names = (plan: Plan) => plan.targets.map(nameOf)

describe("remedyOf", () => {
  it("tells each failure's remedy", () => {
    const of = (failure: CallFailure, sent = true) => remedyOf({ failure, sent })
    assert.strictEqual(of(new QuotaExhausted({ provider, token: token(1) })), "token")
    assert.strictEqual(of(new AccessRejected({ provider })), "token")
    assert.strictEqual(of(new AccountBlocked({ provider, reason: "synthetic" })), "token")
    assert.strictEqual(of(throttled), "token")
    assert.strictEqual(of(down), "target")
    assert.strictEqual(of(rejected("context_length_exceeded")), "model")
    assert.strictEqual(of(rejected("content_filter")), "model")
    assert.strictEqual(of(rejected("model_not_found")), "able")
    assert.strictEqual(of(rejected(null)), "caller")
    assert.strictEqual(of(rejected(null), false), "able")
  })
})

describe("a request's plan", () => {
  it("leaves a failing target for the next, and gives the last one a second chance, once", () => {
    const first = after(planOf([a1, b1], 5), failed(a1, down))
    assert.deepStrictEqual(first._tag === "Move" && names(first.plan), ["b/m1"])
    const second = after((first as { plan: Plan }).plan, failed(b1, down))
    assert.deepStrictEqual(second._tag === "Repeat" && names(second.plan), ["b/m1"])
    assert.strictEqual(after((second as { plan: Plan }).plan, failed(b1, down))._tag, "GiveUp")
  })

  it("goes to another token of the same targets when the token is at fault, and never to that token again", () => {
    const next = after(planOf([a1, b1], 5), failed(a1, throttled, 7))
    if (next._tag !== "Move") return assert.fail(next._tag)
    assert.deepStrictEqual(names(next.plan), ["a/m1", "b/m1"])
    assert.deepStrictEqual([...next.plan.tokens], [token(7)])
  })

  it("never asks the same model again about a question that is too long for it", () => {
    const next = after(planOf([a1, b1, a2, b2], 5), failed(a1, rejected("context_length_exceeded")))
    assert.deepStrictEqual(next._tag === "Move" && names(next.plan), ["a/m2", "b/m2"])
    assert.strictEqual(after(planOf([a1, b1], 5), failed(a1, rejected("content_filter")))._tag, "GiveUp")
  })

  it("gives what the caller must mend to the caller at once, but what one target cannot do to another", () => {
    assert.strictEqual(after(planOf([a1, b1], 5), failed(a1, rejected("invalid_value")))._tag, "GiveUp")
    const unable = after(planOf([a1, b1], 1), failed(a1, rejected(null), 1, false))
    assert.deepStrictEqual(unable._tag === "Move" && names(unable.plan), ["b/m1"])
    assert.strictEqual(unable._tag === "Move" && unable.plan.attempts, 0)
  })

  it("waits with a target whose provider has no token until the others are through, a second time as well, and then for the first to come back", () => {
    let plan = setAside(setAside(planOf([a1, b1, { provider: "c", model: "m1" }], 5), "a", 900), "b", 400)
    assert.deepStrictEqual(names(plan), ["c/m1"])
    const again = after(plan, failed({ provider: "c", model: "m1" }, down))
    assert.deepStrictEqual(again._tag === "Repeat" && names(again.plan), ["c/m1"])
    const next = after((again as { plan: Plan }).plan, failed({ provider: "c", model: "m1" }, down))
    if (next._tag !== "Move") return assert.fail(next._tag)
    plan = next.plan
    assert.deepStrictEqual(names(plan), [])
    assert.isUndefined(readmit(plan, 399))
    const back = readmit(plan, 400)
    assert.deepStrictEqual([back?.provider, back?.until, back && names(back.plan)], ["b", 400, ["b/m1"]])
    assert.deepStrictEqual(back?.plan.aside, [{ targets: [a1], until: 900 }])
  })

  const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
  const failures: ReadonlyArray<CallFailure> = [
    throttled,
    down,
    rejected("context_length_exceeded"),
    rejected("model_not_found"),
    new AccessRejected({ provider })
  ]
  it.prop(
    "ends within its attempts whatever goes wrong, and asks no token and no model again that it must not",
    [
      Schema.Array(Schema.Tuple([below(failures.length), below(4)])).check(
        Schema.isMinLength(8),
        Schema.isMaxLength(20)
      ),
      below(5)
    ],
    ([turns, most]) => {
      let plan = planOf([a1, b1, a2, b2], most + 1)
      const barred = new Set<string>()
      let calls = 0
      for (const [which, at] of turns) {
        const target = plan.targets[at % plan.targets.length]
        const failure = failures[which]
        if (target === undefined || failure === undefined) return assert.fail("a plan without a target goes on")
        assert.isFalse(barred.has(target.model))
        calls++
        if (failure._tag === "RequestRejected" && failure.code === "context_length_exceeded") barred.add(target.model)
        const next = after(plan, failed(target, failure, calls))
        if (next._tag === "GiveUp") return
        assert.isBelow(calls, most + 1)
        plan = next.plan
      }
    }
  )
})

describe("isWorthWaiting", () => {
  it("is so for a provider whose token is back in time, as long as another is left that can serve meanwhile", () => {
    const plan = planOf([a1, b1], 5)
    assert.isTrue(isWorthWaiting(plan, "a", 100, 100))
    assert.isFalse(isWorthWaiting(plan, "a", 101, 100))
    assert.isFalse(isWorthWaiting(planOf([a1, a2], 5), "a", 100, 100))
  })

  it("is not so when tokens were no good for this request alone", () => {
    assert.isFalse(isWorthWaiting({ ...planOf([a1, b1], 5), tokens: new Set([token(1)]) }, "a", 100, 100))
  })
})
