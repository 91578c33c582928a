import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { hangUp, pacedBody, send, wait } from "../../src/sandbox/pacedBody.ts"
import type { Step } from "../../src/sandbox/pacedBody.ts"

/** What happens, in order. */
const played = (steps: ReadonlyArray<Step>) =>
  Effect.suspend(() => {
    const happened: Array<string> = []
    const note = (what: string) => Effect.sync(() => void happened.push(what))
    const body = pacedBody(steps, {
      completing: note("completing"),
      hangUp: Effect.andThen(note("hang up"), Effect.interrupt)
    })
    return Effect.as(Effect.exit(Stream.runForEach(body, (bytes) => note(Buffer.from(bytes).toString()))), happened)
  })

describe("pacedBody", () => {
  it.effect("sends each piece by itself, and says that it is complete before the last step's bytes leave", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* played([send("a"), send("b", Buffer.from("c"))]), ["a", "completing", "b", "c"])
    })
  )

  it.effect("is not complete when it ends in a wait or is broken off", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* played([send("a"), hangUp]), ["a", "hang up"])
      const waiting = yield* Effect.forkChild(played([send("a"), ...wait(Duration.seconds(1))]))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["a"])
    })
  )

  it.effect("waits as long as it is told and not a millisecond less, or without end", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(played([...wait(Duration.seconds(1)), send("a")]))
      const endless = yield* Effect.forkChild(played([...wait(Duration.infinity), send("a")]))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["completing", "a"])
      yield* TestClock.adjust("1 day")
      assert.isUndefined(endless.pollUnsafe())
      yield* Fiber.interrupt(endless)
      assert.lengthOf(wait(Duration.zero), 0)
    })
  )
})
