import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Answerer, type Asked } from "../../src/batch/Answerer.ts"
import { Batch } from "../../src/batch/Batch.ts"
import { FileLock } from "../../src/batch/FileLock.ts"
import { parsed } from "../../src/batch/requestLine.ts"
import { idsOf, line, lines, makeFiles, run, start } from "./batches.ts"
import { memoryFiles } from "./memoryFiles.ts"

const names = (count: number) => Array.from({ length: count }, (_, i) => `q${i}`).toSorted()

const answered = (customId: string): Asked => ({
  _tag: "Answered",
  status: 200,
  requestId: "req-test",
  body: JSON.stringify({ said: customId, text: "ä\n".repeat(3) }),
  usage: undefined
})
const refused: Asked = { _tag: "Refused", status: 400, requestId: "req-test", body: "{}", code: "bad" }

/** Answers in a second, and counts how often each was asked; those that end in 7 are refused. */
const scripted = () => {
  const asked = new Map<string, number>()
  const layer = Layer.succeed(Answerer, {
    standings: Effect.succeed([]),
    ask: ({ customId }) => ({
      isAtWork: () => true,
      asked: Effect.suspend(() => {
        asked.set(customId, (asked.get(customId) ?? 0) + 1)
        return Effect.as(Effect.sleep("1 second"), customId.endsWith("7") ? refused : answered(customId))
      })
    })
  })
  return { asked, layer }
}

const batching = (files: Map<string, Uint8Array>, answerer: Layer.Layer<Answerer>) =>
  Batch.layerNoDeps.pipe(Layer.provideMerge([answerer, memoryFiles(files), FileLock.layerMemory]))

/** To its end, in virtual time. */
const whole = Effect.gen(function* () {
  const running = yield* Effect.forkChild(run(), { startImmediately: true })
  yield* TestClock.adjust("1 minute")
  return yield* Fiber.join(running)
})

const Byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

