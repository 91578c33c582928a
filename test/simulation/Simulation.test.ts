import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Result } from "effect"
import { idealMeanWaitMs } from "../../src/simulation/ideal.ts"
import { mean } from "../../src/simulation/figures.ts"
import { parseScenario, scenarioOf } from "../../src/simulation/scenario.ts"
import { evenly, simulated } from "./simulations.ts"

const limited = [
  { name: "a", concurrency: 2, rpm: 30 },
  { name: "b", concurrency: 1, rpm: "unlimited" }
] as const

const ofProvider = <A extends { readonly name: string }>(all: ReadonlyArray<A>, name: string): A => {
  const found = all.find((each) => each.name === name)
  assert.isDefined(found)
  return found
}

describe("a simulation", () => {
  it.effect("gives the same outcome for the same seed, to the last digit, and another for another", () =>
    Effect.gen(function* () {
      const run = (seed: string) => simulated(limited, evenly(150, 400), { seed })
      const one = JSON.stringify(yield* run("one"))
      assert.strictEqual(JSON.stringify(yield* run("one")), one)
      assert.notStrictEqual(JSON.stringify(yield* run("two")), one)
    })
  )

  it.effect("accounts for every request, and for every call at an upstream", () =>
    Effect.gen(function* () {
      const faults = [
        { provider: "a", kind: "outage", from: "10 seconds", for: "10 seconds" },
        { provider: "b", kind: "reset", from: "5 seconds", for: "20 seconds" }
      ]
      const { providers, requests, waits } = yield* simulated(limited, evenly(400, 150), { file: { faults } })
      assert.strictEqual(requests.asked, 400)
      assert.strictEqual(requests.answered + requests.refused + requests.failed, 400)
      assert.strictEqual(
        Object.values(requests.reasons).reduce((sum, times) => sum + times, 0),
        requests.refused + requests.failed
      )
      for (const { calls, failed, served, throttled } of providers)
        assert.strictEqual(served + throttled + failed, calls)
      assert.strictEqual(
        providers.reduce((sum, { served }) => sum + served, 0),
        requests.answered
      )
      assert.isAtLeast(waits.length, requests.answered)
      assert.isAbove(
        providers.reduce((sum, { failed }) => sum + failed, 0),
        0
      )
    })
  )

  it.effect(
    "meets no 429 where the limits are known, uses them while somebody waits, and waits no longer than it must",
    () =>
      Effect.gen(function* () {
        const trace = [...evenly(60, 20), ...evenly(60, 20).map((each) => ({ ...each, at: each.at + 70_000 }))]
        const { leastMeanWaitMs, providers, waits } = yield* simulated(limited, trace, { file: { jitter: 0 } })
        for (const { throttled, useWhileWaiting } of providers) {
          assert.strictEqual(throttled, 0)
          assert.isAtLeast(useWhileWaiting ?? 0, 0.85)
        }
        assert.isAbove(leastMeanWaitMs, 1_000)
        assert.closeTo(mean(waits), leastMeanWaitMs, 0.1 * leastMeanWaitMs)
      })
  )

  it.effect("shows what becomes of an upstream that bears less than the configuration says", () =>
    Effect.gen(function* () {
      const { figures, providers } = yield* simulated([{ name: "a", concurrency: 5, rpm: 60 }], evenly(100, 500), {
        file: { providers: { a: { limits: { rpm: 20 } } } }
      })
      assert.isAbove(ofProvider(providers, "a").throttled, 0)
      assert.isFalse(figures.find(({ name }) => name === "upstream 429s")?.met)
    })
  )

  it.effect("moves requests elsewhere while an upstream has its troubles", () =>
    Effect.gen(function* () {
      const providers = [
        { name: "a", concurrency: 20 },
        { name: "b", concurrency: 20 }
      ]
      for (const kind of ["outage", "reset", "throttle"]) {
        const run = yield* simulated(providers, evenly(120, 500), {
          file: { faults: [{ provider: "a", kind, from: "20 seconds", for: "20 seconds" }] }
        })
        assert.strictEqual(run.requests.answered, 120, kind)
        assert.isAbove(ofProvider(run.providers, "b").served, 15, kind)
        const { failed, throttled } = ofProvider(run.providers, "a")
        assert.isAbove(failed + throttled, 0, kind)
        assert.isAtMost(failed + throttled, 12, kind)
      }
    })
  )

  it.effect("has a provider in use again as soon as its keys are, also by those who stood in line before", () =>
    Effect.gen(function* () {
      const providers = [
        { name: "a", concurrency: 5, rpm: "unlimited" },
        { name: "b", concurrency: 1, rpm: "unlimited" }
      ] as const
      const { requests, samples } = yield* simulated(providers, evenly(250, 100), {
        file: { faults: [{ provider: "a", kind: "throttle", from: "10 seconds", for: "5 seconds" }] }
      })
      assert.strictEqual(requests.refused + requests.failed, 0)
      // A key that is refused without a stated wait cools for half a minute; nobody comes any more by then.
      const after = samples.filter(({ at, waiting }) => at > 46_000 && waiting > 5)
      assert.isAbove(after.length, 10)
      for (const { at, use } of after) assert.isAtLeast(use[0]?.inUse ?? 0, 4, `at ${at}`)
    })
  )

  it.effect("refuses what cannot be simulated, by its field", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(simulated(limited, evenly(1, 1), { model: "nobody" }))
      assert.strictEqual(unknown.message.split(":")[0], "model")
      const endless = yield* Effect.flip(
        simulated([{ name: "a", concurrency: "unlimited", rpm: "unlimited" }], evenly(2, 1), { pace: { load: 0.8 } })
      )
      assert.strictEqual(endless.message.split(":")[0], "load")
    })
  )

  it.effect("is paced by the share of the capacity, on average or in the busiest minute", () =>
    Effect.gen(function* () {
      const trace = evenly(300, 1_000)
      const load = yield* simulated(limited, trace, { pace: { load: 0.5 } })
      assert.closeTo(load.scenario.meanLoad, 0.5, 0.01)
      const peak = yield* simulated(limited, trace, { pace: { peak: 0.5 } })
      assert.closeTo(peak.scenario.busiestMinuteLoad, 0.5, 0.02)
    })
  )
})

