import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { AccountBlocked, RequestRejected, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { DeadlineExceeded, type GatewayFailure, ModelNotServed } from "../../src/traffic/GatewayFailure.ts"
import { short, tracedText } from "../../src/traffic/tracedText.ts"
import { StoreUnavailable } from "../../src/store/Store.ts"

/** As an upstream repeats it, or a caller says it. */
const echo = "synthetic words of the question"
const unavailable = (reason: UpstreamUnavailable["reason"], detail: string) =>
  new UpstreamUnavailable({ provider: "a", reason, status: 503, detail })

describe("what a trace says of a failure", () => {
  it.each<[GatewayFailure]>([
    [new RequestRejected({ provider: "a", status: 400, code: echo, param: echo, reason: echo })],
    [unavailable("status", echo)],
    [unavailable("internal", echo)],
    [unavailable("malformed", echo)],
    [new AccountBlocked({ provider: "a", reason: echo })],
    [new ModelNotServed({ model: echo })],
    [new DeadlineExceeded({ timeout: Duration.seconds(1), detail: echo })],
    [new StoreUnavailable({ operation: "read", detail: echo })]
  ])("has nothing of the words of others: %s", (failure) => {
    assert.notInclude(tracedText(failure), "words")
    assert.isNotEmpty(tracedText(failure))
  })

  it("has what it takes to tell one failure from another", () => {
    const rejected = new RequestRejected({
      provider: "a",
      status: 400,
      code: "context_length_exceeded",
      param: "messages[0].content",
      reason: echo
    })
    assert.strictEqual(
      tracedText(rejected),
      "a rejected the request (400, context_length_exceeded, messages[0].content)"
    )
    assert.strictEqual(
      tracedText(unavailable("status", echo)),
      "a is unavailable (status): it answered with status 503"
    )
    assert.strictEqual(tracedText(unavailable("connection", "refused")), "a is unavailable (connection): refused")
  })

  it("is bounded, and well formed where it was cut", () => {
    assert.strictEqual(short("abc", 3), "abc")
    assert.strictEqual(short("abcd", 3), "abc…")
    assert.isTrue(short("ab\u{1F600}", 3).isWellFormed())
    assert.isBelow(tracedText(unavailable("cut", "x".repeat(10_000))).length, 400)
  })
})
