import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { writeStream } from "../../src/http/streamedBody.ts"

describe("a streamed answer", () => {
  it.effect("is given up when its client has taken nothing for a minute, and not before", () =>
    Effect.gen(function* () {
      // Without a socket nothing of it is ever taken.
      const response = new ServerResponse(new IncomingMessage(new Socket()))
      const writing = yield* Effect.forkChild(
        writeStream(
          response,
          {
            _tag: "Streamed",
            first: new Uint8Array(1024 * 1024),
            next: Cause.done(),
            cut: () => undefined,
            usage: () => undefined
          },
          () => false
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(response.destroyed)
      assert.isUndefined(writing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(response.destroyed)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(writing)))
    })
  )
})
