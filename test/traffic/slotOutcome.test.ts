import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { QuotaExhausted, RequestRejected, Throttled, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { slotOutcomeOf } from "../../src/traffic/slotOutcome.ts"

const provider = "p"
const retryAfter = Duration.seconds(7)
const timeout = new UpstreamUnavailable({ provider, reason: "timeout", detail: "synthetic" })
const tagOf = (took: number, share: number) => slotOutcomeOf(timeout, took, share)._tag

describe("what a failed call says of its target", () => {
  it("takes a silence for a failure, unless our own deadline ended it before it could tell", () => {
    assert.strictEqual(tagOf(999, 1_000), "Failed")
    assert.strictEqual(tagOf(1_000, 1_000), "Neutral")
    assert.strictEqual(tagOf(4_999, 4_999), "Neutral")
    assert.strictEqual(tagOf(5_000, 5_000), "Failed")
  })

  it("takes any other failure of the upstream for one however little time there was, and keeps the wait it stated", () => {
    const down = new UpstreamUnavailable({ provider, reason: "status", status: 503, detail: "synthetic", retryAfter })
    assert.deepStrictEqual(slotOutcomeOf(down, 10, 10), { _tag: "Failed", retryAfter })
  })

  it("takes the wait of a throttled token for no wait of the target", () => {
    const throttled = new Throttled({ provider, signature: "synthetic", retryAfter })
    assert.deepStrictEqual(slotOutcomeOf(throttled, 10, 100), { _tag: "Throttled", retryAfter: undefined })
  })

  it("learns nothing of the target from what is the token's or the caller's", () => {
    const ofToken = new QuotaExhausted({ provider, token: TokenId.make("token-1") })
    const ofCaller = new RequestRejected({ provider, status: 400, code: null, reason: "synthetic" })
    for (const failure of [ofToken, ofCaller]) {
      assert.deepStrictEqual(slotOutcomeOf(failure, 10, 100), { _tag: "Neutral" })
    }
  })
})
