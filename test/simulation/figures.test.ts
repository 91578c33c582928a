import { assert, describe, it } from "@effect/vitest"
import { figuresOf, mean, quantile } from "../../src/simulation/figures.ts"
import type { ProviderOutcome } from "../../src/simulation/outcome.ts"

const provider = (more: Partial<ProviderOutcome>): ProviderOutcome => ({
  name: "a",
  concurrency: null,
  rpm: null,
  calls: 0,
  served: 0,
  throttled: 0,
  failed: 0,
  useWhileWaiting: undefined,
  waitingMs: 0,
  faults: [],
  ...more
})
const requests = (more: object) => ({ asked: 1_000, answered: 1_000, refused: 0, failed: 0, reasons: {}, ...more })
const verdicts = (...args: Parameters<typeof figuresOf>) =>
  Object.fromEntries(figuresOf(...args).map(({ met, name, value }) => [name, [value, met]]))

describe("D3's figures", () => {
  it("count refusals per call, and the least of those that were waited for", () => {
    const providers = [
      provider({ calls: 90, throttled: 1, useWhileWaiting: 0.9 }),
      provider({ name: "b", calls: 9, useWhileWaiting: 0.84 }),
      provider({ name: "c", calls: 1 })
    ]
    assert.deepStrictEqual(verdicts(requests({}), [0, 30_000], providers), {
      "upstream 429s": [0.01, false],
      "limit in use while waiting": [0.84, false],
      "mean wait": [15_000, false],
      availability: [1, true],
      success: [1, true]
    })
  })

  it("tell what was turned away from what failed", () => {
    const figures = verdicts(requests({ answered: 989, refused: 1, failed: 10 }), [9_999], [provider({ calls: 1_000 })])
    assert.deepStrictEqual(figures["availability"], [0.999, true])
    assert.deepStrictEqual(figures["success"], [0.989, false])
    assert.deepStrictEqual(figures["mean wait"], [9_999, true])
    assert.deepStrictEqual(figures["limit in use while waiting"], [1, true])
  })

  it("are of nothing when there was nothing", () => {
    assert.isTrue(figuresOf(requests({ asked: 0, answered: 0 }), [], []).every(({ met }) => met))
    assert.strictEqual(mean([]), 0)
    assert.strictEqual(quantile([], 0.5), 0)
  })

  it("have the quantiles that a sorted list shows", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
    assert.deepStrictEqual(
      [0, 0.5, 0.9, 0.99, 1].map((of) => quantile(hundred, of)),
      [1, 50, 90, 99, 100]
    )
  })
})
