import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { createConnection } from "node:net"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { ask, at, chat, eventually, open, read, setFault, stats, withSandbox } from "./caller.ts"

const counted = Effect.map(stats, (all) => at(all, "openai", "zhipu", "chat"))
const atWork = eventually(counted, (calls) => at(calls, "open") === 1)

/** Has the headers, and leaves when it is interrupted. */
const unread = (response: Response) =>
  Effect.onInterrupt(Effect.never, () => Effect.promise(async () => response.body?.cancel()))

/** Only the leaving can end these calls: the test's clock stands still. Zhipu takes one at once, so its place tells too. */
const phases: ReadonlyArray<readonly [string, object | undefined, boolean]> = [
  ["before a call that is never answered", { kind: "silence" }, false],
  ["before late headers", { kind: "slow", delay: "1 hour" }, true],
  ["before a whole answer that takes its time", undefined, false],
  ["before the first token", undefined, true],
  ["before late content, with the headers read", { kind: "slow_first", delay: "1 hour" }, true],
  ["before a refusal that is late", { kind: "rate_limit", delay: "1 hour" }, false],
  ["in the middle of a stream that stalls", { kind: "stall" }, true],
  ["in the middle of a whole answer that stalls", { kind: "stall" }, false],
  ["in the middle of an answer that is never read", { kind: "huge_event", bytes: 8_000_000 }, true]
]

describe("a client that leaves", () => {
  for (const [phase, fault, stream] of phases) {
    const paced = fault === undefined ? ({ openai: { zhipu: { firstToken: "1 hour" } } } as const) : {}
    it.effect(`${phase} is noticed at once: its call is over and its place free`, () =>
      Effect.gen(function* () {
        if (fault !== undefined) yield* setFault({ provider: "zhipu", ...fault })
        const client = yield* Effect.forkChild(
          Effect.flatMap(open("zhipu", ask("zhipu", "hi", { stream })), (response) =>
            fault !== undefined && "bytes" in fault ? unread(response) : read(response)
          )
        )
        yield* atWork
        assert.strictEqual((yield* chat("zhipu")).status, 429)
        yield* Fiber.interrupt(client)
        const after = yield* eventually(counted, (calls) => at(calls, "open") === 0)
        assert.strictEqual(at(after, "aborted"), 1)
        const { status } = yield* chat("zhipu", "hi", fault === undefined ? { model: "gpt-99" } : {})
        assert.strictEqual(status, fault === undefined ? 404 : 200)
      }).pipe(withSandbox(paced))
    )
  }

  it.effect("between two events of a stream is noticed without waiting for the next", () =>
    Effect.gen(function* () {
      const response = yield* open("zhipu", ask("zhipu", "count to 50", { stream: true }))
      const reader = response.body?.getReader()
      yield* Effect.promise(async () => reader?.read())
      yield* atWork
      yield* Effect.promise(async () => reader?.cancel())
      const after = yield* eventually(counted, (calls) => at(calls, "open") === 0)
      assert.strictEqual(at(after, "aborted"), 1)
    }).pipe(withSandbox({ openai: { zhipu: { firstToken: 0, latency: "1 hour" } } }))
  )

  it.effect("in the middle of its own question is noticed too", () =>
    Effect.gen(function* () {
      const { url } = yield* Sandbox
      const socket = yield* Effect.sync(() => createConnection(Number(new URL(url).port), "127.0.0.1"))
      yield* Effect.sync(() =>
        socket.write(
          [
            "POST /zhipu/v1/chat/completions HTTP/1.1",
            "Host: 127.0.0.1",
            "Authorization: Bearer sandbox-zhipu-a",
            "Content-Type: application/json",
            "Content-Length: 1000",
            "",
            `{"model":`
          ].join("\r\n")
        )
      )
      yield* atWork
      assert.strictEqual((yield* chat("zhipu")).status, 429)
      yield* Effect.sync(() => socket.resetAndDestroy())
      yield* eventually(counted, (calls) => at(calls, "open") === 0)
      assert.strictEqual((yield* chat("zhipu")).status, 200)
    }).pipe(withSandbox())
  )
})
