import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Limits, Target } from "../../src/domain/Provider.ts"
import { Store } from "../../src/store/Store.ts"
import {
  Governor,
  type GovernorOptions,
  type Slot,
  type SlotOutcome,
  type SlotRequest
} from "../../src/traffic/Governor.ts"

const free: Limits = { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" }
const at = (provider: string, model = "m"): Target => ({ provider, model })
const minute = 60_000
const margin = 250

const governor = (options: GovernorOptions = {}) =>
  Governor.layerWith(options).pipe(Layer.provideMerge(Store.layerMemory))

const configured = (limits: Readonly<Record<string, Partial<Limits>>>) =>
  Governor.use((governor) =>
    governor.configure(Object.entries(limits).map(([name, own]) => ({ name, limits: { ...free, ...own } })))
  )

const request = (more: Partial<SlotRequest> = {}): SlotRequest => ({
  targets: [at("a")],
  client: "test",
  priority: 5,
  since: 0,
  until: 10 * minute,
  tokens: 10,
  ...more
})

/** A slot that is out until `release`. */
const take = (more: Partial<SlotRequest> = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const slot = yield* Scope.provide(
      Governor.use((governor) => governor.slot(request(more))),
      scope
    )
    const { probe, queuedMs, skipped, target } = slot
    return {
      target,
      queuedMs,
      probe,
      skipped,
      sent: () => slot.sent(),
      answering: () => slot.answering(),
      settle: (outcome: SlotOutcome) => slot.settle(outcome),
      release: Scope.close(scope, Exit.void)
    }
  })
const begin = (more: Partial<SlotRequest> = {}) => Effect.forkChild(take(more), { startImmediately: true })
const isDone = <A, E>(fiber: Fiber.Fiber<A, E>) => fiber.pollUnsafe() !== undefined

/** One call from begin to end at this instant. */
const call = (outcome: Parameters<Slot["settle"]>[0], more: Partial<SlotRequest> = {}) =>
  Effect.gen(function* () {
    const slot = yield* take(more)
    slot.sent()
    slot.settle(outcome)
    yield* slot.release
    return slot.target
  })
const served = { _tag: "Served", tokens: undefined } as const
const failed = { _tag: "Failed", retryAfter: undefined } as const
const throttled = { _tag: "Throttled", retryAfter: undefined } as const

const statistics = Governor.use(({ statistics }) => statistics)
const standing = (name: string) =>
  Effect.map(
    Governor.use(({ providers }) => providers),
    (all) => all.find((provider) => provider.name === name) ?? assert.fail(`no provider ${name}`)
  )

