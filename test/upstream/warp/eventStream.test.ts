import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Queue, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ChatEvent } from "../../../src/domain/Chat.ts"
import { UpstreamUnavailable } from "../../../src/domain/Failure.ts"
import { TokenId } from "../../../src/domain/Token.ts"
import { chatEvents } from "../../../src/upstream/warp/eventStream.ts"

const options = { provider: "warp", token: TokenId.make("token-1"), idle: Duration.seconds(60) }

const init = "CggKAmMxEgJyMQ=="
const addHel = "EhkKFxoVCgJ0MRIPCgJtMRoFCgNIZWxaAnQx"
const appendLo = "EikKJyolCgoKAm0xGgQKAmxvEhMKEWFnZW50X291dHB1dC50ZXh0GgJ0MQ=="
const toolCall = "EioKKBomCgJ0MRIgCgJtMiIWCgN0YzFiDwoBZhIKCggKAXgSAxoBeVoCdDE="
const done = "GgISAA=="

const answer = [
  ChatEvent.Text({ text: "Hel" }),
  ChatEvent.Text({ text: "lo" }),
  ChatEvent.ToolCalled({ id: "tc1", name: "f", arguments: `{"x":"y"}` }),
  ChatEvent.Finished({ reason: "tool_calls", usage: undefined })
]

const bytesOf = (text: string) => new TextEncoder().encode(text)
const plain = [init, addHel, appendLo, toolCall, done].map((data) => `data: ${data}\n\n`).join("")
/** The same events in all that the format allows. */
const baroque = [
  `\uFEFFdata:${addHel.slice(0, 10)}\r\ndata: ${addHel.slice(10)}\r\n\r\n`,
  ": grüße, 世界 🌍\r\n\r\n",
  `event: message\r\nid: ünï\r\ndata: "${init}"\r\n\r\n`,
  `retry: 3000\n\n`,
  `data: ${appendLo.replace(/=+$/, "")}\r: later\r\r`,
  `data\n\n`,
  `id: 7\ndata: ${toolCall}\nunknown: field\n\n`,
  `data: ${done}\n\n`
].join("")

const collect = <E>(bytes: Stream.Stream<Uint8Array, E>) => {
  const told: Array<ChatEvent> = []
  return chatEvents(bytes, options).pipe(
    Stream.runForEach((event) => Effect.sync(() => told.push(event))),
    Effect.exit,
    Effect.map((exit) => ({ told, exit }))
  )
}

const cutAt = (bytes: Uint8Array, cuts: ReadonlyArray<number>): Array<Uint8Array> => {
  const points = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [...points, bytes.length].map((end, index) => bytes.subarray(points[index - 1] ?? 0, end))
}

