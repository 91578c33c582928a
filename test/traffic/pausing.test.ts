import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Metric, Schema } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import type { HeldSlot } from "../../src/traffic/Governor.ts"
import { temporaryFolder } from "../support/running.ts"
import { at, begin, configure, isDone, requestOf, standing, start, startStoppable, take } from "./governors.ts"

const served = { _tag: "Served", tokens: undefined } as const
const failed = { _tag: "Failed", retryAfter: undefined } as const

describe("a paused provider", () => {
  it.effect("starts nothing, lets what is under way go on, and lets its line grow", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {} })
      const before = yield* take(governor)
      yield* governor.pause("a")
      const waiting = yield* Effect.forEach([1, 2, 3], () => begin(governor))
      assert.isUndefined(governor.take(requestOf()))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(waiting.map(isDone), [false, false, false])
      assert.deepInclude(yield* standing(governor, "a"), { inUse: 1, waiting: 3, paused: true, pausedSince: 0 })
      before.sent()
      before.settle(served)
      before.release()
      assert.deepInclude(yield* standing(governor, "a"), { inUse: 0, waiting: 3 })
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("lets its line go on when it is resumed: the urgent first, and within its limits", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: { concurrency: 2, rpm: 3 } })
      yield* governor.pause("a")
      const started: Array<number> = []
      for (const priority of [3, 7, 1, 9, 5]) {
        yield* Effect.forkChild(
          Effect.gen(function* () {
            const slot = yield* take(governor, { priority })
            started.push(priority)
            slot.sent()
            yield* Effect.sleep("1 second")
            slot.settle(served)
            slot.release()
          }),
          { startImmediately: true }
        )
      }
      yield* governor.resume("a")
      assert.deepInclude(yield* standing(governor, "a"), {
        inUse: 2,
        waiting: 3,
        paused: false,
        pausedSince: undefined
      })
      yield* Effect.yieldNow
      assert.deepStrictEqual(started, [9, 7])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(started, [9, 7, 5])
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(started, [9, 7, 5])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(started, [9, 7, 5, 3, 1])
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("has its requests go to another of their targets at once, and says why it was passed over", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {}, b: { concurrency: 1 } })
      yield* governor.pause("a")
      const both = { targets: [at("a"), at("b")] }
      const slot = yield* take(governor, both)
      assert.deepStrictEqual(slot.target, at("b"))
      assert.strictEqual(slot.queuedMs, 0)
      assert.deepStrictEqual(slot.skipped, [{ target: at("a"), why: "paused" }])
      // One who waits for both takes whichever comes first.
      const next = yield* begin(governor, both)
      assert.isFalse(isDone(next))
      yield* governor.resume("a")
      assert.deepStrictEqual((yield* Fiber.join(next)).target, at("a"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("has its requests wait as long as they may, and then told that it is paused", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: { rpm: 1 }, b: {} })
      // Its minute is full, which is not what they wait for.
      const slot = yield* take(governor)
      slot.sent()
      slot.release()
      yield* governor.pause("a")
      yield* governor.pause("b")
      const alone = yield* Effect.forkChild(Effect.flip(take(governor, { until: 7_000 })), { startImmediately: true })
      const targets = [at("a"), at("a", "n"), at("b")]
      const both = yield* Effect.forkChild(Effect.flip(take(governor, { targets, until: 7_000 })), {
        startImmediately: true
      })
      yield* TestClock.adjust(6_999)
      assert.deepStrictEqual([isDone(alone), isDone(both)], [false, false])
      yield* TestClock.adjust(1)
      const refused = yield* Fiber.join(alone)
      assert.strictEqual(refused.reason, "paused")
      assert.strictEqual(refused.message, "no slot: a is paused by whoever runs this server")
      assert.strictEqual(Duration.toMillis(refused.retryAfter), 10_000)
      assert.include((yield* Fiber.join(both)).message, "a and b are paused")
      // Who may not wait is told at once.
      const now = yield* Effect.flip(take(governor, { until: 7_000 }))
      assert.strictEqual(now.reason, "paused")
      assert.strictEqual((yield* governor.statistics).waiting, 0)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("is not counted on while there is another target: its estimate and its state are what is told", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {}, b: { rpm: 1 }, c: {} })
      yield* governor.pause("a")
      const slot = yield* take(governor, { targets: [at("b")] })
      slot.sent()
      slot.settle(served)
      slot.release()
      const late = yield* Effect.flip(take(governor, { targets: [at("a"), at("b")], until: 30_000 }))
      assert.deepStrictEqual([late.reason, Duration.toMillis(late.retryAfter)], ["wait", 60_250])
      for (let i = 0; i < 2; i++) {
        const broken = yield* take(governor, { targets: [at("c")] })
        broken.settle(failed)
        broken.release()
      }
      const down = yield* Effect.flip(take(governor, { targets: [at("a"), at("c")] }))
      assert.deepStrictEqual([down.reason, Duration.toMillis(down.retryAfter)], ["unavailable", 10_000])
      assert.include(down.message, "every target that is not paused is out of order")
      // With nobody else left it is waited for, in order or not.
      yield* governor.pause("c")
      const waiting = yield* begin(governor, { targets: [at("a"), at("c")] })
      assert.isFalse(isDone(waiting))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("leaves those who wait for it and for another to that one, in its estimates too", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: { concurrency: 1 }, b: { rpm: 1 } })
      for (const name of ["a", "b"]) (yield* take(governor, { targets: [at(name)] })).sent()
      const both = { targets: [at("a"), at("b")] }
      const waiting = [yield* begin(governor, both), yield* begin(governor, both)]
      yield* governor.pause("a")
      const third = { targets: [at("b")], until: 150_000 }
      const refused = yield* Effect.flip(take(governor, third))
      assert.deepStrictEqual([refused.reason, Duration.toMillis(refused.retryAfter)], ["wait", 180_750])
      // Where both may serve them, one is reckoned to.
      yield* governor.resume("a")
      const admitted = yield* begin(governor, third)
      assert.isFalse(isDone(admitted))
      yield* governor.pause("a")
      for (const fiber of [...waiting, admitted]) yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("1 second")
      assert.isDefined(governor.take(requestOf({ targets: [at("b")] })))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("keeps nobody out of a full line who waits for a provider that is at work", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {}, b: { concurrency: 1 } }, { queue: { limit: 2 } })
      yield* take(governor, { targets: [at("b")] })
      yield* governor.pause("a")
      const first = yield* begin(governor, { priority: 9 })
      const last = yield* Effect.forkChild(Effect.flip(take(governor, { priority: 9 })), { startImmediately: true })
      const low = yield* begin(governor, { targets: [at("b")], priority: 0 })
      assert.isFalse(isDone(low))
      assert.strictEqual((yield* Fiber.join(last)).reason, "full")
      assert.isFalse(isDone(first))
      // Nor does one who waits for it push out another.
      assert.strictEqual((yield* Effect.flip(take(governor, { priority: 5 }))).reason, "full")
      assert.isFalse(isDone(low))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("can be paused before it is configured, and stays so when it is offered no more for a while", () =>
    Effect.gen(function* () {
      const governor = yield* start({})
      yield* governor.pause("a")
      assert.deepStrictEqual(yield* governor.providers, [])
      yield* configure(governor, { a: {} })
      const waiting = yield* begin(governor)
      yield* configure(governor, { b: {} })
      yield* configure(governor, { a: { concurrency: 3 } })
      assert.isFalse(isDone(waiting))
      yield* governor.resume("a")
      yield* governor.resume("a")
      assert.isTrue(isDone(waiting))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("is told of in a metric at once", () =>
    Effect.gen(function* () {
      const governor = yield* start({ metered: {} })
      const told = Effect.map(
        Metric.snapshot,
        (all) =>
          all.find(({ attributes, id }) => id === "weirgate_provider_paused" && attributes?.["provider"] === "metered")
            ?.state
      )
      yield* governor.pause("metered")
      assert.deepStrictEqual(yield* told, { value: 1 })
      yield* governor.resume("metered")
      assert.deepStrictEqual(yield* told, { value: 0 })
    }).pipe(Effect.provide(Store.layerMemory))
  )
})

describe("a pause", () => {
  it.effect("outlives the process, however it ends", () =>
    Effect.gen(function* () {
      const file = Sqlite.layer(join(yield* temporaryFolder, "test.db"))
      yield* TestClock.adjust("5 seconds")
      yield* Effect.gen(function* () {
        const { governor } = yield* startStoppable({ a: {} })
        yield* governor.pause("a")
        yield* TestClock.adjust("5 seconds")
        yield* governor.pause("a")
        // Not stopped: what its predecessor had yet to store is lost.
        const next = yield* start({ a: {} })
        assert.deepInclude(yield* standing(next, "a"), { paused: true, pausedSince: 5_000 })
        assert.isUndefined(next.take(requestOf()))
      }).pipe(Effect.provide(Layer.fresh(file)), Effect.scoped)
      yield* Effect.gen(function* () {
        const governor = yield* start({ a: {} })
        assert.isUndefined(governor.take(requestOf()))
        yield* governor.resume("a")
        assert.isDefined(governor.take(requestOf()))
      }).pipe(Effect.provide(Layer.fresh(file)), Effect.scoped)
    })
  )

  it.effect("holds for every process on the store within two seconds, and so does its end", () =>
    Effect.gen(function* () {
      const one = yield* start({ a: {} })
      const other = yield* start({ a: {} })
      yield* one.pause("a")
      yield* TestClock.adjust("2 seconds")
      const waiting = yield* begin(other)
      assert.isFalse(isDone(waiting))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* standing(other, "a"), { waiting: 1, paused: true, pausedSince: 0 })
      yield* other.resume("a")
      assert.isTrue(isDone(waiting))
      assert.isUndefined(one.take(requestOf()))
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(one.take(requestOf()))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("changes nothing when the store fails, and what is known goes on to hold", () =>
    Effect.gen(function* () {
      const store = yield* Store
      let fails = false
      const fault = new StoreUnavailable({ operation: "answer", detail: "synthetic" })
      const guarded = <A>(effect: Effect.Effect<A, StoreUnavailable>) =>
        Effect.suspend(() => (fails ? Effect.fail(fault) : effect))
      const faulty = Store.of({
        ...store,
        all: (collection) => guarded(store.all(collection)),
        modify: (collection, key, change) => guarded(store.modify(collection, key, change))
      })
      yield* Effect.gen(function* () {
        const governor = yield* start({ a: {}, b: {} })
        yield* governor.pause("a")
        fails = true
        assert.strictEqual(yield* Effect.flip(governor.resume("a")), fault)
        assert.strictEqual(yield* Effect.flip(governor.pause("b")), fault)
        yield* TestClock.adjust("10 seconds")
        assert.isTrue((yield* standing(governor, "a")).paused)
        assert.isDefined(governor.take(requestOf({ targets: [at("b")] })))
        fails = false
        yield* governor.resume("a")
        assert.isDefined(governor.take(requestOf()))
      }).pipe(Effect.provideService(Store, faulty), Effect.scoped)
    }).pipe(Effect.provide(Store.layerMemory))
  )
})

describe("circuits that are reset by hand", () => {
  it.effect("let those go on who wait, and hold nothing of what was before against the target", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {} })
      const stale = yield* take(governor)
      const stated = yield* take(governor)
      stated.settle({ _tag: "Failed", retryAfter: Duration.hours(1) })
      stated.release()
      const waiting = yield* begin(governor, { until: 2 * 3_600_000 })
      assert.isFalse(isDone(waiting))
      assert.strictEqual((yield* standing(governor, "a")).targets[0]?.circuit, "open")
      yield* governor.resetCircuits("a")
      assert.isTrue(isDone(waiting))
      assert.strictEqual((yield* Fiber.join(waiting)).probe, false)
      // What began before says nothing of it.
      stale.settle(failed)
      stale.release()
      assert.deepStrictEqual((yield* standing(governor, "a")).targets, [
        { model: "m", circuit: "closed", until: undefined, source: undefined }
      ])
      // It opens again as a new one does: at the second failure in a row.
      for (const circuit of ["closed", "open"]) {
        yield* TestClock.adjust("4 seconds")
        const slot = yield* take(governor)
        slot.settle(failed)
        slot.release()
        assert.strictEqual((yield* standing(governor, "a")).targets[0]?.circuit, circuit)
      }
      assert.strictEqual((yield* standing(governor, "a")).targets[0]?.until, 18_000)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("start nothing while the provider is paused", () =>
    Effect.gen(function* () {
      const governor = yield* start({ a: {} })
      yield* governor.pause("a")
      const waiting = yield* begin(governor)
      yield* governor.resetCircuits("a")
      yield* governor.resetCircuits("unknown")
      assert.isFalse(isDone(waiting))
    }).pipe(Effect.provide(Store.layerMemory))
  )
})

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const targetsOf = [[at("a")], [at("a"), at("b")], [at("b"), at("a", "n")], [at("b")]] as const
const Come = Schema.TaggedStruct("Come", {
  targets: below(targetsOf.length),
  priority: below(10),
  patience: Schema.Literals([0, 2_000, 90_000])
})
const End = Schema.TaggedStruct("End", { which: below(8), outcome: Schema.Literals(["served", "failed", "neutral"]) })
const provider = Schema.Literals(["a", "b"])
const Step = Schema.Union([
  Come,
  Come,
  End,
  Schema.TaggedStruct("Leave", { which: below(8) }),
  Schema.TaggedStruct("Pause", { provider, process: below(2) }),
  Schema.TaggedStruct("Resume", { provider, process: below(2) }),
  Schema.TaggedStruct("Reset", { provider }),
  Schema.TaggedStruct("Configure", { concurrency: Schema.Literals([1, 2, "unlimited"]) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 1_000, 2_000, 12_000, 61_000]) })
])
const outcomes = { served, failed, neutral: undefined }

