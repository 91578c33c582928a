import { assert, describe, it } from "@effect/vitest"
import { waitsFor } from "../../src/batch/waitsFor.ts"
import { fewest, worthWaiting } from "../../src/batch/width.ts"
import type { ProviderStanding } from "../../src/traffic/Governor.ts"

const standing = (name: string, more: Partial<ProviderStanding> = {}): ProviderStanding => ({
  name,
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  allowed: { concurrency: "unlimited", rpm: "unlimited" },
  inUse: 0,
  lastMinute: 0,
  waiting: 0,
  heldUntil: undefined,
  paused: false,
  targets: [],
  ...more
})
const open = (model: string, until?: number) =>
  ({ model, circuit: "open", until, source: until === undefined ? undefined : "guessed" }) as const
const closed = (model: string) => ({ model, circuit: "closed", until: undefined, source: undefined }) as const

describe("what a batch waits for", () => {
  it("is said once for all providers of which it is the same, and not at all of those that are free, or that nobody waits for", () => {
    const full = { allowed: { concurrency: 5, rpm: 40 }, lastMinute: 40, inUse: 2, waiting: 3 }
    assert.deepStrictEqual(
      waitsFor(
        [
          standing("nvidia1", full),
          standing("nvidia2", full),
          standing("zhipu", { allowed: { concurrency: 1, rpm: "unlimited" }, inUse: 1, waiting: 1 }),
          standing("free", { allowed: { concurrency: 5, rpm: 40 }, inUse: 4, lastMinute: 39, waiting: 1 }),
          standing("nobody waits for it", { ...full, waiting: 0 })
        ],
        0
      ),
      ["nvidia1, nvidia2: their minute is full (40 of 40)", "zhipu: 1 of 1 at work"]
    )
    assert.deepStrictEqual(waitsFor([standing("a", full)], 0), ["a: its minute is full (40 of 40)"])
  })

  it("is the return of a provider, or of one of its models", () => {
    assert.deepStrictEqual(
      waitsFor(
        [standing("a", { targets: [open("x", 8_500), closed("y")] }), standing("b", { heldUntil: 20_000 })],
        1_000
      ),
      ["a/x: out of order, tried again in 8s", "b: no key can be used for 19s"]
    )
  })

  it("is any of them, when all are out of order", () => {
    assert.deepStrictEqual(
      waitsFor(
        [standing("a", { targets: [open("x", 9_000), open("y", 5_000)] }), standing("b", { targets: [open("x")] })],
        0
      ),
      [
        "every provider is out of order, and asked again as soon as one returns",
        "a: out of order, tried again in 5s",
        "b: out of order"
      ]
    )
  })
})

describe("how many are worth having in line", () => {
  const limited = (concurrency: number | "unlimited", rpm: number | "unlimited") =>
    standing("a", { allowed: { concurrency, rpm } })

  it("is as many as could start at one instant", () => {
    assert.strictEqual(worthWaiting([limited(5, 40), limited("unlimited", 5), limited(1, "unlimited")], 0, 100), 11)
  })

  it("is bounded, also where nothing is limited, and never none", () => {
    assert.strictEqual(worthWaiting([limited("unlimited", "unlimited")], 0, 100), 100)
    assert.strictEqual(worthWaiting([limited(1, 1)], 0, 100), fewest)
    assert.strictEqual(worthWaiting([], 0, 100), fewest)
    assert.strictEqual(worthWaiting([limited(50, 50)], 0, 1), 1)
  })

  it("counts no provider that is out of order", () => {
    const down = { allowed: { concurrency: 50, rpm: 50 }, targets: [open("x")] }
    assert.strictEqual(worthWaiting([standing("a", down), limited(7, 7)], 0, 100), 7)
    assert.strictEqual(worthWaiting([standing("a", { ...down, targets: [], heldUntil: 5 })], 4, 100), fewest)
    assert.strictEqual(worthWaiting([standing("a", { ...down, targets: [], heldUntil: 5 })], 5, 100), 50)
  })
})
