import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Answerer } from "../../src/batch/Answerer.ts"
import { Batch } from "../../src/batch/Batch.ts"
import { FileLock } from "../../src/batch/FileLock.ts"
import { Throttled, UpstreamUnavailable, RequestRejected } from "../../src/domain/Failure.ts"
import { ScriptedOpenAi } from "../../src/testing/ScriptedOpenAi.ts"
import { Governor } from "../../src/traffic/Governor.ts"
import { offering } from "../../src/traffic/offering.ts"
import { at, batching, idsOf, line, lines, makeFiles, provider, run, start, type Written } from "./batches.ts"
import { memoryFiles } from "./memoryFiles.ts"

const down = new UpstreamUnavailable({ provider: "a", reason: "status", status: 503, detail: "synthetic" })
const rejected = new RequestRejected({
  provider: "a",
  status: 400,
  code: "context_length_exceeded",
  reason: "synthetic"
})

const slow = (...args: Parameters<(typeof ScriptedOpenAi)["Service"]["slow"]>) =>
  ScriptedOpenAi.use((scripted) => scripted.slow(...args))
const fail = (...args: Parameters<(typeof ScriptedOpenAi)["Service"]["fail"]>) =>
  ScriptedOpenAi.use((scripted) => scripted.fail(...args))
const outage = (...args: Parameters<(typeof ScriptedOpenAi)["Service"]["outage"]>) =>
  ScriptedOpenAi.use((scripted) => scripted.outage(...args))
const calls = ScriptedOpenAi.use(({ calls }) => calls)
const names = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `q${from + i}`).toSorted()
const inUse = Effect.map(
  Governor.use(({ statistics }) => statistics),
  (statistics) => statistics.inUse
)

/** Nothing is held any more. */
const allBack = Effect.gen(function* () {
  const { inUse, waiting } = yield* Governor.use(({ statistics }) => statistics)
  const open = yield* ScriptedOpenAi.use(({ open }) => open)
  assert.deepStrictEqual({ inUse, waiting, open }, { inUse: 0, waiting: 0, open: 0 })
})