describe("Governor", () => {
  it.effect("takes concurrency and rate together, or neither", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 2, rpm: 3 } })
      const slots = [yield* take(), yield* take()]
      const third = yield* begin()
      assert.isFalse(isDone(third))
      assert.deepInclude(yield* standing("a"), { inUse: 2, lastMinute: 2, waiting: 1 })
      slots[0]?.sent()
      slots[0]?.settle(served)
      yield* slots[0]?.release ?? Effect.void
      const { release, sent, settle } = yield* Fiber.join(third)
      sent()
      settle(served)
      yield* release
      // Two have left, and one is out that may leave yet.
      const fourth = yield* begin()
      assert.isFalse(isDone(fourth))
      assert.deepInclude(yield* standing("a"), { inUse: 1, lastMinute: 3 })
      // That one never leaves: its place in the minute is free again, and with it one among those at work.
      yield* slots[1]?.release ?? Effect.void
      assert.isTrue(isDone(fourth))
    }).pipe(Effect.provide(governor()))
  )

  it.effect(
    "lets a full minute's next call go at the millisecond at which its first is a minute and the margin old",
    () =>
      Effect.gen(function* () {
        yield* configured({ a: { rpm: 3 } })
        for (let i = 0; i < 3; i++) {
          yield* call(served)
          yield* TestClock.adjust("1 second")
        }
        const next = yield* begin()
        yield* TestClock.adjust(minute + margin - 3_000 - 1)
        assert.isFalse(isDone(next))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(next)).queuedMs, minute + margin - 3_000)
      }).pipe(Effect.provide(governor()))
  )

  it.effect("counts a minute's model tokens as they were reckoned, and then as they really were", () =>
    Effect.gen(function* () {
      yield* configured({ a: { tpm: 100 } })
      const slot = yield* take({ tokens: 90 })
      slot.sent()
      const next = yield* begin({ tokens: 20 })
      assert.isFalse(isDone(next))
      slot.settle({ _tag: "Served", tokens: 30 })
      yield* slot.release
      assert.isTrue(isDone(next))
    }).pipe(Effect.provide(governor()))
  )

  it.effect(
    "takes the first target of the route that is free, and of those that are not the one that is free first",
    () =>
      Effect.gen(function* () {
        yield* configured({ a: { concurrency: 1 }, b: { concurrency: 1 } })
        const both = { targets: [at("a"), at("b")] }
        const first = yield* take(both)
        const second = yield* take(both)
        assert.deepStrictEqual([first.target, second.target], [at("a"), at("b")])
        assert.deepStrictEqual(second.skipped, [{ target: at("a"), why: "1 of 1 calls are at work" }])
        const third = yield* begin(both)
        yield* second.release
        assert.deepStrictEqual((yield* Fiber.join(third)).target, at("b"))
      }).pipe(Effect.provide(governor()))
  )

  it.effect("does not keep one waiting behind another who waits for something else", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 2 } })
      yield* call(failed, { targets: [at("a", "broken")] })
      yield* TestClock.adjust("4 seconds")
      yield* call({ _tag: "Failed", retryAfter: Duration.seconds(20) }, { targets: [at("a", "broken")] })
      const stuck = yield* begin({ targets: [at("a", "broken")], priority: 9 })
      assert.isFalse(isDone(stuck))
      assert.isTrue(isDone(yield* begin({ targets: [at("a", "whole")], priority: 0 })))
    }).pipe(Effect.provide(governor()))
  )

  it.effect("wakes those who stood behind one that has left, in its line or in that of another provider", () =>
    Effect.gen(function* () {
      yield* configured({ a: { tpm: 100 } })
      const out = yield* take({ tokens: 80 })
      out.sent()
      const heavy = yield* begin({ tokens: 90, priority: 9 })
      const light = yield* begin({ tokens: 10 })
      assert.isFalse(isDone(light))
      yield* Fiber.interrupt(heavy)
      assert.isTrue(isDone(light))
    }).pipe(Effect.provide(governor()))
  )

  it.effect("keeps the place of a call that was broken off for a moment: its upstream may not have noticed", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      const left = yield* take()
      left.sent()
      yield* left.release
      assert.deepInclude(yield* statistics, { inUse: 0 })
      const next = yield* begin()
      yield* TestClock.adjust(99)
      assert.isFalse(isDone(next))
      yield* TestClock.adjust(1)
      assert.isTrue(isDone(next))
    }).pipe(Effect.provide(governor()))
  )

  it.effect("does not take a 429 of too many at once for one of the minute", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: "unknown", rpm: "unknown" } })
      const slots = [yield* take(), yield* take()]
      for (const slot of slots) slot.sent()
      slots[0]?.settle(served)
      slots[1]?.settle(throttled)
      assert.deepStrictEqual((yield* standing("a")).allowed, { concurrency: 1, rpm: 20 })
    }).pipe(Effect.provide(governor()))
  )

  it.effect("refuses nobody for a limit that it only supposes", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: "unknown", rpm: "unknown" } })
      const all = yield* Effect.forEach(Array.from({ length: 100 }), () => begin({ until: minute }))
      assert.strictEqual(all.filter(isDone).length, 2)
      assert.deepInclude(yield* statistics, { waiting: 98, refused: 0 })
    }).pipe(Effect.provide(governor()))
  )

  it.effect("serves the urgent sooner and lets nobody starve, and clients in turns", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      const slot = yield* take()
      const order: Array<string> = []
      const line = (name: string, more: Partial<SlotRequest>) =>
        Effect.forkChild(
          Effect.flatMap(take(more), ({ release }) => {
            order.push(name)
            return Effect.andThen(Effect.sleep("1 second"), release)
          }),
          { startImmediately: true }
        )
      for (let i = 0; i < 3; i++) yield* line(`flood-${i}`, { client: "flood" })
      yield* line("quiet", { client: "quiet" })
      yield* line("urgent", { client: "flood", priority: 9 })
      yield* line("patient", { client: "flood", priority: 0 })
      yield* slot.release
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(order, ["urgent", "quiet", "flood-0", "flood-1", "flood-2", "patient"])
    }).pipe(Effect.provide(governor()))
  )

  it.effect("refuses at once when the estimate is later than the request may wait, and says how long it would be", () =>
    Effect.gen(function* () {
      yield* configured({ a: { rpm: 2 } })
      for (let i = 0; i < 2; i++) yield* call(served)
      const refused = yield* Effect.flip(take({ until: minute }))
      assert.strictEqual(refused.reason, "wait")
      assert.strictEqual(Duration.toMillis(refused.retryAfter), minute + margin)
      const inTime = yield* begin({ until: minute + margin })
      yield* TestClock.adjust(minute + margin)
      assert.isTrue(isDone(inTime))
    }).pipe(Effect.provide(governor()))
  )

  it.effect("lets nobody wait longer than they may", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      yield* take()
      const waiting = yield* Effect.forkChild(Effect.flip(take({ until: 7_000 })), { startImmediately: true })
      yield* TestClock.adjust(6_999)
      assert.isFalse(isDone(waiting))
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "timeout")
      assert.strictEqual((yield* statistics).waiting, 0)
    }).pipe(Effect.provide(governor()))
  )

  it.effect("bounds its line; the least urgent gives way to a more urgent one, and to nobody else", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      yield* take()
      const low = yield* Effect.forkChild(Effect.flip(take({ priority: 2 })), { startImmediately: true })
      yield* begin({ priority: 6 })
      assert.strictEqual((yield* Effect.flip(take({ priority: 2 }))).reason, "full")
      assert.isFalse(isDone(low))
      const high = yield* begin({ priority: 7 })
      assert.strictEqual((yield* Fiber.join(low)).reason, "full")
      assert.isFalse(isDone(high))
      assert.strictEqual((yield* statistics).waiting, 2)
    }).pipe(Effect.provide(governor({ queue: { limit: 2 } })))
  )

  it.effect("gives a place in a full line to a client who has fewer in it", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      yield* take()
      const flood = yield* Effect.forEach([1, 2, 3], () => begin({ client: "flood" }))
      const quiet = yield* begin({ client: "quiet" })
      assert.deepStrictEqual(flood.map(isDone), [false, false, true])
      assert.isFalse(isDone(quiet))
      assert.strictEqual((yield* Effect.flip(take({ client: "flood" }))).reason, "full")
    }).pipe(Effect.provide(governor({ queue: { limit: 3 } })))
  )

  it.effect("fails fast when every target is out of order by a guess, and those that wait when it becomes so", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      yield* call(failed)
      yield* TestClock.adjust("4 seconds")
      const last = yield* take()
      const waiting = yield* Effect.forkChild(Effect.flip(take()), { startImmediately: true })
      last.settle(failed)
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "unavailable")
      yield* last.release
      const refused = yield* Effect.flip(take())
      assert.strictEqual(refused.reason, "unavailable")
      assert.strictEqual(Duration.toMillis(refused.retryAfter), 10_000)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* take()
      assert.isTrue(probe.probe)
      assert.strictEqual((yield* Effect.flip(take())).reason, "unavailable")
    }).pipe(Effect.provide(governor()))
  )

  it.effect("waits for a provider that is held, or that has said when it will be back", () =>
    Effect.gen(function* () {
      yield* configured({ a: {} })
      yield* Governor.use((governor) => governor.hold("a", 5_000))
      yield* Governor.use((governor) => governor.hold("a", 2_000))
      const held = yield* begin()
      yield* TestClock.adjust(4_999)
      assert.isFalse(isDone(held))
      yield* TestClock.adjust(1)
      assert.isTrue(isDone(held))

      yield* call({ _tag: "Failed", retryAfter: Duration.seconds(7) })
      const waiting = yield* begin()
      yield* TestClock.adjust(6_999)
      assert.isFalse(isDone(waiting))
      yield* TestClock.adjust(1)
      assert.isTrue(isDone(waiting))
    }).pipe(Effect.provide(governor()))
  )

  it.effect("learns a limit nobody told it, and remembers it over a restart", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const once = Effect.gen(function* () {
        yield* configured({ a: { concurrency: "unknown" } })
        const before = (yield* standing("a")).allowed.concurrency
        for (let round = 0; round < 3; round++) {
          const { concurrency } = (yield* standing("a")).allowed
          if (concurrency === "unlimited") return assert.fail("it is not unlimited")
          const out = yield* Effect.forEach(Array.from({ length: concurrency }), () => take())
          for (const slot of out) slot.settle(served)
          yield* Effect.forEach(out, ({ release }) => release)
        }
        yield* TestClock.adjust(1)
        yield* call(throttled)
        return { before, after: (yield* standing("a")).allowed.concurrency }
      }).pipe(
        Effect.provide(Layer.fresh(Governor.layer).pipe(Layer.provide(Layer.succeed(Store, store)))),
        Effect.scoped
      )
      assert.deepStrictEqual(yield* once, { before: 2, after: 8 })
      assert.strictEqual((yield* once).before, 8)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect(
    "goes on with the minute that it left: a restart does not begin it anew, nor does a provider that is gone for a while",
    () =>
      Effect.gen(function* () {
        const store = yield* Store
        const started = <A, E>(effect: Effect.Effect<A, E, Governor | Scope.Scope>) =>
          effect.pipe(
            Effect.provide(Layer.fresh(Governor.layer).pipe(Layer.provide(Layer.succeed(Store, store)))),
            Effect.scoped
          )
        yield* TestClock.adjust("1500 millis")
        yield* started(
          Effect.gen(function* () {
            yield* configured({ a: { rpm: 3 } })
            for (let i = 0; i < 3; i++) yield* call(served)
            yield* configured({ b: {} })
            yield* configured({ a: { rpm: 3 } })
            assert.strictEqual((yield* Effect.flip(take({ until: 30_000 }))).reason, "wait")
          })
        )
        yield* started(
          Effect.gen(function* () {
            yield* configured({ a: { rpm: 3 } })
            const next = yield* begin()
            // Counted for the end of its second.
            yield* TestClock.adjust(minute + margin + 500 - 1)
            assert.isFalse(isDone(next))
            yield* TestClock.adjust(1)
            assert.isTrue(isDone(next))
          })
        )
      }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("takes over new limits at once, for those that wait as well", () =>
    Effect.gen(function* () {
      yield* configured({ a: { concurrency: 1 } })
      yield* take()
      const waiting = yield* begin()
      yield* configured({ a: { concurrency: 2 } })
      assert.isTrue(isDone(waiting))
      assert.strictEqual((yield* standing("a")).inUse, 2)
      yield* configured({ a: { concurrency: 1 } })
      assert.isFalse(isDone(yield* begin()))
    }).pipe(Effect.provide(governor()))
  )
})

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const targetsOf = [[at("a")], [at("a"), at("b")], [at("b"), at("a", "n")], [at("c"), at("b")]] as const
const Step = Schema.Union([
  Schema.TaggedStruct("Come", {
    targets: below(targetsOf.length),
    client: below(3),
    priority: below(10),
    patience: Schema.Literals([0, 2_000, 90_000])
  }),
  Schema.TaggedStruct("Come", {
    targets: below(targetsOf.length),
    client: below(3),
    priority: below(10),
    patience: Schema.Literals([0, 2_000, 90_000])
  }),
  Schema.TaggedStruct("Send", { which: below(8) }),
  Schema.TaggedStruct("End", { which: below(8), outcome: below(6) }),
  Schema.TaggedStruct("End", { which: below(8), outcome: below(6) }),
  Schema.TaggedStruct("Leave", { which: below(8) }),
  Schema.TaggedStruct("Hold", { ms: Schema.Literals([500, 5_000]) }),
  Schema.TaggedStruct("Configure", { concurrency: Schema.Literals([1, 2, 5, "unlimited"]) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 1_000, 12_000, 61_000]) })
])
const outcomes: ReadonlyArray<Parameters<Slot["settle"]>[0] | undefined> = [
  { _tag: "Served", tokens: 7 },
  served,
  failed,
  { _tag: "Failed", retryAfter: Duration.seconds(3) },
  throttled,
  undefined
]

