import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import * as Flights from "../../src/acquisition/flights.ts"

const background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Work that counts its beginnings, ends when told to, and knows whether it was stopped. */
const scripted = Effect.gen(function* () {
  const gate = yield* Deferred.make<string>()
  const seen = { begun: 0, stopped: 0 }
  const work = Effect.suspend(() => {
    seen.begun += 1
    return Deferred.await(gate)
  }).pipe(
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        seen.stopped += 1
      })
    )
  )
  return { gate, seen, work }
})

describe("flights", () => {
  it.effect("does the work once for all who want it, and says who led", () =>
    Effect.gen(function* () {
      const flights = yield* Flights.make<string, string>()
      const { gate, seen, work } = yield* scripted
      const first = yield* background(flights.join("k", "first", () => work))
      const second = yield* background(flights.join("k", "second", () => work))
      const other = yield* background(flights.join("other", "third", () => work))
      assert.strictEqual(flights.size(), 2)
      assert.strictEqual(flights.current("k"), "first")
      yield* Deferred.succeed(gate, "done")
      assert.deepStrictEqual(yield* Fiber.join(first), { led: true, about: "first", value: "done" })
      assert.deepStrictEqual(yield* Fiber.join(second), { led: false, about: "first", value: "done" })
      yield* Fiber.join(other)
      assert.strictEqual(seen.begun, 2)
      assert.strictEqual(flights.size(), 0)
    })
  )

  it.effect("goes on while one of two waits, stops when both have left, and begins anew after that", () =>
    Effect.gen(function* () {
      const flights = yield* Flights.make<string, string>()
      const { gate, seen, work } = yield* scripted
      const first = yield* background(flights.join("k", "first", () => work))
      const second = yield* background(flights.join("k", "second", () => work))
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(seen, { begun: 1, stopped: 0 })
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(seen, { begun: 1, stopped: 1 })
      assert.strictEqual(flights.size(), 0)
      yield* Deferred.succeed(gate, "done")
      assert.isTrue((yield* flights.join("k", "third", () => work)).led)
    })
  )

  it.effect("goes on with nobody waiting once it is committed, and the next one joins it", () =>
    Effect.gen(function* () {
      const flights = yield* Flights.make<string, string>()
      const { gate, seen, work } = yield* scripted
      const first = yield* background(flights.join("k", "first", (commit) => Effect.andThen(commit, work)))
      yield* Fiber.interrupt(first)
      const next = yield* background(flights.join("k", "next", () => work))
      yield* Deferred.succeed(gate, "done")
      assert.deepStrictEqual(yield* Fiber.join(next), { led: false, about: "first", value: "done" })
      assert.deepStrictEqual(seen, { begun: 1, stopped: 0 })
    })
  )

  it.effect("lets nobody join work that is being stopped", () =>
    Effect.gen(function* () {
      const flights = yield* Flights.make<string, string>()
      const [{ gate, work: last }, { work }] = [yield* scripted, yield* scripted]
      const first = yield* background(flights.join("k", "first", () => Effect.uninterruptible(last)))
      const leaving = yield* background(Fiber.interrupt(first))
      yield* background(flights.join("k", "next", () => work))
      assert.strictEqual(flights.current("k"), "next")
      yield* Deferred.succeed(gate, "done")
      yield* Fiber.join(leaving)
      assert.strictEqual(flights.current("k"), "next")
    })
  )

  it.effect("stops with its scope, but not before what is uninterruptible has ended", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const flights = yield* Scope.provide(Flights.make<string, string>(), scope)
      const [{ seen, work: endless }, { gate, work }] = [yield* scripted, yield* scripted]
      let stored = false
      const last = Effect.uninterruptible(
        Effect.tap(work, () =>
          Effect.sync(() => {
            stored = true
          })
        )
      )
      yield* background(flights.join("stops", "first", () => endless))
      yield* background(flights.join("ends", "second", (commit) => Effect.andThen(commit, last)))
      const closing = yield* background(Scope.close(scope, Exit.void))
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(gate, "done")
      yield* Fiber.join(closing)
      assert.isTrue(stored)
      assert.strictEqual(seen.stopped, 1)
    })
  )

  it.effect("tells all who wait when the work dies, and keeps nothing of it", () =>
    Effect.gen(function* () {
      const flights = yield* Flights.make<string, string>()
      const exit = yield* Effect.exit(flights.join("k", "first", () => Effect.die("synthetic")))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(flights.size(), 0)
    })
  )
})