describe("Batch", () => {
  it.effect("answers every line once, in OpenAI's output format", () => {
    const { errors, files, output, text } = makeFiles(lines(50))
    return Effect.gen(function* () {
      const summary = yield* run()
      assert.deepInclude(summary, { answered: 50, isComplete: true, failed: {}, rejected: 0, retries: 0 })
      assert.deepStrictEqual(summary.tokens, { prompt: 50, completion: 50 })
      assert.deepStrictEqual(idsOf(output()), names(50))
      assert.deepStrictEqual(errors(), [])
      assert.strictEqual(text("in.rejected.jsonl"), "")
      for (const { error, id, response } of output()) {
        assert.match(id, /^batch_req_[0-9a-f]{24}$/)
        assert.isNull(error)
        assert.strictEqual(response?.status_code, 200)
        assert.match(response?.request_id ?? "", /^req-/)
        assert.strictEqual(response?.body.choices[0].message.content, "ok")
      }
      assert.strictEqual(new Set(output().map(({ id }) => id)).size, 50)
      yield* allBack
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect(
    "reads a file from Windows, with a byte order mark, blank lines, no end of line and a line of megabytes",
    () => {
      const long = line("long", {}, { messages: [{ role: "user", content: "x".repeat(3_000_000) }] })
      const { files, output } = makeFiles(`\uFEFF${line("q0")}\r\n\r\n  \r\n${long}\r\n${line("q1")}`)
      return Effect.gen(function* () {
        const { ended, progress } = yield* start()
        const summary = yield* ended
        assert.deepInclude(summary, { answered: 3, rejected: 0 })
        assert.deepStrictEqual(idsOf(output()), ["long", "q0", "q1"])
        assert.deepInclude(yield* progress, { total: 3, done: 3 })
      }).pipe(Effect.provide(batching(files, [provider("a")])))
    }
  )

  it.effect("sets bad lines aside, with their number, what is wrong and what they say, and answers the others", () => {
    const bad = ["nonsense", line("", {}), line("q1", { method: "GET" }), line("q2"), line("q3", {}, { stream: true })]
    const { files, output, rejected } = makeFiles([line("q1"), line("q2"), ...bad, line("q3")].join("\n"))
    return Effect.gen(function* () {
      const summary = yield* run()
      assert.deepInclude(summary, { answered: 3, rejected: 5, isComplete: true })
      assert.deepStrictEqual(idsOf(output()), ["q1", "q2", "q3"])
      assert.deepStrictEqual(
        rejected().map(({ field, input, line }) => [line, field, input]),
        [
          [3, "(line)", bad[0]],
          [4, "custom_id", bad[1]],
          [5, "method", bad[2]],
          [6, "custom_id", bad[3]],
          [7, "body.stream", bad[4]]
        ]
      )
      assert.include(rejected()[3]?.reason, "a line before it has the same")
      // They are as bad in the next run, and set aside once.
      assert.deepInclude(yield* run(), { answered: 0, rejected: 5, before: { answered: 3, failed: 0 } })
      assert.strictEqual(rejected().length, 5)
      files.set("in.jsonl", Buffer.from(line("q1")))
      assert.deepInclude(yield* run(), { rejected: 0 })
      assert.isFalse(files.has("in.rejected.jsonl"))
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("writes what the caller must mend into the errors, at once and with OpenAI's error", () => {
    const { errors, files, output } = makeFiles(
      `${line("q0")}\n${line("q1", {}, { model: "nobody's" })}\n${line("q2")}`
    )
    return Effect.gen(function* () {
      yield* fail(at("a"), rejected)
      const summary = yield* run()
      assert.deepInclude(summary, {
        answered: 1,
        failed: { "400 context_length_exceeded": 1, "404 model_not_found": 1 },
        retries: 0,
        isComplete: true
      })
      assert.deepStrictEqual(idsOf(output()), ["q2"])
      const of = (id: string): Written => errors().find(({ custom_id }) => custom_id === id) ?? assert.fail(id)
      assert.deepInclude(of("q0").response, { status_code: 400 })
      assert.deepInclude(of("q0").response?.body.error, {
        type: "invalid_request_error",
        code: "context_length_exceeded"
      })
      assert.isNull(of("q0").error)
      assert.strictEqual(of("q1").response?.status_code, 404)
      assert.deepInclude(of("q1").response?.body.error, { code: "model_not_found", param: "model" })
      // It would be told the same again.
      assert.deepInclude(yield* run(), { answered: 0, failed: {}, before: { answered: 1, failed: 2 } })
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("is as wide as the limits, up and down, and holds only a few more than are at work", () => {
    const { files } = makeFiles(lines(2_000))
    const of = (concurrency: number) => provider("a", { concurrency })
    return Effect.gen(function* () {
      yield* slow(at("a"), "1 second")
      const { progress } = yield* start()
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* progress, { atWork: 5, inLine: 5, done: 25 })
      yield* offering([of(20)], [])
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* progress, { atWork: 20, inLine: 20 })
      yield* offering([of(2)], [])
      yield* TestClock.adjust("30 seconds")
      const { atWork, done, inLine } = yield* progress
      assert.strictEqual(atWork, 2)
      // Those that were in line before are served one after the other.
      assert.isAtMost(inLine, 20)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* progress).done - done, 20)
      assert.deepInclude(yield* progress, { atWork: 2, inLine: 4 })
    }).pipe(Effect.provide(batching(files, [of(5)])))
  })

  it.effect("never has more at work than its own width", () => {
    const { files } = makeFiles(lines(30))
    return Effect.gen(function* () {
      yield* slow(at("a"), "1 second")
      const { progress } = yield* start({ width: 3 })
      yield* TestClock.adjust("1 millis")
      for (let i = 0; i < 10; i++) {
        const { atWork, inLine } = yield* progress
        assert.deepStrictEqual([atWork, inLine], [3, 0])
        yield* TestClock.adjust("1 second")
      }
      assert.deepInclude(yield* progress, { done: 30 })
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("takes what a minute sets free at the millisecond at which it does", () => {
    const { files } = makeFiles(lines(30))
    return Effect.gen(function* () {
      const { progress } = yield* start()
      yield* TestClock.adjust("60249 millis")
      assert.deepInclude(yield* progress, { done: 10, waitsFor: ["a: its minute is full (10 of 10)"] })
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* progress, { done: 20 })
      yield* TestClock.adjust("60250 millis")
      assert.deepInclude(yield* progress, { done: 30, waitsFor: [] })
    }).pipe(Effect.provide(batching(files, [provider("a", { rpm: 10 })])))
  })

  it.effect("lets those who are more urgent go first", () => {
    const { files } = makeFiles(lines(10))
    return Effect.gen(function* () {
      yield* slow(at("a"), "1 second")
      yield* start()
      const { slot } = yield* Governor
      const person = { targets: [at("a")], client: "person", priority: 5, since: 0, until: 60_000, tokens: 1 }
      const waiting = yield* Effect.forkChild(Effect.scoped(slot(person)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isDefined(waiting.pollUnsafe())
    }).pipe(Effect.scoped, Effect.provide(batching(files, [provider("a", { concurrency: 1 })])))
  })

  it.effect("gives nothing up for want of slots, tokens or upstreams", () => {
    const { errors, files, output } = makeFiles(lines(20))
    return Effect.gen(function* () {
      yield* fail(at("a"), new Throttled({ provider: "a", signature: "s", retryAfter: Duration.minutes(20) }))
      yield* fail(at("a"), down, 3)
      const running = yield* Effect.forkChild(run(), { startImmediately: true })
      yield* TestClock.adjust("2 hours")
      const summary = yield* Fiber.join(running)
      assert.deepInclude(summary, { answered: 20, failed: {} })
      assert.isAbove(summary.retries, 0)
      assert.deepStrictEqual(idsOf(output()), names(20))
      assert.deepStrictEqual(errors(), [])
      yield* allBack
    }).pipe(Effect.provide(batching(files, [provider("a", { concurrency: 2 })])))
  })

  it.effect(
    "says that every provider is out of order, holds a few requests till one returns, and goes on by itself",
    () => {
      const { files, output } = makeFiles(lines(500))
      return Effect.gen(function* () {
        yield* slow(at("a"), "1 second")
        const { ended, progress } = yield* start()
        yield* TestClock.adjust("10 seconds")
        yield* outage(at("a"), down)
        yield* TestClock.adjust("1 hour")
        const during = yield* progress
        assert.include(during.waitsFor, "every provider is out of order, and asked again as soon as one returns")
        assert.isDefined(during.trouble)
        assert.isAtMost(during.inLine + during.pausing + during.atWork, 20)
        // Between its probes, nobody asks it.
        assert.isAtMost((yield* calls)["a/small"] ?? 0, during.done + 300)
        yield* outage(at("a"), undefined)
        yield* TestClock.adjust("10 minutes")
        assert.deepInclude(yield* ended, { answered: 500, failed: {} })
        assert.deepStrictEqual(idsOf(output()), names(500))
      }).pipe(Effect.provide(batching(files, [provider("a", { concurrency: 4 })])))
    }
  )

  it.effect("does not keep one model's requests waiting for another model that is out of order", () => {
    const mixed = Array.from({ length: 200 }, (_, i) => line(`q${i}`, {}, { model: i % 2 === 0 ? "small" : "large" }))
    const { files, output } = makeFiles(mixed.join("\n"))
    return Effect.gen(function* () {
      yield* outage(at("a"), down)
      const { progress } = yield* start()
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* progress, { done: 100, atWork: 0 })
      assert.deepStrictEqual([...new Set(output().map(({ response }) => response?.body.model))], ["large"])
    }).pipe(Effect.provide(batching(files, [provider("a", { concurrency: 4 })])))
  })

  it.effect("gives a request up that got no answer in all the time it had", () => {
    const { errors, files } = makeFiles(lines(3))
    return Effect.gen(function* () {
      yield* outage(at("a"), down)
      const running = yield* Effect.forkChild(run({ giveUpAfter: "1 hour" }), { startImmediately: true })
      yield* TestClock.adjust("59 minutes")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* Fiber.join(running), { answered: 0, failed: { batch_expired: 3 }, isComplete: true })
      for (const { error, response } of errors()) {
        assert.isNull(response)
        assert.strictEqual(error?.code, "batch_expired")
        assert.include(error?.message, "1h")
      }
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("gives a request up that fails again and again while others for its model are answered", () => {
    const { errors, files, output } = makeFiles(`${line("poison")}\n${lines(2_000)}`)
    const answerer = Layer.succeed(Answerer, {
      standings: Effect.succeed([]),
      ask: ({ customId }) => ({
        isAtWork: () => true,
        asked: Effect.as(
          Effect.sleep("1 second"),
          customId === "poison"
            ? { _tag: "Unanswered", reason: "it breaks", retryAfter: undefined, wasCalled: true }
            : { _tag: "Answered", status: 200, requestId: "req", body: "{}", usage: undefined }
        )
      })
    })
    return Effect.gen(function* () {
      const running = yield* Effect.forkChild(run(), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* Fiber.join(running), { answered: 2_000, failed: { upstream_failed: 1 } })
      assert.deepStrictEqual(idsOf(errors()), ["poison"])
      assert.include(errors()[0]?.error?.message, "it breaks")
      assert.strictEqual(output().length, 2_000)
    }).pipe(Effect.provide(Batch.layerNoDeps.pipe(Layer.provide([answerer, memoryFiles(files), FileLock.layerMemory]))))
  })

  it.effect("refuses a second run on the same files while the first is at work, and lets it in afterwards", () => {
    const { files } = makeFiles(lines(3))
    return Effect.gen(function* () {
      yield* slow(at("a"), "1 second")
      const first = yield* Effect.forkChild(run(), { startImmediately: true })
      const refused = yield* Effect.flip(run())
      assert.strictEqual(refused._tag, "FileLocked")
      assert.include(refused.message, "another batch is at work on it")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(first)
      assert.deepInclude(yield* run(), { before: { answered: 3, failed: 0 } })
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("takes each file for one thing only, and none that is not there", () => {
    const { files } = makeFiles(lines(3))
    return Effect.gen(function* () {
      const messageOf = (job: Parameters<typeof run>[0]) => Effect.map(Effect.flip(run(job)), ({ message }) => message)
      assert.include(yield* messageOf({ output: "in.jsonl" }), "it is the input and the output at once")
      assert.include(yield* messageOf({ output: "x", errors: "./x" }), "it is the output and the errors at once")
      assert.include(yield* messageOf({ input: "none.jsonl" }), "none.jsonl")
      const { files: named } = yield* run({ output: "other.jsonl" })
      assert.deepStrictEqual(named, {
        input: "in.jsonl",
        output: "other.jsonl",
        errors: "other.errors.jsonl",
        rejected: "other.rejected.jsonl"
      })
    }).pipe(Effect.provide(batching(files, [provider("a")])))
  })

  it.effect("told to stop, takes no more, leaves the line at once, and gives those at work a moment", () => {
    const { files, output } = makeFiles(lines(100))
    return Effect.gen(function* () {
      yield* slow(at("a"), "2 seconds")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { ended, progress, stop } = yield* start()
          yield* TestClock.adjust("1 second")
          assert.deepInclude(yield* progress, { atWork: 5, inLine: 5 })
          const stopping = yield* Effect.forkChild(stop("3 seconds"), { startImmediately: true })
          yield* TestClock.adjust("500 millis")
          assert.deepInclude(yield* progress, { atWork: 5, inLine: 0 })
          yield* TestClock.adjust("500 millis")
          yield* Fiber.join(stopping)
          assert.deepInclude(yield* ended, { answered: 5, isComplete: false })
          assert.strictEqual(output().length, 5)
        })
      )
      yield* allBack
      const rest = yield* Effect.forkChild(run(), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* Fiber.join(rest), {
        answered: 95,
        before: { answered: 5, failed: 0 },
        isComplete: true
      })
      assert.deepStrictEqual(idsOf(output()), names(100))
    }).pipe(Effect.provide(batching(files, [provider("a", { concurrency: 5 })])))
  })

  it.effect("breaks off what does not end in that moment, and leaves nothing behind when it is interrupted", () => {
    const { files, output } = makeFiles(lines(100))
    return Effect.gen(function* () {
      yield* slow(at("a"), "1 minute")
      const stopping = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const { ended, stop } = yield* start()
            yield* TestClock.adjust("1 second")
            yield* stop("3 seconds")
            return yield* ended
          })
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("3 seconds")
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(stopping), { answered: 0, isComplete: false })
      yield* TestClock.adjust("1 second")
      yield* allBack

      const running = yield* Effect.forkChild(run(), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* inUse, 5)
      yield* Fiber.interrupt(running)
      yield* TestClock.adjust("1 second")
      yield* allBack
      assert.deepStrictEqual(output(), [])
    }).pipe(Effect.provide(batching(files, [provider("a", { concurrency: 5 })])))
  })
})