describe("any interleaving of requests that come, leave, are sent, end and fail", () => {
  const rpm: Readonly<Record<string, number>> = { a: 3, b: 2, c: Number.POSITIVE_INFINITY }
  const limits = (concurrency: Limits["concurrency"]) => ({
    a: { concurrency, rpm: 3 },
    b: { concurrency: "unknown" as const, rpm: 2, tpm: 50 },
    c: { concurrency: 1, rpm: "unknown" as const }
  })

  it.effect.prop(
    "leaves every counter at zero, and no minute above its limit",
    [Schema.Array(Step).check(Schema.isMinLength(5), Schema.isMaxLength(30))],
    ([history]) =>
      Effect.gen(function* () {
        yield* configured(limits(2))
        const waiting: Array<Fiber.Fiber<Effect.Success<ReturnType<typeof take>>, unknown>> = []
        const out: Array<Effect.Success<ReturnType<typeof take>>> = []
        const sentAt: Record<string, Array<number>> = { a: [], b: [], c: [] }
        let now = 0
        /** Those that have been given a slot meanwhile are out now. */
        const collect = Effect.gen(function* () {
          for (let i = waiting.length - 1; i >= 0; i--) {
            const exit = waiting[i]?.pollUnsafe()
            if (exit === undefined) continue
            waiting.splice(i, 1)
            if (Exit.isSuccess(exit)) out.push(exit.value)
          }
          const all = yield* Governor.use(({ providers }) => providers)
          for (const { allowed, inUse, name } of all) {
            const mine = out.filter(({ target }) => target.provider === name).length
            assert.strictEqual(inUse, mine)
            // A limit that was lowered, or halved, while more were out holds for those that come after.
            if (name === "c" && allowed.concurrency !== "unlimited") assert.isAtMost(inUse, allowed.concurrency)
          }
          assert.strictEqual((yield* statistics).waiting, waiting.length)
        })
        for (const step of history) {
          switch (step._tag) {
            case "Come":
              waiting.push(
                yield* begin({
                  targets: targetsOf[step.targets] ?? [],
                  client: `client-${step.client}`,
                  priority: step.priority,
                  since: now,
                  until: now + step.patience
                })
              )
              break
            case "Send": {
              const slot = out[step.which % Math.max(1, out.length)]
              if (slot === undefined) break
              slot.sent()
              sentAt[slot.target.provider]?.push(now)
              // Once is once.
              slot.sent()
              out.splice(out.indexOf(slot), 1)
              slot.settle(served)
              yield* slot.release
              break
            }
            case "End": {
              const [slot] = out.splice(step.which % Math.max(1, out.length), 1)
              const outcome = outcomes[step.outcome]
              if (slot === undefined) break
              if (outcome !== undefined) slot.settle(outcome)
              yield* slot.release
              break
            }
            case "Leave": {
              const [fiber] = waiting.splice(step.which % Math.max(1, waiting.length), 1)
              if (fiber !== undefined) yield* Fiber.interrupt(fiber)
              break
            }
            case "Hold":
              yield* Governor.use((governor) => governor.hold("a", now + step.ms))
              break
            case "Configure":
              yield* configured(limits(step.concurrency))
              break
            case "Wait":
              now += step.ms
              yield* TestClock.adjust(step.ms)
              break
          }
          yield* collect
        }
        for (const fiber of waiting) yield* Fiber.interrupt(fiber)
        for (const slot of out) yield* slot.release
        const { inUse, waiting: left } = yield* statistics
        assert.deepStrictEqual({ inUse, left }, { inUse: 0, left: 0 })
        for (const { lastMinute, name } of yield* Governor.use(({ providers }) => providers)) {
          // Only what was really sent counts still.
          assert.isAtMost(lastMinute, sentAt[name]?.length ?? 0)
        }
        for (const [name, times] of Object.entries(sentAt)) {
          for (const [i, from] of times.entries()) {
            const inMinute = times.slice(i).filter((time) => time < from + minute).length
            assert.isAtMost(inMinute, rpm[name] ?? 0)
          }
        }
      }).pipe(Effect.provide(governor(), { local: true }), Effect.scoped),
    { timeout: 120_000, arbitrary: { runs: 10_000, size: 30 } }
  )

  it.effect("lets nobody pass by one who waits for the same provider at another of its models", () =>
    Effect.gen(function* () {
      yield* configured({ a: { tpm: 100 } })
      const light = { targets: [at("a", "small")], tokens: 30 }
      const first = yield* take(light)
      first.sent()
      yield* first.release
      const heavy = yield* begin({ targets: [at("a", "large")], tokens: 90 })
      yield* Effect.yieldNow
      yield* TestClock.adjust("30 seconds")
      const later = yield* begin(light)
      const direct = yield* Governor.use((governor) => Effect.sync(() => governor.take(request(light))))
      assert.isUndefined(direct)
      assert.isFalse(isDone(later))
      // More urgent ones still do.
      const urgent = yield* begin({ ...light, priority: 9 })
      yield* Effect.yieldNow
      assert.isTrue(isDone(urgent))
      yield* (yield* Fiber.join(urgent)).release
      yield* TestClock.adjust(minute / 2 + margin)
      yield* (yield* Fiber.join(heavy)).release
      yield* (yield* Fiber.join(later)).release
    }).pipe(Effect.provide(governor()))
  )
})
