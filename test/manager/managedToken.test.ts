import { assert, describe, it } from "@effect/vitest"
import { TokenId } from "../../src/domain/Token.ts"
import { managedToken } from "../../src/manager/managedToken.ts"
import { outcomeOf } from "../../src/manager/outcomes.ts"
import type { TokenView } from "../../src/pool/tokenState.ts"

const view: TokenView = {
  id: TokenId.make("id"),
  provider: "wopan",
  name: "a",
  kind: "shared",
  state: { _tag: "active" },
  usable: true,
  createdAt: 0,
  lastUsedAt: 5,
  accessExpiresAt: undefined,
  served: 3,
  succeeded: 1,
  failed: 2,
  quota: undefined,
  leased: 1,
  lastCheck: undefined,
  lastFailure: undefined,
  provenAt: undefined
}
const errorOf = (rest: Partial<TokenView>) => managedToken({ ...view, ...rest }).lastError

describe("what a person sees of a token", () => {
  it("is active in the one state alone", () => {
    assert.isTrue(managedToken(view).isActive)
    const cooling = { _tag: "cooling", until: 1, why: "", source: "guessed" } as const
    assert.deepInclude(managedToken({ ...view, state: cooling }), { isActive: false, state: "cooling" })
  })

  it("has the last error of a call or a check, whichever came later, in the caller's words if there are any", () => {
    assert.isUndefined(errorOf({}))
    assert.isUndefined(errorOf({ lastCheck: { at: 9, ok: true } }))
    assert.strictEqual(errorOf({ lastCheck: { at: 9, ok: false } }), "its check failed")
    const lastFailure = { at: 5, outcome: "QuotaExhausted" }
    assert.strictEqual(errorOf({ lastFailure }), "its quota is used up")
    assert.strictEqual(errorOf({ lastFailure: { ...lastFailure, detail: "no more" } }), "no more")
    assert.strictEqual(errorOf({ lastFailure, lastCheck: { at: 6, ok: false, detail: "refused" } }), "refused")
    assert.strictEqual(errorOf({ lastFailure, lastCheck: { at: 4, ok: false } }), "its quota is used up")
    assert.strictEqual(errorOf({ lastFailure, lastCheck: { at: 6, ok: true } }), "its quota is used up")
  })
})

describe("a reported outcome", () => {
  it("takes the time since the token was lent for how long the call took, which a clock that jumps back makes none", () => {
    assert.deepStrictEqual(outcomeOf("succeeded", 70, undefined), { _tag: "Succeeded", latencyMs: 70 })
    assert.deepStrictEqual(outcomeOf("succeeded", -5, undefined), { _tag: "Succeeded", latencyMs: 0 })
  })

  it("keeps until when the upstream wants to be left alone", () => {
    assert.deepInclude(outcomeOf("rate_limited", 1, 7_000), { _tag: "Throttled", retryAfterMs: 7_000 })
  })
})
