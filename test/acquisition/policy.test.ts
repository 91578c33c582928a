import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Facts, type HeldToken, judge, subjectOf } from "../../src/acquisition/policy.ts"

const minutes = (n: number) => n * 60_000
const now = minutes(1_000)
const facts = (change: Partial<Facts> = {}): Facts => ({
  now,
  provider: "warp",
  minting: true,
  error: "No remaining quota: No AI requests remaining",
  tokens: [],
  coolingUntil: undefined,
  creationRefusedUntil: undefined,
  lastAttemptAt: undefined,
  ...change
})
const token = (kind: HeldToken["kind"], state: HeldToken["state"], age = minutes(60)): HeldToken => ({
  kind,
  state,
  createdAt: now - age
})
const denied = (change: Partial<Facts>) => {
  const judgement = judge(facts(change))
  assert.isFalse(judgement.allowed, judgement.reason)
  return judgement
}
const allowed = (change: Partial<Facts>) => {
  const judgement = judge(facts(change))
  assert.isTrue(judgement.allowed, judgement.reason)
  return judgement.reason
}

describe("policy", () => {
  it("denies while a personal or shared token is usable, whatever the rest says", () => {
    assert.strictEqual(denied({ tokens: [token("personal", "usable")] }).reason, "a personal token is usable")
    const tokens = [token("shared", "usable"), token("anonymous", "exhausted")]
    assert.strictEqual(denied({ tokens }).reason, "a shared token is usable")
  })

  it("denies while the newest anonymous token is under 30 minutes old and not known to be used up", () => {
    const resting = (age: number) => ({ tokens: [token("anonymous", "resting", age), token("anonymous", "exhausted")] })
    assert.strictEqual(denied(resting(minutes(30) - 1)).retryAfterMs, 1)
    assert.strictEqual(allowed(resting(minutes(30))), "the anonymous quota is used up")
    assert.isUndefined(denied({ tokens: [token("anonymous", "usable", 0)] }).retryAfterMs)
    allowed({ tokens: [token("anonymous", "exhausted", minutes(6)), token("anonymous", "resting")] })
    allowed({ tokens: [token("anonymous", "gone", minutes(6))] })
  })

  it("denies when the error is not about quota, unless there is no token it could be about", () => {
    const tokens = [token("personal", "exhausted")]
    assert.strictEqual(denied({ tokens, error: "connection reset" }).reason, "the error is not about quota")
    allowed({ error: "connection reset" })
  })

  it("denies while the upstream's refusal to create users holds", () => {
    assert.strictEqual(denied({ creationRefusedUntil: now + 1 }).retryAfterMs, 1)
    allowed({ creationRefusedUntil: now })
    denied({ error: "<title>429</title>429 Too Many Requests" })
  })

  it("denies while the whole provider is left alone", () => {
    assert.strictEqual(denied({ coolingUntil: now + 1 }).retryAfterMs, 1)
    allowed({ coolingUntil: now })
  })

  it("denies for five minutes after one was asked for", () => {
    assert.strictEqual(denied({ lastAttemptAt: now - minutes(5) + 1 }).retryAfterMs, 1)
    allowed({ lastAttemptAt: now - minutes(5) })
  })

  it("denies while any token is usable, however old", () => {
    assert.strictEqual(
      denied({ tokens: [token("anonymous", "usable", minutes(500))] }).reason,
      "an anonymous token is usable"
    )
  })

  it("denies where tokens may not be made", () => {
    assert.include(denied({ minting: false }).reason, '"minting": true')
  })

  it("allows when no token is held, when all are gone, and when the quota is used up", () => {
    assert.strictEqual(allowed({}), "no token is held")
    assert.strictEqual(allowed({ tokens: [token("anonymous", "gone")] }), "every token is gone for good")
    assert.strictEqual(allowed({ tokens: [token("anonymous", "exhausted", 0)] }), "the anonymous quota is used up")
    assert.strictEqual(allowed({ tokens: [token("personal", "exhausted")] }), "no token is usable")
  })

  it("tells what an error is about", () => {
    const about = (text: string) => subjectOf(text)
    assert.strictEqual(about("No remaining quota: No AI requests remaining"), "quota")
    assert.strictEqual(about('HTTP 429 {"error":"No remaining quota"}'), "quota")
    assert.strictEqual(about("OUT_OF_CREDITS"), "quota")
    assert.strictEqual(about("the quota of token t-1 at warp is used up"), "quota")
    assert.strictEqual(about("no token for warp can be used: none is held"), "no token")
    assert.strictEqual(about("ID token has expired at: 1"), "expired")
    assert.strictEqual(about("warp refuses to renew the token (INVALID_REFRESH_TOKEN)"), "expired")
    assert.strictEqual(about("<html>429 Too Many Requests</html>"), "too many requests")
    assert.strictEqual(about("warp is unavailable (status): 503"), "other")
    assert.strictEqual(about("manual test"), "other")
  })

  const tokens = Schema.Array(
    Schema.Struct({
      kind: Schema.Literals(["anonymous", "shared", "personal"]),
      state: Schema.Literals(["usable", "resting", "exhausted", "gone"]),
      createdAt: Schema.Literals([now - minutes(60), now - minutes(30), now - minutes(29), now])
    })
  )
  it.effect.prop(
    "never allows a token while one is usable, and told to wait, is right to the millisecond about its own rule",
    { tokens, lastAttemptAt: Schema.Literals([now - minutes(6), now - minutes(5), now - minutes(4), now]) },
    (known) =>
      Effect.sync(() => {
        const judgement = judge(facts(known))
        if (known.tokens.some(({ state }) => state === "usable")) assert.isFalse(judgement.allowed)
        if (judgement.retryAfterMs === undefined) return
        const later = (wait: number) => judge(facts({ ...known, now: now + wait }))
        assert.strictEqual(later(judgement.retryAfterMs - 1).reason, judgement.reason)
        assert.notStrictEqual(later(judgement.retryAfterMs).reason, judgement.reason)
      }),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 20 } }
  )
})
