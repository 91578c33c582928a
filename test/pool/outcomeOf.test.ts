import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Failure from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { outcomeOf } from "../../src/pool/outcomeOf.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"

const provider = "warp"
const token = TokenId.make("t")
const rows: ReadonlyArray<readonly [Failure.CallFailure, Outcome]> = [
  [new Failure.QuotaExhausted({ provider, token }), { _tag: "QuotaExhausted", resetAt: undefined }],
  [new Failure.QuotaExhausted({ provider, token, resetAt: 7 }), { _tag: "QuotaExhausted", resetAt: 7 }],
  [new Failure.AccessRejected({ provider }), { _tag: "AccessRejected" }],
  [new Failure.AccountBlocked({ provider, reason: "terms" }), { _tag: "Blocked", reason: "terms" }],
  [new Failure.Throttled({ provider, signature: "s" }), { _tag: "Throttled", retryAfterMs: undefined, signature: "s" }],
  [
    new Failure.Throttled({ provider, signature: "s", retryAfter: Duration.seconds(2) }),
    { _tag: "Throttled", retryAfterMs: 2_000, signature: "s" }
  ],
  [
    new Failure.RequestRejected({ provider, status: 400, code: null, reason: "no such model" }),
    { _tag: "CallerFault" }
  ],
  [new Failure.UpstreamUnavailable({ provider, reason: "cut", detail: "" }), { _tag: "UpstreamFault" }]
]

describe("outcomeOf", () => {
  for (const [failure, outcome] of rows) {
    it(`${failure._tag} is ${JSON.stringify(outcome)} for the token`, () => {
      assert.deepStrictEqual(outcomeOf(failure), outcome)
    })
  }
})
