import { assert, describe, it } from "@effect/vitest"
import { AccountBlocked, QuotaExhausted, RequestRejected, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { ownWords } from "../../src/domain/ownWords.ts"
import { TokenId } from "../../src/domain/Token.ts"

/** As an upstream repeats it. */
const echo = "synthetic words of the question"

describe("what is told of an upstream's failure in our own words", () => {
  it.each([
    [
      new RequestRejected({ provider: "a", status: 404, code: echo, param: echo, reason: echo }),
      "a rejected the request (404)"
    ],
    [
      new RequestRejected({ provider: "a", status: 400, code: "bad", param: "messages[0].content", reason: echo }),
      "a rejected the request (400, bad, messages[0].content)"
    ],
    [
      new UpstreamUnavailable({ provider: "a", reason: "status", status: 500, detail: echo }),
      "a is unavailable (status): it answered with status 500"
    ],
    [new UpstreamUnavailable({ provider: "a", reason: "malformed", detail: echo }), "a is unavailable (malformed)"],
    [
      new UpstreamUnavailable({ provider: "a", reason: "connection", detail: "the connection failed (ECONNREFUSED)" }),
      "a is unavailable (connection): the connection failed (ECONNREFUSED)"
    ],
    [new AccountBlocked({ provider: "a", reason: echo }), "a has blocked the account"],
    [new QuotaExhausted({ provider: "a", token: TokenId.make("t") }), "the quota of token t at a is used up"]
  ])("has none of what the upstream said: %s", (failure, told) => {
    assert.strictEqual(ownWords(failure), told)
  })
})