describe("any interleaving of requests with pauses, here and in another process", () => {
  it.effect.prop(
    "starts nothing at a provider that is paused, keeps nobody waiting for ever, and leaves every counter at zero",
    [Schema.Array(Step).check(Schema.isMinLength(5), Schema.isMaxLength(30))],
    ([history]) =>
      Effect.gen(function* () {
        const limits = (concurrency: 1 | 2 | "unlimited") => ({ a: { concurrency, rpm: 5 }, b: { concurrency: 1 } })
        const processes = [yield* start(limits(2)), yield* start(limits(2))] as const
        const [governor] = processes
        const waiting: Array<Fiber.Fiber<HeldSlot, unknown>> = []
        const out: Array<HeldSlot> = []
        // What the store says, and since when: after two seconds it holds here too, whoever has said it.
        const told: Record<string, { readonly paused: boolean; readonly by: number; readonly at: number }> = {}
        const isPaused = (name: string) => {
          const last = told[name]
          return last?.paused === true && (last.by === 0 || now - last.at >= 2_000)
        }
        let now = 0
        const end = (slot: HeldSlot, outcome: (typeof outcomes)[keyof typeof outcomes]) => {
          slot.sent()
          if (outcome !== undefined) slot.settle(outcome)
          slot.release()
        }
        const collect = (wasPaused: (name: string) => boolean) => {
          for (let i = waiting.length - 1; i >= 0; i--) {
            const exit = waiting[i]?.pollUnsafe()
            if (exit === undefined) continue
            waiting.splice(i, 1)
            if (Exit.isFailure(exit)) continue
            const { target } = exit.value
            assert.isFalse(wasPaused(target.provider) && isPaused(target.provider), `${target.provider} is paused`)
            out.push(exit.value)
          }
        }
        for (const step of history) {
          // Of one who comes while it is paused as of one who waits.
          const before = new Set(["a", "b"].filter(isPaused))
          switch (step._tag) {
            case "Come":
              waiting.push(
                yield* begin(governor, {
                  targets: targetsOf[step.targets] ?? [],
                  priority: step.priority,
                  since: now,
                  until: now + step.patience
                })
              )
              break
            case "End": {
              const [slot] = out.splice(step.which % Math.max(1, out.length), 1)
              if (slot !== undefined) end(slot, outcomes[step.outcome])
              break
            }
            case "Leave": {
              const [fiber] = waiting.splice(step.which % Math.max(1, waiting.length), 1)
              if (fiber !== undefined) yield* Fiber.interrupt(fiber)
              break
            }
            case "Pause":
            case "Resume": {
              const paused = step._tag === "Pause"
              const by = processes[step.process === 0 ? 0 : 1]
              yield* paused ? by.pause(step.provider) : by.resume(step.provider)
              // Paused twice is paused since the first time.
              if (!paused || told[step.provider]?.paused !== true || step.process === 0) {
                told[step.provider] = { paused, by: step.process, at: now }
              }
              break
            }
            case "Reset":
              yield* governor.resetCircuits(step.provider)
              break
            case "Configure":
              yield* configure(governor, limits(step.concurrency))
              break
            case "Wait":
              now += step.ms
              yield* TestClock.adjust(step.ms)
              break
          }
          collect((name) => before.has(name))
        }
        for (const name of ["a", "b"]) {
          yield* governor.resume(name)
          yield* governor.resetCircuits(name)
          told[name] = { paused: false, by: 0, at: now }
        }
        // Each that ends makes room for the next; a full minute is over in time.
        for (let round = 0; round < 40 && (waiting.length > 0 || out.length > 0); round++) {
          for (const slot of out.splice(0)) end(slot, served)
          yield* TestClock.adjust("5 seconds")
          collect(() => false)
        }
        assert.deepStrictEqual([waiting.length, out.length], [0, 0])
        assert.deepInclude(yield* governor.statistics, { waiting: 0, inUse: 0 })
        for (const { waiting } of yield* governor.providers) assert.strictEqual(waiting, 0)
      }).pipe(Effect.provide(Store.layerMemory, { local: true }), Effect.scoped),
    { timeout: 60_000, arbitrary: { runs: 1_500, size: 30 } }
  )
})
