import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { asServed, evenly, lengthOf, serviceTimeOf } from "../../../src/sandbox/openai/pace.ts"
import type { AnswerEvent } from "../../../src/sandbox/openai/readCall.ts"
import { serviceTime, usualService } from "../../../src/sandbox/openai/serviceTime.ts"
import { chance } from "../../../src/sandbox/seed.ts"
import { ask, at, call, chat, eventually, get, open, outline, postJson, stats, withSandbox } from "./caller.ts"

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
const Ms = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

const streamOf = (content: number): ReadonlyArray<AnswerEvent> =>
  (["opening", ...Array.from({ length: content }, () => "content" as const), "finish", "done"] as const).map(
    (part) => ({
      part,
      raw: part
    })
  )

describe("pace", () => {
  it.effect.prop(
    "a stream takes exactly the time of its tokens, whatever its pieces",
    [Ms, Ms, Count],
    ([first, rest, n]) =>
      Effect.sync(() => {
        const events = streamOf(n)
        const pace = asServed({ first, rest }, events)
        assert.strictEqual(Duration.toMillis(lengthOf(pace, events)), first + rest)
        const pauses = events.slice(2, n + 1).map((event) => Duration.toMillis(pace.before(event)))
        // As even as whole milliseconds can be.
        for (const pause of pauses) assert.isAtMost(Math.abs(pause - rest / pauses.length), 1)
      })
  )

  it.effect.prop(
    "jitter lengthens or shortens by no more than its share",
    [Ms, Ms, Share, Share],
    ([prompt, completion, jitter, chance]) =>
      Effect.sync(() => {
        const tokens = { prompt, completion }
        const usual = serviceTime(usualService, tokens)
        const drawn = serviceTimeOf({ ...usualService, jitter }, tokens, chance)
        for (const part of ["first", "rest"] as const) {
          assert.isAtMost(Math.abs(drawn[part] - usual[part]), usual[part] * jitter + 1)
        }
        const steady = serviceTimeOf({ ...usualService, jitter: 0 }, tokens, chance)
        assert.closeTo(steady.first + steady.rest, usual.first + usual.rest, 1)
      })
  )

  it("even pauses come before every event but the first", () => {
    const pace = evenly(Duration.millis(70), Duration.millis(5))
    assert.strictEqual(Duration.toMillis(lengthOf(pace, streamOf(3))), 70 + 5 * 5)
    assert.strictEqual(Duration.toMillis(lengthOf(pace, [])), 70)
  })
})

/** A tenth of a second, one for a thousand tokens of the question, and ten milliseconds a token. */
const service = { firstToken: "100 millis", perThousandPrompt: "1 second", perToken: 10 } as const

/** The time of the question: 400 characters are 100 tokens. */
const question = "count to 10000".padEnd(400, ".")
const first = 200

/** How many questions have arrived. */
const logged = Effect.map(get("/_sandbox/requests"), ({ json }) => {
  const requests = at(json, "requests")
  return Array.isArray(requests) ? requests.length : 0
})

/** The answer comes after so many milliseconds, and not one before. */
const takes = <A, E, R>(ms: number, answer: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* logged
    const asked = yield* Effect.forkChild(answer)
    yield* eventually(logged, (count) => count > before)
    yield* TestClock.adjust(ms - 1)
    yield* stats
    assert.isUndefined(asked.pollUnsafe(), `before ${ms} ms`)
    yield* TestClock.adjust(1)
    return yield* Fiber.join(asked)
  })

describe("service", () => {
  it.effect("a whole answer takes as long as the model does, and tells the tokens it took", () =>
    Effect.gen(function* () {
      const { json } = yield* takes(first + 100 * 10, chat("hunyuan", question, { max_tokens: 101 }))
      assert.deepStrictEqual(at(json, "usage"), { prompt_tokens: 100, completion_tokens: 101, total_tokens: 201 })
      assert.strictEqual(at(json, "choices", 0, "finish_reason"), "length")
    }).pipe(withSandbox({ openai: { hunyuan: { service } } }))
  )

  it.effect("a stream begins with the first token and ends with the last", () =>
    Effect.gen(function* () {
      const response = yield* open("hunyuan", ask("hunyuan", question, { max_tokens: 5, stream: true }))
      let text = ""
      const body = yield* Effect.forkChild(
        Effect.promise(async () => {
          const pieces = response.body?.pipeThrough(new TextDecoderStream()) ?? []
          for await (const piece of pieces) text += piece
        })
      )
      const words = () => outline(text).filter((name) => name === "content").length
      yield* TestClock.adjust(first - 1)
      yield* stats
      assert.strictEqual(text, "")
      yield* TestClock.adjust(1)
      yield* eventually(Effect.sync(words), (count) => count === 1)
      // Nine more words of the five tokens, in the time of four of them.
      for (let ms = 1; ms <= 40; ms++) {
        yield* stats
        assert.isUndefined(body.pollUnsafe())
        yield* TestClock.adjust(1)
        if (ms === 20) yield* eventually(Effect.sync(words), (count) => count === 5)
      }
      yield* Fiber.join(body)
      assert.strictEqual(words(), 10)
    }).pipe(withSandbox({ openai: { hunyuan: { service } } }))
  )

  it.effect("jitter follows from the seed", () =>
    Effect.gen(function* () {
      const jittery = { firstToken: 1_000, perToken: 0, perThousandPrompt: 0, jitter: 0.5 }
      const drawn = (seed: string) =>
        [1, 2, 3].map((ordinal) => 500 + 1_000 * chance(seed, "service", "hunyuan", "chat", ordinal))
      for (const seed of ["one", "two"]) {
        yield* Effect.forEach(drawn(seed), (ms) => takes(Math.round(ms), chat("hunyuan"))).pipe(
          withSandbox({ seed, openai: { hunyuan: { service: jittery } } })
        )
      }
      assert.strictEqual(new Set([...drawn("one"), ...drawn("two")]).size, 6)
    })
  )

  it.effect("takes the place of the pauses, from the usual model on, and gives it back when it is taken away", () =>
    Effect.gen(function* () {
      const shown = Effect.map(get("/_sandbox/limits"), ({ json }) => at(json, "limits", "zhipu", "service"))
      yield* postJson("/_sandbox/limits", {
        provider: "zhipu",
        firstToken: "1 hour",
        service: { perToken: "1 millis" }
      })
      assert.deepStrictEqual(yield* shown, {
        firstToken: "200 millis",
        perThousandPrompt: "100 millis",
        perToken: "1 millis",
        jitter: 0
      })
      yield* postJson("/_sandbox/limits", { provider: "zhipu", service: { firstToken: 0, perThousandPrompt: 0 } })
      assert.deepInclude(yield* shown, { firstToken: "0 millis", perToken: "1 millis" })
      yield* postJson("/_sandbox/limits", { provider: "zhipu", service: { perToken: 0 } })
      assert.strictEqual((yield* chat("zhipu")).status, 200)
      assert.strictEqual((yield* call("zhipu", undefined, { path: "models" })).status, 200)

      yield* postJson("/_sandbox/limits", { provider: "zhipu", service: null })
      assert.isNull(yield* shown)
      assert.strictEqual((yield* takes(3_600_000, chat("zhipu"))).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("an embedding generates nothing", () =>
    Effect.gen(function* () {
      const { status } = yield* takes(
        first,
        call("siliconflow", { model: "bge-m3", input: question }, { path: "embeddings" })
      )
      assert.strictEqual(status, 200)
    }).pipe(withSandbox({ openai: { siliconflow: { service } } }))
  )
})
