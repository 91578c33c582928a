import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Acquisition } from "../../src/acquisition/Acquisition.ts"
import { CreateUserRefused, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { holdsForAll } from "./holdsForAll.ts"
import { add, creations, exchanges, lastDecision, spend, start, statistics, world } from "./process.ts"

const background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const tokens = TokenPool.use((pool) => Effect.andThen(pool.sync, pool.list("warp")))
const usedUp = { _tag: "QuotaExhausted", resetAt: 30 * 86_400_000 } as const
const down = new UpstreamUnavailable({ provider: "warp", reason: "status", status: 503, detail: "synthetic" })

describe("Acquisition over several processes and crashes", () => {
  it.effect("makes one token when two processes start at once, and both have it", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "2 seconds")
      const first = yield* background(a.request())
      const second = yield* background(b.request({ caller: "bob" }))
      const third = yield* background(b.request())
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      const { id } = yield* Fiber.join(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(second)).id, id)
      assert.strictEqual((yield* Fiber.join(third)).id, id)
      assert.strictEqual(yield* creations, 1)
      assert.strictEqual((yield* b.use(statistics)).totalAttempts, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives a request the token that was made while it looked for one", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      process.faults.slow = { match: /^get token-cache/, by: "2 seconds" }
      const slow = yield* background(process.request({ caller: "bob" }))
      yield* warp.delay("createAnonymousUser", "1 second")
      const quick = yield* background(process.request())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).id, (yield* Fiber.join(quick)).id)
      assert.deepInclude(yield* process.use(lastDecision), { step: "cache", caller: "bob" })
    }).pipe(Effect.provide(world()))
  )

  const races: ReadonlyArray<readonly [string, RegExp]> = [
    ["before it looked at the ledger", /^get acquisition-dedup/],
    ["after it had looked at the ledger", /^all/]
  ]
  it.effect.each(races)("gives a request the token for which another process took the place %s", ([, match]) =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "5 seconds")
      b.faults.slow = { match, by: "1 second" }
      const late = yield* background(b.request({ caller: "bob" }))
      const early = yield* background(a.request())
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(late)).id, (yield* Fiber.join(early)).id)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives a request the token for which another process took the place at the same moment", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "5 seconds")
      b.faults.slow = { match: /^modify acquisition-dedup/, by: "1 second" }
      a.faults.slow = { match: /^all/, by: "500 millis" }
      const early = yield* background(a.request())
      const late = yield* background(b.request({ caller: "bob" }))
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(late)).id, (yield* Fiber.join(early)).id)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows after a restart what was answered, cached and decided before", () =>
    Effect.gen(function* () {
      const before = yield* start()
      const { id } = yield* before.request()
      yield* before.stop
      const after = yield* start()
      assert.strictEqual((yield* after.request()).id, id)
      assert.strictEqual((yield* after.use(lastDecision))?.step, "dedup")
      assert.strictEqual((yield* after.request({ caller: "bob" })).id, id)
      assert.strictEqual((yield* after.use(lastDecision))?.step, "cache")
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("stores the token it has asked for before it stops", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "2 seconds")
      yield* background(Effect.exit(before.request()))
      const stopping = yield* background(before.stop)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(stopping)
      const after = yield* start()
      assert.strictEqual((yield* after.use(tokens)).length, 1)
      assert.strictEqual((yield* after.use(statistics)).succeeded, 1)
      assert.strictEqual((yield* after.use(lastDecision))?.answer, "token")
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token of a user that was created before a crash, and creates no other", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("exchange", "1 second")
      const dying = yield* background(Effect.exit(before.request()))
      yield* TestClock.adjust("500 millis")
      yield* before.kill
      yield* TestClock.adjust("500 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(dying)))

      const after = yield* start()
      assert.strictEqual((yield* after.use(tokens)).length, 0)
      yield* TestClock.adjust("1 minute")
      const { id } = yield* after.request({ caller: "bob" })
      assert.deepStrictEqual(
        (yield* after.use(tokens)).map((token) => token.id),
        [id]
      )
      assert.strictEqual(yield* creations, 1)
      assert.deepInclude(yield* after.use(statistics), { totalAttempts: 1, succeeded: 1 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("spends the place of an attempt whose process died before the upstream answered", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "1 second")
      const dying = yield* background(Effect.exit(before.request()))
      yield* before.kill
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(dying)
      const after = yield* start()
      const refused = yield* background(Effect.flip(after.request()))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Fiber.join(refused)).step, "policy")
      assert.strictEqual((yield* after.use(statistics)).totalAttempts, 1)
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("never passes the hourly limit over twenty crashes in the middle of acquisitions", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      for (let i = 0; i < 20; i++) {
        const process = yield* start()
        yield* warp.delay("createAnonymousUser", "1 second")
        const dying = yield* background(Effect.exit(process.request({ caller: `caller-${i}` })))
        yield* process.kill
        yield* TestClock.adjust("170 seconds")
        yield* Fiber.join(dying)
      }
      assert.strictEqual(yield* creations, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "asks a dead exchange ever more rarely, gives up after an hour, and keeps the first and the last of it",
    () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        const process = yield* start()
        yield* warp.fail("exchange", down, 1_000)
        yield* Effect.flip(process.request())
        assert.strictEqual(yield* exchanges, 1)
        yield* TestClock.adjust("15 minutes")
        assert.strictEqual(yield* exchanges, 5)
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(yield* exchanges, 8)
        assert.isFalse((yield* process.use(statistics)).hasUnfinished)
        const decisions = yield* process.use(Acquisition.use((acquisition) => acquisition.decisions(500)))
        assert.deepStrictEqual(
          decisions.map(({ at, caller, step }) => [at, caller, step]),
          [
            [3_195_000, "weirgate", "upstream"],
            [45_000, "weirgate", "upstream"],
            [0, "alice", "upstream"]
          ]
        )
      }).pipe(Effect.provide(world()))
  )

  it.effect("gives up on an exchange that does not answer before anybody else would take it over", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.delay("exchange", "1 day")
      const asked = yield* background(Effect.flip(process.request()))
      yield* TestClock.adjust(39_999)
      assert.isUndefined(asked.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepInclude(yield* Fiber.join(asked), { step: "upstream", retryAfter: Duration.minutes(10) })
      assert.strictEqual(yield* exchanges, 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* exchanges, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("leaves an attempt to be finished to the request that is at work", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", down)
      yield* Effect.flip(process.request())
      yield* TestClock.adjust("44 seconds")
      process.faults.slow = { match: /^all token/, by: "5 seconds" }
      const bob = yield* background(process.request({ caller: "bob" }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(bob)).kind, "anonymous")
      assert.deepInclude(yield* process.use(lastDecision), { caller: "bob", step: "upstream", answer: "token" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token later when the exchange was down, without another creation", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", down)
      assert.strictEqual((yield* Effect.flip(process.request())).step, "upstream")
      assert.strictEqual((yield* process.use(statistics)).failed, 1)
      yield* TestClock.adjust("1 minute")
      yield* process.request({ caller: "bob" })
      assert.strictEqual(yield* creations, 1)
      assert.deepInclude(yield* process.use(statistics), { succeeded: 1, failed: 0, consecutiveFailures: 0 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("makes the token later when the store would not take it, without another creation", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.delay("exchange", "1 second")
      const fiber = yield* background(Effect.flip(process.request()))
      process.faults.failing = /^modify (?!acquisition)/
      yield* TestClock.adjust("20 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { step: "upstream" })
      assert.include(error.reason, "synthetic")
      process.faults.failing = undefined
      yield* TestClock.adjust("1 minute")
      yield* process.request({ caller: "bob" })
      assert.strictEqual(yield* creations, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives up a user whose exchange is refused for good", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.fail("exchange", new CreateUserRefused({ provider: "warp", reason: "INVALID_CUSTOM_TOKEN" }))
      assert.strictEqual((yield* Effect.flip(process.request())).step, "upstream")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* exchanges, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("waits no longer than 15 seconds for a process that died at work", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const before = yield* start()
      yield* warp.delay("createAnonymousUser", "5 minutes")
      yield* background(Effect.exit(before.request()))
      yield* before.kill
      const after = yield* start()
      yield* after.use(add("personal"))
      const waiting = yield* background(Effect.exit(after.request()))
      yield* TestClock.adjust(14_999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(251)
      const exit = yield* Fiber.join(waiting)
      const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
      assert(error?._tag === "Some")
      assert.strictEqual(error.value.reason, "a personal token is usable")
      // What the dead process still waits for ends, or the test would not.
      yield* TestClock.adjust("5 minutes")
    }).pipe(Effect.provide(world()))
  )

  const nothingLeft = Effect.gen(function* () {
    const process = yield* start()
    yield* process.request()
    yield* process.use(spend(usedUp))
    yield* TestClock.adjust("1 minute")
    yield* Effect.flip(process.request())
    process.faults.asked.length = 0
    return process
  })

  it.effect("reads each record once to deny, when everything is used up", () =>
    Effect.gen(function* () {
      const process = yield* nothingLeft
      yield* Effect.flip(process.request({ caller: "bob" }))
      const { asked } = process.faults
      assert.deepStrictEqual(asked, [
        "get acquisition-dedup",
        "get token-cache",
        "all token",
        "all provider",
        "get acquisition-ledger"
      ])
    }).pipe(Effect.provide(world()))
  )

  it.effect("watches another process once for all who wait for it", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const [a, b] = [yield* start(), yield* start()]
      yield* warp.delay("createAnonymousUser", "4 seconds")
      const first = yield* background(a.request())
      const callers = Array.from({ length: 20 }, () => b.request())
      const waiting = yield* background(Effect.all(callers, { concurrency: "unbounded" }))
      yield* TestClock.adjust("5 seconds")
      const { id } = yield* Fiber.join(first)
      for (const token of yield* Fiber.join(waiting)) assert.strictEqual(token.id, id)
      const looks = b.faults.asked.filter((operation) => operation === "get acquisition-dedup").length
      assert.isAtMost(looks, 20 + 4 * 5)
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not throw away what another process has cached because it has not heard of it yet", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* start(), yield* start()]
      const { id } = yield* a.request()
      assert.strictEqual((yield* b.request({ caller: "bob" })).id, id)
      assert.strictEqual((yield* b.use(lastDecision))?.step, "cache")
      assert.strictEqual((yield* a.request({ caller: "carol" })).id, id)
    }).pipe(Effect.provide(world()))
  )

  it.effect("takes no denial for its own that was for what another request said", () =>
    Effect.gen(function* () {
      const process = yield* start()
      yield* process.use(add("personal"))
      yield* process.use(spend(usedUp))
      process.faults.slow = { match: /^all token/, by: "1 second" }
      const first = yield* background(Effect.flip(process.request({ errorContext: "connection reset" })))
      const sameNeed = yield* background(
        Effect.flip(process.request({ caller: "carol", errorContext: "the pipe is broken" }))
      )
      const other = yield* background(process.request({ caller: "bob", errorContext: "quota exceeded" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(first)).reason, "the error is not about quota")
      assert.deepInclude(yield* Fiber.join(sameNeed), { step: "in_flight" })
      assert.strictEqual((yield* Fiber.join(other)).kind, "anonymous")
    }).pipe(Effect.provide(world()))
  )

  it.effect("takes no token that was made for another class of need", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const process = yield* start()
      yield* warp.delay("createAnonymousUser", "1 second")
      const first = yield* background(process.request())
      const other = yield* background(Effect.flip(process.request({ context: "vision" })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      assert.strictEqual((yield* Fiber.join(other)).step, "policy")
    }).pipe(Effect.provide(world()))
  )

  const parts: ReadonlyArray<readonly [RegExp, string]> = [
    [/acquisition-dedup/, "dedup"],
    [/token-cache/, "cache"],
    [/^all/, "policy"],
    [/acquisition-ledger/, "rate_limiter"],
    [/modify acquisition-ledger/, "rate_limiter"],
    [/./, "dedup"]
  ]
  it.effect.each(parts)("grants nothing when the store fails, and names the step: %s", ([failing, step]) =>
    Effect.gen(function* () {
      const process = yield* start()
      process.faults.failing = failing
      const error = yield* Effect.flip(process.request())
      assert.strictEqual(error.step, step)
      assert.include(error.reason, "synthetic")
      assert.strictEqual(yield* creations, 0)
      process.faults.failing = undefined
      yield* process.request()
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps the denials of the last moment when it stops, and at the latest a tenth of a second after", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* start(), yield* start()]
      yield* a.use(add("personal"))
      yield* Effect.flip(a.request())
      assert.isUndefined(yield* b.use(lastDecision))
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* b.use(lastDecision))?.caller, "alice")
      yield* Effect.flip(a.request({ caller: "bob" }))
      yield* a.stop
      assert.strictEqual((yield* b.use(lastDecision))?.caller, "bob")
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps a decision though its caller leaves while it waits to be written, and those after it", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* start(), yield* start()]
      yield* a.request()
      a.faults.slow = { match: /^append/, by: "1 second" }
      yield* background(a.request({ caller: "bob" }))
      const leaving = yield* background(a.request({ caller: "carol" }))
      yield* background(Fiber.interrupt(leaving))
      yield* background(Effect.exit(a.request({ caller: "dave", context: "vision" })))
      yield* TestClock.adjust("2 seconds")
      const decisions = yield* b.use(Acquisition.use((acquisition) => acquisition.decisions(3)))
      assert.deepStrictEqual(decisions.map(({ caller }) => caller).toSorted(), ["bob", "carol", "dave"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("answers as decided when the decision cannot be kept, and keeps it as soon as it can be", () =>
    Effect.gen(function* () {
      const process = yield* start()
      process.faults.failing = /append/
      assert.strictEqual((yield* process.request()).kind, "anonymous")
      process.faults.failing = undefined
      yield* TestClock.adjust("5 seconds")
      const other = yield* start()
      assert.deepInclude(yield* other.use(lastDecision), { step: "upstream", answer: "token" })
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "never asks more often than the budget allows, over any history of requests, crashes and failures",
    () =>
      Effect.gen(function* () {
        const tally: Tally = { created: 0, unanswered: 0, killed: 0, withoutStore: 0 }
        yield* holdsForAll(
          histories,
          (history) => Effect.scoped(play(history, tally)).pipe(Effect.provide(Layer.fresh(world()))),
          { runs: 60, size: 30 }
        )
        assert.isAbove(tally.created, 30)
        assert.isAbove(tally.unanswered, 200)
        assert.isAbove(tally.killed, 30)
        assert.isAbove(tally.withoutStore, 40)
      }),
    60_000
  )
})

const Which = Schema.Literals([0, 1])
const Ask = Schema.TaggedStruct("Ask", {
  process: Which,
  caller: Schema.Literals(["alice", "bob"]),
  /** Whether the tokens that are held run out afterwards. */
  spends: Schema.Boolean
})
const Command = Schema.Union([
  Ask,
  Schema.TaggedStruct("Wait", { minutes: Schema.Literals([5, 10, 30]) }),
  Schema.TaggedStruct("Kill", { process: Which }),
  Schema.TaggedStruct("StoreFails", { process: Which, failing: Schema.Literals(["never", "modify", "append", "."]) }),
  Schema.TaggedStruct("UpstreamFails", { call: Schema.Literals(["createAnonymousUser", "exchange"]) })
])
/** Half of all commands ask. */
const histories = Arbitrary.array(
  Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (asks): Arbitrary.Arbitrary<typeof Command.Type> =>
    asks ? Arbitrary.schema(Ask) : Arbitrary.schema(Command)
  ),
  { minLength: 15, maxLength: 30 }
)

interface Tally {
  created: number
  /** Denied or failed. */
  unanswered: number
  killed: number
  /** Asked while the store failed. */
  withoutStore: number
}

const play = Effect.fnUntraced(function* (history: ReadonlyArray<typeof Command.Type>, tally: Tally) {
  const warp = yield* ScriptedWarp
  const processes = [yield* start(), yield* start()]
  let made: ReadonlyArray<number> = []
  let now = 0
  for (const command of history) {
    if (command._tag === "Wait") {
      now += command.minutes * 60_000
      yield* TestClock.setTime(now)
      continue
    }
    if (command._tag === "UpstreamFails") {
      yield* warp.fail(command.call, down)
      continue
    }
    const process = processes[command.process]
    if (process === undefined) continue
    switch (command._tag) {
      case "Ask": {
        const before = yield* creations
        // Some of them are under way when the next thing happens.
        const asked = yield* background(Effect.exit(process.request({ caller: command.caller })))
        if (process.faults.failing !== undefined) tally.withoutStore += 1
        now += 3_000
        yield* TestClock.setTime(now)
        const exit = asked.pollUnsafe()
        if (exit !== undefined && Exit.isSuccess(exit) && Exit.isFailure(exit.value)) tally.unanswered += 1
        const more = (yield* creations) - before
        made = [...made, ...Array.from({ length: more }, () => now)]
        if (command.spends) yield* Effect.ignore(process.use(spend(usedUp)))
        break
      }
      case "Kill":
        tally.killed += 1
        yield* process.kill
        processes[command.process] = yield* start()
        break
      case "StoreFails":
        process.faults.failing = command.failing === "never" ? undefined : new RegExp(command.failing)
    }
  }
  tally.created += made.length
  for (const at of made) {
    assert.isAtMost(made.filter((other) => other > at - 3_600_000 && other <= at).length, 3)
  }
  // Once the store works again, the ledger knows of every user that was made.
  for (const process of processes) process.faults.failing = undefined
  yield* TestClock.setTime(now + 60_000)
  const { totalAttempts } = yield* (yield* start()).use(statistics)
  assert.isAtLeast(totalAttempts, made.length)
})
