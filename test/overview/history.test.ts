import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Columns, History, step, steps } from "../../src/overview/history.ts"

const Few = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
/** How long after the one before, up to more than the ring holds, and what has come meanwhile. */
const Beat = Schema.Struct({
  after: Schema.Union([
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 * step })),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 * steps * step }))
  ]),
  requests: Few,
  failures: Few,
  throttled: Few,
  acquisitions: Few,
  waiting: Few
})
type Beat = typeof Beat.Type
const Beats = Schema.Array(Beat).check(Schema.isMinLength(1), Schema.isMaxLength(40))
const counters = ["requests", "failures", "throttled", "acquisitions"] as const
const start = 1_700_000_000_000

const recorded = (beats: ReadonlyArray<Beat>) => {
  const history = new History()
  const totals = { requests: 100, failures: 100, throttled: 100, acquisitions: 100 }
  let at = start
  for (const beat of beats) {
    at += beat.after
    for (const counter of counters) totals[counter] += beat[counter]
    history.record(at, { ...totals, waiting: beat.waiting })
  }
  return history
}

/** The same from all that was ever read, step by step. */
const model = (beats: ReadonlyArray<Beat>, most: number): Columns => {
  const read = new Map<number, Record<(typeof counters)[number] | "waiting", number>>()
  let at = start
  for (const [i, beat] of beats.entries()) {
    at += beat.after
    const of = Math.floor(at / step) * step
    const sum = read.get(of) ?? { requests: 0, failures: 0, throttled: 0, acquisitions: 0, waiting: 0 }
    // The first is what they start from.
    if (i > 0) for (const counter of counters) sum[counter] += beat[counter]
    sum.waiting = Math.max(sum.waiting, beat.waiting)
    read.set(of, sum)
  }
  const newest = Math.max(...read.keys())
  const oldest = Math.max(Math.min(...read.keys()), newest - (Math.min(most, steps) - 1) * step)
  const all = Array.from({ length: (newest - oldest) / step + 1 }, (_, i) => oldest + i * step)
  const column = (name: (typeof counters)[number] | "waiting") => all.map((of) => read.get(of)?.[name] ?? null)
  return {
    at: all,
    requests: column("requests"),
    failures: column("failures"),
    waiting: column("waiting"),
    throttled: column("throttled"),
    acquisitions: column("acquisitions")
  }
}

const nothing = { requests: 0, failures: 0, throttled: 0, acquisitions: 0, waiting: 0 }

describe("the history", () => {
  const Most = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 * steps }))
  it.effect.prop("is what a list of all readings says of the last hour", [Beats, Most], ([beats, most]) =>
    Effect.sync(() => assert.deepStrictEqual(recorded(beats).columns(most), model(beats, most)))
  )

  it("is empty until something is read, and never longer than an hour", () => {
    assert.deepStrictEqual(new History().columns().at, [])
    const history = new History()
    for (let at = start; at < start + 3 * steps * step; at += 1_000) history.record(at, nothing)
    assert.strictEqual(history.columns().at.length, steps)
    assert.strictEqual(history.columns(2).at.length, 2)
  })

  it("adds to its newest step while a clock that was set back has not come that far again", () => {
    const history = new History()
    history.record(start, nothing)
    history.record(start - 10 * step, { ...nothing, requests: 3 })
    assert.deepStrictEqual(history.columns().requests, [3])
  })
})