describe("a scenario", () => {
  it("is refused by its field", () => {
    const refusedField = (file: object) => {
      const made = Result.flatMap(parseScenario(JSON.stringify(file)), (read) => scenarioOf(read, []))
      return Result.isFailure(made) ? made.failure.field : "none"
    }
    assert.strictEqual(
      refusedField({ faults: [{ provider: "a", kind: "outage", from: "1 minute", for: "1 minute" }] }),
      "faults[0].provider"
    )
    assert.strictEqual(
      refusedField({ faults: [{ provider: "a", kind: "flood", from: "1 minute", for: "1 minute" }] }),
      "faults[0].kind"
    )
    assert.strictEqual(
      refusedField({ faults: [{ provider: "a", kind: "slow", from: "soon", for: "1 minute" }] }),
      "faults[0].from"
    )
    assert.strictEqual(refusedField({ providers: { a: { limits: { rpm: 0 } } } }), "providers.a.limits.rpm")
    assert.strictEqual(refusedField({ providers: { a: {} } }), "providers.a")
    assert.strictEqual(refusedField({ pace: 1 }), "pace")
  })
})

describe("the ideal dispatcher", () => {
  const upstream = (concurrency: number | null, rpm: number | null) => ({
    name: "a",
    limits: { concurrency, rpm },
    service: { firstToken: Duration.seconds(1), perThousandPrompt: Duration.zero, perToken: Duration.zero },
    faults: []
  })
  const at = (...instants: ReadonlyArray<number>) => instants.map((at) => ({ at, prompt: 0, completion: 1 }))

  it("waits for a place, and for the minute", () => {
    assert.strictEqual(idealMeanWaitMs(at(0, 0, 0), [upstream(1, null)]), 1_000)
    assert.strictEqual(idealMeanWaitMs(at(0, 0, 0), [upstream(3, null)]), 0)
    assert.strictEqual(idealMeanWaitMs(at(0, 0, 0, 0), [upstream(null, 3)]), 15_000)
    assert.strictEqual(idealMeanWaitMs(at(0, 0, 0, 0), [upstream(1, null), upstream(null, 2)]), 250)
    assert.strictEqual(idealMeanWaitMs([], [upstream(1, 1)]), 0)
  })
})