describe("a batch that was interrupted", () => {
  it.effect.prop(
    "comes to the same in the end, wherever its files were cut, and asks again only what was cut off",
    [Byte, Byte, Schema.Boolean],
    ([outputCut, errorsCut, hasMark]) => {
      const { answers, errors, files, output } = makeFiles((hasMark ? "\uFEFF" : "") + lines(20))
      const { asked, layer } = scripted()
      return Effect.gen(function* () {
        yield* whole
        const before = new Map(answers("in.output.jsonl").map((one) => [one.custom_id, one]))
        for (const [name, cut] of [
          ["in.output.jsonl", outputCut],
          ["in.errors.jsonl", errorsCut]
        ] as const) {
          const content = files.get(name) ?? assert.fail(name)
          files.set(name, content.slice(0, cut % (content.length + 1)))
        }
        const isWhole = (text: string) => parsed(text) !== undefined
        const kept = ["in.output.jsonl", "in.errors.jsonl"].flatMap((name) =>
          Buffer.from(files.get(name) ?? [])
            .toString()
            .split("\n")
            .filter((text) => text !== "" && isWhole(text))
        ).length
        asked.clear()
        const summary = yield* whole
        assert.strictEqual(summary.before.answered + summary.before.failed, kept)
        assert.strictEqual(
          [...asked.values()].reduce((sum, times) => sum + times, 0),
          20 - kept
        )
        assert.deepInclude(summary, { isComplete: true, changed: 0 })
        assert.deepStrictEqual([...idsOf(output()), ...idsOf(errors())].toSorted(), names(20))
        assert.deepStrictEqual(idsOf(errors()), ["q17", "q7"])
        for (const one of output()) assert.deepStrictEqual(one, before.get(one.custom_id))
      }).pipe(Effect.provide(batching(files, layer)))
    }
  )

  it.effect.prop(
    "asks nothing twice that has been answered, at whatever moment it is broken off",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_500 }))).check(Schema.isMaxLength(5))],
    (moments) => {
      const { errors, files, output } = makeFiles(lines(30))
      const { layer } = scripted()
      return Effect.gen(function* () {
        for (const moment of moments[0]) {
          const scope = yield* Scope.make()
          yield* Scope.provide(start({ width: 10 }), scope)
          yield* TestClock.adjust(moment)
          yield* Scope.close(scope, Exit.void)
        }
        yield* whole
        assert.deepStrictEqual([...idsOf(output()), ...idsOf(errors())].toSorted(), names(30))
      }).pipe(Effect.provide(batching(files, layer)))
    }
  )

  it.effect("keeps an answer to which only the end of its line is missing", () => {
    const { files, output, text } = makeFiles(lines(3))
    const { asked, layer } = scripted()
    return Effect.gen(function* () {
      yield* whole
      files.set("in.output.jsonl", Buffer.from(text("in.output.jsonl").slice(0, -1)))
      asked.clear()
      assert.deepInclude(yield* whole, { before: { answered: 3, failed: 0 } })
      assert.strictEqual(asked.size, 0)
      files.set("in.jsonl", Buffer.from(lines(4)))
      yield* whole
      assert.deepStrictEqual(idsOf(output()), names(4))
    }).pipe(Effect.provide(batching(files, layer)))
  })

  it.effect("cuts off the zeros that a power cut leaves at the end", () => {
    const { files, output, text } = makeFiles(lines(3))
    const { layer } = scripted()
    return Effect.gen(function* () {
      yield* whole
      const [first = ""] = text("in.output.jsonl").split("\n")
      files.set("in.output.jsonl", Buffer.from(`${first}\n${"\0".repeat(500)}`))
      assert.deepInclude(yield* whole, { answered: 2, before: { answered: 1, failed: 0 } })
      assert.deepStrictEqual(idsOf(output()), names(3))
    }).pipe(Effect.provide(batching(files, layer)))
  })

  it.effect.prop(
    "says which file cannot be written, and goes on where there is room again, whatever was written of the last line",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000 }))],
    ([size]) => {
      const { errors, files, output } = makeFiles(lines(20))
      const { layer } = scripted()
      const disk = { size }
      return Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.result(run()), { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        const full = yield* Fiber.join(running)
        assert.strictEqual(full._tag, "Failure")
        if (full._tag === "Failure") assert.match(full.failure.message, /^in\.output\.jsonl: .*no space left/)
        disk.size = Number.POSITIVE_INFINITY
        yield* whole
        assert.deepStrictEqual([...idsOf(output()), ...idsOf(errors())].toSorted(), names(20))
      }).pipe(
        Effect.provide(
          Batch.layerNoDeps.pipe(Layer.provideMerge([layer, memoryFiles(files, disk), FileLock.layerMemory]))
        )
      )
    }
  )

  it.effect("leaves a file alone that is no output of a batch, and says which line is none", () => {
    const diary = `${line("q1")}\nDear diary`
    const { files, text } = makeFiles(lines(3))
    const { layer } = scripted()
    return Effect.gen(function* () {
      for (const [content, at] of [
        ["Dear diary", "line 1"],
        [diary, "line 1"],
        ['{"custom_id":"q0","response":{}}\nDear diary', "line 2"]
      ] as const) {
        files.set("in.output.jsonl", Buffer.from(content))
        const { message } = yield* Effect.flip(run())
        assert.include(message, "in.output.jsonl")
        assert.include(message, at)
        assert.strictEqual(text("in.output.jsonl"), content)
      }
      files.delete("in.output.jsonl")
      files.set("in.rejected.jsonl", Buffer.from("Dear diary"))
      assert.include((yield* Effect.flip(run())).message, "in.rejected.jsonl")
      assert.strictEqual(text("in.rejected.jsonl"), "Dear diary")
    }).pipe(Effect.provide(batching(files, layer)))
  })

  it.effect("says how many have another body than when they were answered, and keeps what they were answered", () => {
    const { files, output } = makeFiles(lines(3))
    const { layer } = scripted()
    return Effect.gen(function* () {
      yield* whole
      const before = output()
      const spaced = JSON.stringify(JSON.parse(line("q0")), undefined, 1).replaceAll("\n", " ")
      const changed = [spaced, line("q1", {}, { temperature: 0 }), line("q2"), line("q3")]
      files.set("in.jsonl", Buffer.from(changed.join("\n")))
      assert.deepInclude(yield* whole, { answered: 1, before: { answered: 3, failed: 0 }, changed: 1 })
      assert.deepStrictEqual(output().slice(0, 3), before)
      assert.strictEqual(output().length, 4)
    }).pipe(Effect.provide(batching(files, layer)))
  })

  it.effect("asks those again that failed when their errors are taken away", () => {
    const { errors, files } = makeFiles(lines(20))
    const { asked, layer } = scripted()
    return Effect.gen(function* () {
      yield* whole
      asked.clear()
      files.delete("in.errors.jsonl")
      assert.deepInclude(yield* whole, { answered: 0, failed: { "400 bad": 2 } })
      assert.deepStrictEqual([...asked.keys()].toSorted(), ["q17", "q7"])
      assert.deepStrictEqual(idsOf(errors()), ["q17", "q7"])
    }).pipe(Effect.provide(batching(files, layer)))
  })
})
