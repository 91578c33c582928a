import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import type { GatewayRequest } from "../../src/traffic/GatewayRequest.ts"
import { jobOf, shareOf, slotRequestOf, untilOf } from "../../src/traffic/job.ts"

const usual = { timeout: Duration.minutes(10), patience: 65_000 }
const begin = 1_000_000
const offer = { providers: new Map(), routes: [], resolve: () => undefined }
const request: GatewayRequest = {
  id: "request-1",
  endpoint: "/chat/completions",
  body: { bytes: new Uint8Array(0), json: {} },
  model: "m",
  stream: false,
  client: "client-1"
}
const job = (more: Partial<GatewayRequest> = {}) =>
  jobOf({ ...request, ...more }, offer, usual, begin, (effect) => effect)

describe("the time of a request", () => {
  it("is the usual one when it does not say, of which it waits in line only a part", () => {
    const usually = job()
    assert.strictEqual(usually.deadline, begin + 600_000)
    assert.strictEqual(usually.journey.timeout, 600_000)
    assert.strictEqual(untilOf(usually, begin), begin + 65_000)
  })

  it("is its own when it says, and may all be spent in line", () => {
    assert.strictEqual(untilOf(job({ timeout: Duration.minutes(3) }), begin), begin + 180_000)
  })

  it("is spent in line only by what it waited there", () => {
    const usually = job()
    usually.journey.queuedMs = 60_000
    assert.strictEqual(untilOf(usually, begin + 100_000), begin + 105_000)
    usually.journey.queuedMs = 70_000
    assert.strictEqual(untilOf(usually, begin + 100_000), begin + 100_000)
    usually.journey.queuedMs = 0
    assert.strictEqual(untilOf(usually, begin + 590_000), begin + 600_000)
  })

  it("is shared with another target as long as one is left", () => {
    const usually = job()
    usually.calledAt = begin + 100_000
    assert.strictEqual(shareOf(usually), 500_000)
    usually.hasAnother = true
    assert.strictEqual(shareOf(usually), 250_000)
  })
})

describe("slotRequestOf", () => {
  it("keeps the place in line of the request's first attempt, at its priority or the usual one", () => {
    const asked = slotRequestOf(job(), [], begin + 10_000)
    assert.strictEqual(asked.since, begin)
    assert.strictEqual(asked.priority, 5)
    assert.strictEqual(slotRequestOf(job({ priority: 0 }), [], begin).priority, 0)
  })
})
