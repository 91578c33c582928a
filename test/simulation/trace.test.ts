import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { atSpeed, mostWithin, readTrace, speedFor } from "../../src/simulation/trace.ts"

const heading = "TIMESTAMP,ContextTokens,GeneratedTokens"
const read = (...rows: ReadonlyArray<string>) => readTrace([heading, ...rows].join("\n"), "t.csv")

const Gaps = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30_000 })))
const traceOf = (gaps: ReadonlyArray<number>) => {
  let at = 0
  return gaps.map((gap) => ({ at: (at += gap), prompt: 1, completion: 1 }))
}

describe("a trace", () => {
  it.effect("is read in the order of time, from its first request on", () =>
    Effect.gen(function* () {
      const trace = yield* read(
        "2023-11-16 18:17:04.5000000,3,4",
        "2023-11-16 18:17:03.9799600,1,2",
        "2023-11-16T18:18:03.98Z,5,6"
      )
      assert.deepStrictEqual(
        trace.map(({ at, completion, prompt }) => [Math.round(at * 100) / 100, prompt, completion]),
        [
          [0, 1, 2],
          [520.04, 3, 4],
          [60_000.04, 5, 6]
        ]
      )
    })
  )

  it.effect("is refused by line and field when a row cannot be read, and when there is none", () =>
    Effect.gen(function* () {
      const good = "2023-11-16 18:17:03,1,2"
      for (const [row, field] of [
        ["2023-11-16 18:17:03,x,2", "ContextTokens"],
        ["2023-11-16 18:17:03,1,-2", "GeneratedTokens"],
        ["2023-11-16 18:17:03,1,2.5", "GeneratedTokens"],
        ["yesterday,1,2", "TIMESTAMP"]
      ] as const) {
        const refused = yield* Effect.flip(read(good, row))
        assert.strictEqual(refused._tag, "TraceInvalid")
        assert.include(refused.message, field)
        assert.match(refused.message, /t\.csv.*[23]/s)
      }
      assert.include((yield* Effect.flip(read())).message, "no request")
    })
  )

  it.effect.prop("has as many requests within a span as a naive count finds", [Gaps], ([gaps]) =>
    Effect.sync(() => {
      const trace = traceOf(gaps)
      const naive = Math.max(
        ...trace.map(({ at }) => trace.filter((other) => other.at > at - 60_000 && other.at <= at).length)
      )
      assert.strictEqual(mostWithin(trace, 60_000), naive)
    })
  )

  it("is played as fast as its busiest minute may be", () => {
    const trace = traceOf(Array.from({ length: 600 }, (_, i) => (i % 60 < 30 ? 100 : 5_000)))
    for (const perMinute of [20, 60, 200]) {
      const speed = speedFor(trace, perMinute)
      const busiest = mostWithin(atSpeed(trace, speed), 60_000)
      assert.isAtMost(busiest, perMinute + 1)
      assert.isAbove(mostWithin(atSpeed(trace, speed * 1.2), 60_000), busiest)
    }
  })
})
