import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { createHash } from "node:crypto"
import { htmlOf } from "../../src/simulation/report.ts"
import * as Distribution from "../../src/simulation/report/distribution.ts"
import { queuePlot, usePlots, waitPlot } from "../../src/simulation/report/plots.ts"
import { clock, duration, percent } from "../../src/simulation/report/wording.ts"
import { empty, plausible } from "./outcomes.ts"

const Waits = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_600_000 })))
const ascending = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)

describe("the distribution of waits", () => {
  it.effect.prop("a quantile is a wait that so many did not exceed, and no shorter one is", [Waits], ([drawn]) =>
    Effect.sync(() => {
      const waits = ascending(drawn)
      for (const share of [0.5, 0.9, 0.99, 1]) {
        const quantile = Distribution.quantile(waits, share)
        const least = waits.find((wait) => waits.filter((other) => other <= wait).length >= share * waits.length)
        assert.strictEqual(quantile, least)
      }
    })
  )

  it.effect.prop("every wait is in exactly one bar, the one that spans it", [Waits], ([drawn]) =>
    Effect.sync(() => {
      const waits = ascending(drawn)
      const scale = Distribution.logScaleOf(waits)
      const bars = Distribution.histogram(waits, scale)
      for (const { from, share, to } of bars) {
        const spanned = waits.filter((wait) => {
          const place = Distribution.placeOf(scale, wait)
          // A wait on an edge belongs to the bar before it, but for the very first.
          return place <= to + 1e-9 && (place > from + 1e-9 || (place >= from - 1e-9 && from === scale.low))
        })
        assert.closeTo(share, spanned.length / waits.length, 1e-9)
      }
      const total = bars.reduce((sum, { share }) => sum + share, 0)
      assert.closeTo(total, waits.length === 0 ? 0 : 1, 1e-9)
    })
  )

  it.effect.prop("its curve rises from those who did not wait to all", [Waits], ([drawn]) =>
    Effect.sync(() => {
      const waits = ascending(drawn)
      const { at, share } = Distribution.cumulative(waits, Distribution.logScaleOf(waits))
      assert.strictEqual(at.length, share.length)
      if (waits.length === 0) return assert.isTrue(share.every((value) => value === null))
      const atOnce = waits.filter((wait) => wait < Distribution.atOnce).length / waits.length
      assert.strictEqual(share[0], atOnce)
      assert.strictEqual(share.at(-1), 1)
      for (const [index, value] of share.entries()) assert.isAtLeast(value ?? 0, share[index - 1] ?? 0)
    })
  )
})

describe("a report's words", () => {
  it("round no share to a 0 or 100 that it is not", () => {
    assert.deepStrictEqual([0, 0.000_01, 0.0042, 0.85, 0.9911, 0.999_96, 1, 2.055_69].map(percent), [
      "0 %",
      "< 0.01 %",
      "0.42 %",
      "85 %",
      "99.11 %",
      "> 99.99 %",
      "100 %",
      "205.6 %"
    ])
  })

  it("name durations in the unit a person would use", () => {
    assert.deepStrictEqual([0, 0.4, 640, 999.6, 1_250, 9_400, 59_960, 61_000, 3_599_700, 5_400_000].map(duration), [
      "0 s",
      "< 1 ms",
      "640 ms",
      "1 s",
      "1.25 s",
      "9.4 s",
      "1 min",
      "1 min 1 s",
      "1 h",
      "1 h 30 min"
    ])
    assert.deepStrictEqual([5_000, 754_000, 3_661_000].map(clock), ["0:05", "12:34", "1:01:01"])
  })

  it("say of each plot what it shows", () => {
    const outcome = plausible()
    const most = Math.max(...outcome.samples.map(({ waiting }) => waiting))
    assert.include(queuePlot(outcome).caption, `At most ${most} waited`)
    const captions = usePlots(outcome).map(({ caption }) => caption)
    assert.include(captions[1], "Faults: server_error from 20 min to 23 min")
    assert.include(captions[0], "99.1 % of its binding limit was in use")
    const p90 = Distribution.quantile(outcome.waits, 0.9) ?? 0
    assert.include(waitPlot(outcome).caption, `nine in ten no longer than ${duration(p90)}`)
  })

  it("say that nothing waited where nothing did", () => {
    const idle = plausible()
    const samples = idle.samples.map((sample) => ({ ...sample, waiting: 0 }))
    assert.strictEqual(queuePlot({ ...idle, samples }).caption, "No request was seen waiting.")
    assert.strictEqual(waitPlot({ ...idle, waits: [0, 0] }).caption, "Every request could start at once.")
    assert.strictEqual(waitPlot(empty).caption, "No request was given a slot.")
    for (const { caption } of usePlots(empty)) assert.strictEqual(caption, "No request ever waited for it.")
  })
})

describe("a report's file", () => {
  const shown = (outcome = plausible()) => Effect.provide(htmlOf(outcome), NodeFileSystem.layer)

  it.effect("is the same for the same outcome", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* shown(), yield* shown())
    })
  )

  it.effect("allows by hash what it brings, and nothing else", () =>
    Effect.gen(function* () {
      const file = yield* shown()
      const policy = /Content-Security-Policy" content="([^"]*)"/.exec(file)?.[1]?.replaceAll("&#39;", "'") ?? ""
      const brought = [...file.matchAll(/<(script|style)>([^]*?)<\/\1>/g)].map(
        ([, element, text]) =>
          `${element} 'sha256-${createHash("sha256")
            .update(text ?? "")
            .digest("base64")}'`
      )
      const allowed = policy
        .split("; ")
        .flatMap((directive) => {
          const [name, ...sources] = directive.split(" ")
          return sources.map((source) => `${name?.replace("-src", "")} ${source}`)
        })
        .filter((source) => source.includes("sha256"))
      assert.deepStrictEqual(brought.toSorted(), allowed.toSorted())
      assert.strictEqual(brought.length, 4)
      assert.include(policy, "default-src 'none'")
    })
  )

  it.effect("marks a goal that is missed by a word, not by colour alone", () =>
    Effect.gen(function* () {
      const file = yield* shown()
      const rows = [...file.matchAll(/<th scope="row">(?:Mean wait|Success)<\/th>[^]*?<\/tr>/g)].map(([row]) => row)
      assert.include(rows[0], "missed")
      assert.include(rows[1], "✓ met")
    })
  )
})
