import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Predictor, type PredictorOptions } from "../../src/acquisition/Predictor.ts"
import { TokenId } from "../../src/domain/Token.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"

const layer = Predictor.layer.pipe(Layer.provideMerge(Store.layerMemory))
const subject = (token: string) => ({ provider: "warp", kind: "anonymous", token: TokenId.make(token) }) as const
const served: Outcome = { _tag: "Succeeded", latencyMs: 100 }
const refused: Outcome = { _tag: "QuotaExhausted" }
const observe = (token: string, ...outcomes: ReadonlyArray<Outcome>) =>
  Predictor.use((predictor) =>
    Effect.forEach(outcomes, (outcome) => predictor.observe({ ...subject(token), outcome }), { discard: true })
  )
const times = (n: number, outcome: Outcome) => Array.from({ length: n }, () => outcome)
const predict = (token: string) => Predictor.use((predictor) => predictor.predict(subject(token)))
const score = Predictor.use((predictor) => predictor.score("warp"))
const anotherWith = Effect.fnUntraced(function* (options: PredictorOptions) {
  const context = yield* Layer.buildWithScope(Layer.fresh(Predictor.layerWith(options)), yield* Effect.scope)
  return Context.get(context, Predictor)
})
const another = anotherWith({})

describe("Predictor", () => {
  it.effect("is sure of nothing before anything was observed", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* predict("a")).confidence, 0)
      assert.deepStrictEqual(yield* score, { predictions: 0, accuracy: undefined, brier: undefined })
    }).pipe(Effect.provide(layer))
  )

  it.effect("learns how long tokens of a kind last, and becomes sure of it", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 12; i++) yield* observe(`old-${i}`, ...times(15, served), refused)
      yield* TestClock.adjust("10 minutes")
      yield* observe("new", ...times(15, served))
      yield* TestClock.adjust("10 minutes")
      const prediction = yield* predict("new")
      assert.deepInclude(prediction, { level: "CRITICAL", confidence: 1 })
      assert.isAbove(prediction.chance, 0.9)
    }).pipe(Effect.provide(layer))
  )

  it.effect("takes a token that was used up for no living one", () =>
    Effect.gen(function* () {
      const predictor = yield* Predictor
      const own = (token: string) => ({ provider: "warp", kind: "personal", token: TokenId.make(token) }) as const
      for (const [token, n] of [
        ["a", 5],
        ["b", 10]
      ] as const) {
        for (const outcome of [...times(n, served), refused]) yield* predictor.observe({ ...own(token), outcome })
      }
      for (const outcome of times(5, served)) yield* predictor.observe({ ...own("c"), outcome })
      assert.strictEqual((yield* predictor.predict(own("c"))).chance, 0.5)
    }).pipe(Effect.provide(layer))
  )

  it.effect("compares no prediction of quota with a failure that is not about quota", () =>
    Effect.gen(function* () {
      yield* observe("a", served, served, ...times(5, { _tag: "UpstreamFault" }))
      assert.strictEqual((yield* score).predictions, 1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("compares each outcome with what it had predicted before it", () =>
    Effect.gen(function* () {
      yield* observe("a", served)
      assert.strictEqual((yield* score).predictions, 0)
      yield* observe("a", ...times(9, served))
      const good = yield* score
      assert.deepStrictEqual([good.predictions, good.accuracy], [9, 1])
      assert.isBelow(good.brier ?? 1, 0.01)
      yield* observe("a", refused)
      const surprised = yield* score
      assert.deepStrictEqual([surprised.predictions, surprised.accuracy], [10, 0.9])
      assert.isAbove(surprised.brier ?? 0, good.brier ?? 0)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps score over all kinds of token of a provider, and of no other", () =>
    Effect.gen(function* () {
      const predictor = yield* Predictor
      for (const kind of ["personal", "anonymous"] as const) {
        for (let i = 0; i < 3; i++) yield* predictor.observe({ ...subject("a"), kind, outcome: served })
      }
      assert.strictEqual((yield* score).predictions, 4)
      assert.strictEqual((yield* predictor.score("war")).predictions, 0)
    }).pipe(Effect.provide(layer))
  )

  it.effect("scores better than guessing once it has learned from tokens that last 10 to 20 requests", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 60; i++) yield* observe(`t${i}`, ...times(10 + ((i * 7) % 11), served), refused)
      const { accuracy, brier } = yield* score
      assert.isAbove(accuracy ?? 0, 0.9)
      assert.isBelow(brier ?? 1, 0.1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("believes the upstream's own word, even of a token it has not seen at work", () =>
    Effect.gen(function* () {
      const predictor = yield* Predictor
      yield* predictor.noteQuota(TokenId.make("a"), { unlimited: false, limit: 150, used: 149 })
      assert.deepInclude(yield* predict("a"), { level: "CRITICAL", confidence: 1 })
      yield* observe("a", served)
      assert.deepInclude(yield* predict("a"), { level: "EXHAUSTED", confidence: 1 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("learns nothing from a call whose end nobody has seen", () =>
    Effect.gen(function* () {
      yield* observe("a", ...times(50, { _tag: "Abandoned" }))
      assert.strictEqual((yield* predict("a")).confidence, 0)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps its evidence over a restart, and adds up what processes observe", () =>
    Effect.gen(function* () {
      const other = yield* another
      yield* observe("a", ...times(10, served))
      for (let i = 0; i < 10; i++) yield* other.observe({ ...subject("a"), outcome: served })
      yield* TestClock.adjust("1 second")
      const reborn = yield* another
      assert.strictEqual((yield* reborn.predict(subject("a"))).confidence, 1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("learns within 30 seconds what other processes observe", () =>
    Effect.gen(function* () {
      const other = yield* another
      yield* observe("a", refused)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* other.predict(subject("a"))).confidence, 0)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* other.predict(subject("a")), { level: "EXHAUSTED", confidence: 1 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("remembers no more tokens than it may, however many processes observe", () =>
    Effect.gen(function* () {
      const processes = [yield* anotherWith({ maxTokens: 10 }), yield* anotherWith({ maxTokens: 10 })]
      for (let i = 0; i < 20; i++) {
        yield* processes[i % 2]?.observe({ ...subject(`t${i}`), outcome: refused }) ?? Effect.void
        yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust("1 minute")
      const store = yield* Store
      const kept = [...(yield* store.all({ name: "predictor-token", schema: Schema.Json })).keys()]
      assert.sameMembers(
        kept,
        Array.from({ length: 10 }, (_, i) => `t${i + 10}`)
      )
      const reborn = yield* anotherWith({ maxTokens: 1 })
      const knows = (token: string) =>
        Effect.map(reborn.predict(subject(token)), ({ reason }) => reason === "the upstream said that nothing is left")
      assert.deepStrictEqual([yield* knows("t18"), yield* knows("t19")], [false, true])
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("counts the traffic of the window it is given, and believes the upstream for as long as it is told", () =>
    Effect.gen(function* () {
      const predictor = yield* anotherWith({ window: "1 minute", believed: "2 minutes" })
      for (const outcome of times(20, served)) yield* predictor.observe({ ...subject("a"), outcome })
      yield* predictor.noteQuota(TokenId.make("b"), { unlimited: false, limit: 150, used: 0 })
      const kind = { provider: "warp", kind: "anonymous" } as const
      assert.strictEqual((yield* predictor.predict(kind)).confidence, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* predictor.predict(kind)).confidence, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* predictor.predict(subject("b"))).reason, "the upstream said that 150 are left")
      yield* TestClock.adjust(1)
      assert.notStrictEqual((yield* predictor.predict(subject("b"))).reason, "the upstream said that 150 are left")
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("remembers five hundred tokens and lets the one seen longest ago go", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 501; i++) {
        yield* observe(`t${i}`, refused)
        yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust("10 minutes")
      assert.notStrictEqual((yield* predict("t0")).level, "EXHAUSTED")
      assert.strictEqual((yield* predict("t1")).level, "EXHAUSTED")
    }).pipe(Effect.provide(layer))
  )

  it.effect("goes on from memory when the store fails", () =>
    Effect.gen(function* () {
      yield* observe("a", ...times(20, served))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* predict("a")).confidence, 1)
    }).pipe(Effect.provide(Predictor.layer.pipe(Layer.provide(readOnly))))
  )
})

const readOnly = Layer.mock(Store, {
  all: () => Effect.succeed(new Map()),
  modify: () => Effect.fail(new StoreUnavailable({ operation: "write", detail: "synthetic" }))
})
