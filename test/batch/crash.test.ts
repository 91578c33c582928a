import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Store } from "../../src/store/Store.ts"
import { Governor } from "../../src/traffic/Governor.ts"

/** A process of its own on what the store keeps; whoever does not close its scope has killed it. */
const process_ = (rpm: number) =>
  Effect.gen(function* () {
    const services = yield* Layer.buildWithScope(Layer.fresh(Governor.layer), yield* Scope.make())
    const governor = yield* Effect.provideContext(Governor, services)
    yield* governor.configure([{ name: "a", limits: { concurrency: "unlimited", rpm, tpm: "unlimited" } }])
    return governor
  })

const call = (governor: Governor["Service"], until: number) =>
  Effect.scoped(
    Effect.map(
      governor.slot({
        targets: [{ provider: "a", model: "m" }],
        client: "test",
        priority: 5,
        since: 0,
        until,
        tokens: 1
      }),
      (slot) => {
        slot.sent()
        slot.settle({ _tag: "Served", tokens: undefined })
      }
    )
  )

/** How many calls it lets through now. */
const room = (governor: Governor["Service"], most: number) =>
  Effect.gen(function* () {
    let calls = 0
    while (calls < most && Exit.isSuccess(yield* Effect.exit(call(governor, 0)))) calls++
    return calls
  })

describe("a process that is killed", () => {
  for (const [spent, rpm] of [
    [5, 5],
    [33, 40],
    [99, 100]
  ] as const) {
    it.effect(`has forgotten none of ${spent} calls of a minute of ${rpm} when it is started again`, () =>
      Effect.gen(function* () {
        const first = yield* process_(rpm)
        for (let i = 0; i < spent; i++) yield* call(first, 0)
        const second = yield* process_(rpm)
        assert.strictEqual(yield* room(second, rpm + 1), rpm - spent)
        yield* TestClock.adjust("62 seconds")
        assert.strictEqual(yield* room(second, rpm + 1), rpm)
      }).pipe(Effect.provide(Store.layerMemory))
    )
  }

  it.effect("has forgotten next to nothing of a minute of many calls", () =>
    Effect.gen(function* () {
      const first = yield* process_(1_000)
      for (let i = 0; i < 997; i++) yield* call(first, 0)
      const second = yield* process_(1_000)
      assert.isAtMost(yield* room(second, 1_001), 3 + 10)
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
