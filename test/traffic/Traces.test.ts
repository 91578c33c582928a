import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Trace } from "../../src/traffic/trace.ts"
import { Traces } from "../../src/traffic/Traces.ts"

const trace = (id: string, why: Trace["why"], ended: Trace["ended"] = "served", outcome = "synthetic"): Trace => ({
  id,
  startedAt: "2026-01-01T00:00:00.000Z",
  why,
  model: "auto",
  client: "local",
  priority: 5,
  timeout: 1,
  attempts: 1,
  queuedMs: 0,
  target: null,
  outcome,
  ended,
  status: 200,
  took: 1,
  steps: []
})

const times = <A>(length: number, make: (i: number) => A) => Array.from({ length }, (_, i) => make(i))

describe("the traces", () => {
  it.effect("are the newest 500 of each sort, and none pushes out another sort", () =>
    Effect.gen(function* () {
      const { all, get, put } = yield* Traces
      put(trace("asked-first", "asked", "failed"))
      for (const i of times(700, (i) => i)) {
        put(trace(`well-${i}`, "sampled"))
        put(trace(`badly-${i}`, i % 2 === 0 ? "failed" : "sampled", i % 3 === 0 ? "left" : "refused"))
      }
      assert.strictEqual(all().length, 1_001)
      assert.isDefined(get("asked-first"))
      for (const sort of ["well", "badly"]) {
        assert.isUndefined(get(`${sort}-199`))
        assert.isDefined(get(`${sort}-200`))
      }
      for (const i of times(500, (i) => i)) put(trace(`asked-${i}`, "asked"))
      assert.isUndefined(get("asked-first"))
      assert.strictEqual(all().length, 1_500)
    }).pipe(Effect.provide(Traces.layer))
  )

  it.effect("tell what was put since the last look, once, the newest of it, and one that has ended again", () =>
    Effect.gen(function* () {
      const { get, put, since } = yield* Traces
      const idsSince = (mark: number, limit = 100) => since(mark, limit).fresh.map(({ id }) => id)
      put(trace("a", "asked", null))
      put(trace("b", "sampled"))
      put(trace("c", "failed", "failed"))
      assert.deepStrictEqual(idsSince(0), ["a", "b", "c"])
      assert.deepStrictEqual(idsSince(0, 2), ["b", "c"])
      assert.deepStrictEqual(idsSince(0, 0), [])
      const { mark } = since(0, 0)
      assert.deepStrictEqual(idsSince(mark), [])
      put(trace("a", "asked", "served", "answered"))
      assert.deepStrictEqual(idsSince(mark), ["a"])
      assert.strictEqual(get("a")?.outcome, "answered")
      assert.deepStrictEqual(idsSince(0), ["b", "c", "a"])
    }).pipe(Effect.provide(Traces.layer))
  )

  it.effect("are picked five a second, and of a storm of failures twenty a second are kept, unless it is set", () =>
    Effect.gen(function* () {
      const counted = Effect.map(Traces, ({ keepsFailure, picks }) => ({
        picked: times(1_000, picks).filter(Boolean).length,
        kept: times(1_000, keepsFailure).filter(Boolean).length
      }))
      assert.deepStrictEqual(yield* Effect.provide(counted, Traces.layer), { picked: 5, kept: 20 })
      const none = Traces.layerWith({ sample: 0, failures: 0 })
      assert.deepStrictEqual(yield* Effect.provide(counted, none), { picked: 0, kept: 0 })
      const many = Traces.layerWith({ sample: 100, failures: 1 })
      assert.deepStrictEqual(yield* Effect.provide(counted, many), { picked: 100, kept: 1 })
    })
  )
})
