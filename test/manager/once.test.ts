import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { RemoteLease } from "../../src/manager/TokenManager.ts"
import { counted, type Process, start, world } from "./managers.ts"

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Step = Schema.Union([
  Schema.TaggedStruct("Get", { process: below(2) }),
  Schema.TaggedStruct("Get", { process: below(2) }),
  Schema.TaggedStruct("Report", { process: below(2), lease: below(6) }),
  Schema.TaggedStruct("Report", { process: below(2), lease: below(6) }),
  Schema.TaggedStruct("Together", { lease: below(6) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 20_000, 40_000]) }),
  Schema.TaggedStruct("Restart", { process: below(2) })
])
const History = Schema.Array(Step).check(Schema.isMinLength(25), Schema.isMaxLength(50))

const play = Effect.fnUntraced(function* (history: typeof History.Type, tally: { counted: number; refused: number }) {
  const options = { leaseFor: "1 minute" } as const
  const processes: Array<Process> = [yield* start(options), yield* start(options)]
  const of = (n: number) => processes[n] ?? assert.fail("no such process")
  yield* of(0).add("a")
  yield* of(1).pool.sync
  const leases: Array<RemoteLease> = []
  const reported = new Set<RemoteLease>()

  const report = Effect.fnUntraced(function* (process: Process, lease: RemoteLease) {
    const exit = yield* Effect.result(process.report({ lease: lease.lease }))
    if (exit._tag === "Success") tally.counted += 1
    else tally.refused += 1
    return exit._tag === "Success"
  })
  const mayCount = (lease: RemoteLease) =>
    Effect.map(Clock.currentTimeMillis, (now) => !reported.has(lease) && now < lease.leaseExpiresAt)

  for (const step of history) {
    switch (step._tag) {
      case "Get":
        leases.push(yield* of(step.process).get())
        break
      case "Report": {
        const lease = leases.at(-1 - step.lease)
        if (lease === undefined) break
        const expected = yield* mayCount(lease)
        assert.strictEqual(yield* report(of(step.process), lease), expected)
        reported.add(lease)
        break
      }
      case "Together": {
        const lease = leases.at(-1 - step.lease)
        if (lease === undefined) break
        const expected = yield* mayCount(lease)
        const wins = yield* Effect.all(
          [0, 1, 0, 1].map((n) => report(of(n), lease)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(wins.filter((won) => won).length, expected ? 1 : 0)
        reported.add(lease)
        break
      }
      case "Wait":
        yield* TestClock.adjust(step.ms)
        break
      case "Restart":
        yield* of(step.process).stop
        processes[step.process] = yield* start(options)
    }
  }
  yield* of(0).pool.sync
  yield* of(1).pool.sync
  const total = yield* counted(of(0))
  yield* TestClock.adjust("1 minute")
  assert.strictEqual((yield* of(0).leased) + (yield* of(1).leased), 0)
  return total
})

describe("a lease", () => {
  const tally = { counted: 0, refused: 0 }

  it.effect.prop(
    "counts exactly once under any interleaving of two processes, restarts and time",
    [History],
    ([history]) =>
      Effect.gen(function* () {
        const before = tally.counted
        const total = yield* play(history, tally)
        assert.strictEqual(total, tally.counted - before)
      }).pipe(Effect.scoped, Effect.provide(world, { local: true }))
  )

  it("was reported and refused often enough above to have been tried", () => {
    assert.isAbove(tally.counted, 100)
    assert.isAbove(tally.refused, 100)
  })
})