describe("chatEvents", () => {
  for (const [name, text] of Object.entries({ plain, baroque })) {
    it.effect(`reads the ${name} stream byte by byte as it does whole`, () =>
      Effect.gen(function* () {
        const bytes = bytesOf(text)
        const expected = { told: answer, exit: Exit.void }
        assert.deepStrictEqual(yield* collect(Stream.make(bytes)), expected)
        assert.deepStrictEqual(yield* collect(Stream.fromIterable(cutAt(bytes, [...bytes.keys()]))), expected)
      })
    )

    it.effect.prop(
      `any chunking of the ${name} stream gives the same events`,
      [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))],
      ([cuts]) =>
        Effect.map(collect(Stream.fromIterable(cutAt(bytesOf(text), cuts))), (collected) =>
          assert.deepStrictEqual(collected, { told: answer, exit: Exit.void })
        ),
      { arbitrary: { runs: 500 } }
    )
  }

  it.effect("tells what came before a malformed event, then fails", () =>
    Effect.gen(function* () {
      const bytes = bytesOf(`data: ${addHel}\n\ndata: %%%\n\ndata: ${done}\n\n`)
      for (const chunks of [[bytes], cutAt(bytes, [...bytes.keys()])]) {
        const { exit, told } = yield* collect(Stream.fromIterable(chunks))
        assert.deepStrictEqual(told, answer.slice(0, 1))
        assert.deepStrictEqual(
          exit,
          Exit.fail(
            new UpstreamUnavailable({
              provider: "warp",
              reason: "malformed",
              detail: "an event of the stream is not base64"
            })
          )
        )
      }
    })
  )

  const cut = (detail: string) => Exit.fail(new UpstreamUnavailable({ provider: "warp", reason: "cut", detail }))

  it.effect("an end before Finished is a cut, wherever it falls", () =>
    Effect.gen(function* () {
      const bytes = bytesOf(plain)
      for (let length = 0; length < bytes.length; length += 7) {
        const { exit } = yield* collect(Stream.make(bytes.subarray(0, length)))
        assert.deepStrictEqual(exit, cut("the stream ended before its end was told"))
      }
      assert.deepStrictEqual((yield* collect(Stream.empty)).exit, cut("the stream ended before its end was told"))
    })
  )

  it.effect("a connection that drops is a cut, after what had come", () =>
    Effect.gen(function* () {
      const bytes = Stream.concat(Stream.make(bytesOf(`data: ${addHel}\n\n`)), Stream.fail("socket hang up"))
      assert.deepStrictEqual(yield* collect(bytes), {
        told: answer.slice(0, 1),
        exit: cut("the connection broke off")
      })
    })
  )

  it.effect("an event without end is refused before it fills the memory", () =>
    Effect.gen(function* () {
      const chunk = bytesOf("A".repeat(1024 * 1024))
      let read = 0
      const endless = Stream.forever(Stream.make(chunk)).pipe(Stream.tap(() => Effect.sync(() => (read += 1))))
      const { exit } = yield* collect(Stream.concat(Stream.make(bytesOf("data: ")), endless))
      assert.include(JSON.stringify(exit), "exceeded the maximum size")
      assert.strictEqual(read, 4)
    })
  )

  it.effect("silence of exactly the allowed time fails, and any byte begins it anew", () =>
    Effect.gen(function* () {
      const queue = yield* Queue.unbounded<Uint8Array>()
      const fiber = yield* Effect.forkChild(collect(Stream.fromQueue(queue)), { startImmediately: true })
      yield* Queue.offer(queue, bytesOf(`data: ${addHel}\n\n`))
      yield* TestClock.adjust("59999 millis")
      yield* Queue.offer(queue, bytesOf(": still here\n\n"))
      yield* TestClock.adjust("59999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        told: answer.slice(0, 1),
        exit: Exit.fail(
          new UpstreamUnavailable({ provider: "warp", reason: "timeout", detail: "the stream was silent for 1m" })
        )
      })
    })
  )

  it.effect("after Finished the connection is read to its end, whatever comes, so that it can be used again", () =>
    Effect.gen(function* () {
      let read = 0
      const rest = Stream.fromIterable([`data: ${addHel}\n\n`, "data: %%%\n\n", "tail"]).pipe(
        Stream.rechunk(1),
        Stream.map(bytesOf),
        Stream.tap(() => Effect.sync(() => (read += 1)))
      )
      const bytes = Stream.concat(Stream.make(bytesOf(plain)), rest)
      assert.deepStrictEqual(yield* collect(bytes), { told: answer, exit: Exit.void })
      assert.strictEqual(read, 3)
      const broken = Stream.concat(Stream.make(bytesOf(plain)), Stream.fail("reset"))
      assert.deepStrictEqual(yield* collect(broken), { told: answer, exit: Exit.void })
    })
  )

  it.effect("the end is told with the last event: the connection is read to its end in the scope's own time", () =>
    Effect.gen(function* () {
      const drained: Array<string> = []
      const rest = Stream.make("tail").pipe(
        Stream.map(bytesOf),
        Stream.tap(() =>
          Effect.andThen(
            Effect.sleep("100 millis"),
            Effect.sync(() => drained.push("tail"))
          )
        )
      )
      const bytes = Stream.concat(Stream.concat(Stream.make(bytesOf(plain)), rest), Stream.never)
      const scope = yield* Scope.make()
      const pull = yield* Scope.provide(Stream.toPull(chatEvents(bytes, options)), scope)
      const told: Array<ChatEvent> = []
      yield* pull.pipe(
        Effect.tap((events) => Effect.sync(() => told.push(...events))),
        Effect.forever,
        Effect.catchIf(Cause.isDone, () => Effect.void)
      )
      assert.deepStrictEqual([told, drained], [answer, []])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("249 millis")
      assert.deepStrictEqual([closing.pollUnsafe(), drained], [undefined, ["tail"]])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
    })
  )

  it.effect("a connection that stays open after Finished is given up soon, without harm", () =>
    Effect.gen(function* () {
      const bytes = Stream.concat(Stream.make(bytesOf(plain)), Stream.never)
      const fiber = yield* Effect.forkChild(collect(bytes), { startImmediately: true })
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { told: answer, exit: Exit.void })
    })
  )

  it.effect("interruption closes the connection", () =>
    Effect.gen(function* () {
      let closed = false
      const bytes = Stream.concat(Stream.make(bytesOf(`data: ${addHel}\n\n`)), Stream.never).pipe(
        Stream.ensuring(Effect.sync(() => (closed = true)))
      )
      const fiber = yield* Effect.forkChild(collect(bytes), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isFalse(closed)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(closed)
    })
  )
})
