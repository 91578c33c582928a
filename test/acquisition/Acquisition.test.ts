import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Metric, Redacted } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Acquisition } from "../../src/acquisition/Acquisition.ts"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { CreateUserRateLimited, CreateUserRefused, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, ask, broker, creations, lastDecision, spend, statistics } from "./process.ts"

const denial = (request?: Parameters<typeof ask>[0]) => Effect.flip(ask(request))
const unavailable = new UpstreamUnavailable({ provider: "warp", reason: "status", status: 503, detail: "synthetic" })
const usedUp = { _tag: "QuotaExhausted", resetAt: 30 * 86_400_000 } as const
const served = { _tag: "Succeeded", latencyMs: 100 } as const
const background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("Acquisition", () => {
  it.effect("asks the upstream when no token is held, and gives what the pool then lends", () =>
    Effect.gen(function* () {
      const token = yield* ask()
      assert.strictEqual(yield* creations, 1)
      const lease = yield* TokenPool.use((pool) => pool.lease({ provider: "warp" }))
      assert.deepStrictEqual(token, { id: lease.id, provider: "warp", kind: "anonymous" })
      assert.deepInclude(yield* statistics, { totalAttempts: 1, succeeded: 1, consecutiveFailures: 0 })
      assert.deepInclude(yield* lastDecision, { step: "upstream", answer: "token", token: token.id })
    }).pipe(Effect.provide(broker()))
  )

  it.effect("makes one token for 97 who ask at once with an empty pool, and answers all of them with it", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      yield* warp.delay("createAnonymousUser", "2 seconds")
      const asked = Array.from({ length: 97 }, (_, i) =>
        ask({ caller: `caller-${i % 10}`, errorContext: `HTTP 429 No remaining quota, attempt ${i}` })
      )
      const answers = yield* background(Effect.all(asked, { concurrency: "unbounded" }))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(new Set((yield* Fiber.join(answers)).map(({ id }) => id)).size, 1)
      assert.strictEqual(yield* creations, 1)
      const decisions = yield* Acquisition.use((acquisition) => acquisition.decisions(500))
      const steps = (step: string) => decisions.filter((decision) => decision.step === step).length
      assert.deepStrictEqual([steps("upstream"), steps("dedup"), steps("in_flight")], [1, 9, 87])
    }).pipe(Effect.provide(broker()))
  )

  describe("step 1, dedup", () => {
    it.effect("joins the same request at work and shares its answer", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.delay("createAnonymousUser", "2 seconds")
        const first = yield* background(ask({ errorContext: "no token for warp at 12:00:01" }))
        const second = yield* background(ask({ errorContext: "no token for warp at 12:00:02" }))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(second)).id, (yield* Fiber.join(first)).id)
        assert.deepInclude(yield* lastDecision, { step: "dedup", answer: "token" })
      }).pipe(Effect.provide(broker()))
    )

    it.effect("answers the same request with the token its work has given, for 300 seconds", () =>
      Effect.gen(function* () {
        const { id } = yield* ask()
        yield* TestClock.adjust(299_999)
        assert.strictEqual((yield* ask()).id, id)
        assert.strictEqual((yield* lastDecision)?.step, "dedup")
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* ask()).id, id)
        assert.strictEqual((yield* lastDecision)?.step, "cache")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("denies the same request for 300 seconds after its work failed, and says when the budget allows it", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.fail("createAnonymousUser", unavailable)
        yield* denial()
        yield* TestClock.adjust(299_999)
        const error = yield* denial()
        assert.strictEqual(error.step, "dedup")
        // One millisecond of the window is left, but a failure closes the budget for ten minutes.
        assert.deepStrictEqual(error.retryAfter, Duration.millis(300_001))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* denial()).step, "rate_limiter")
        yield* TestClock.adjust(299_999)
        assert.strictEqual((yield* denial()).step, "rate_limiter")
        assert.strictEqual(yield* creations, 1)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* ask()).kind, "anonymous")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("takes another caller's failure for no duplicate", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.fail("createAnonymousUser", unavailable)
        yield* denial()
        assert.notStrictEqual((yield* denial({ caller: "bob" })).step, "dedup")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("lets a legitimate retry of a request that was denied through, once there is a reason for it", () =>
      Effect.gen(function* () {
        yield* add("personal")
        assert.strictEqual((yield* denial()).step, "policy")
        yield* spend(usedUp)
        assert.strictEqual((yield* ask()).kind, "anonymous")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("goes on to the next steps when the token of the same request is used up", () =>
      Effect.gen(function* () {
        yield* ask()
        yield* spend(usedUp)
        const error = yield* denial()
        assert.strictEqual(error.step, "policy")
        assert.deepStrictEqual(error.retryAfter, Duration.minutes(5))
      }).pipe(Effect.provide(broker()))
    )
  })

  describe("step 2, cache", () => {
    it.effect("answers whatever the error text says and whatever the hour, while the token is valid", () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("59 minutes")
        const { id } = yield* ask()
        yield* TestClock.adjust("10 minutes")
        const again = yield* ask({ caller: "bob", errorContext: "HTTP 429 at 01:09:00: quota of user 77 exceeded" })
        assert.strictEqual(again.id, id)
        assert.deepInclude(yield* lastDecision, { step: "cache", answer: "token" })
        assert.strictEqual(yield* creations, 1)
      }).pipe(Effect.provide(broker()))
    )

    it.effect("keeps classes of need apart", () =>
      Effect.gen(function* () {
        yield* ask()
        assert.strictEqual((yield* denial({ caller: "bob", context: "vision" })).step, "policy")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("gives no token whose access secret has ended", () =>
      Effect.gen(function* () {
        yield* ask()
        yield* TestClock.adjust(599_999)
        yield* ask({ caller: "bob" })
        yield* TestClock.adjust(1)
        assert.notStrictEqual((yield* denial({ caller: "bob" })).step, "cache")
      }).pipe(Effect.provide(broker({ warp: { accessLifetime: "10 minutes" } })))
    )
  })

  describe("step 3, in flight", () => {
    it.effect("waits for another need of the provider at work and shares its answer", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.delay("createAnonymousUser", "2 seconds")
        const first = yield* background(ask())
        const second = yield* background(ask({ caller: "bob", errorContext: "quota exceeded" }))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(second)).id, (yield* Fiber.join(first)).id)
        assert.deepInclude(yield* lastDecision, { step: "in_flight", answer: "token" })
        assert.strictEqual(yield* creations, 1)
      }).pipe(Effect.provide(broker()))
    )

    it.effect("shares a denial too, with its time and the step that decided", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.delay("createAnonymousUser", "2 seconds")
        const retryAfter = Duration.minutes(20)
        yield* warp.fail("createAnonymousUser", new CreateUserRateLimited({ provider: "warp", retryAfter }))
        const first = yield* background(denial())
        const second = yield* background(denial({ caller: "bob" }))
        yield* TestClock.adjust("2 seconds")
        assert.deepInclude(yield* Fiber.join(first), { step: "upstream", retryAfter })
        assert.deepInclude(yield* Fiber.join(second), { step: "in_flight", retryAfter })
        assert.strictEqual((yield* lastDecision)?.inputs["decidedBy"], "upstream")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("works on three providers at once and lets the fourth wait", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.delay("createAnonymousUser", "2 seconds", 4)
        const [fourth, ...first] = yield* Effect.forEach(providers.toReversed(), (provider) =>
          background(ask({ provider }))
        ).pipe(Effect.map((fibers) => fibers.toReversed()))
        assert(fourth !== undefined)
        yield* TestClock.adjust(1_999)
        assert.strictEqual(yield* creations, 3)
        yield* TestClock.adjust(1)
        yield* Fiber.joinAll(first)
        assert.isUndefined(fourth.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(fourth)
        assert.strictEqual(yield* creations, 4)
      }).pipe(Effect.provide(broker({ acquisition: { providers } })))
    )
  })

  describe("step 4, policy", () => {
    it.effect("asks for nothing while a personal token is usable", () =>
      Effect.gen(function* () {
        yield* add("personal")
        const error = yield* denial({ errorContext: "No remaining quota" })
        assert.deepInclude(error, { step: "policy", reason: "a personal token is usable" })
        assert.strictEqual(yield* creations, 0)
        assert.strictEqual((yield* statistics).totalAttempts, 0)
        assert.deepStrictEqual((yield* lastDecision)?.inputs["tokens"], { "personal usable": 1 })
      }).pipe(Effect.provide(broker()))
    )

    it.effect("counts the age of an anonymous token from its making", () =>
      Effect.gen(function* () {
        yield* ask()
        yield* spend({ _tag: "Throttled", signature: "synthetic", retryAfterMs: 3_600_000 })
        yield* TestClock.adjust(30 * 60_000 - 1)
        const error = yield* denial()
        assert.strictEqual(error.step, "policy")
        assert.deepStrictEqual(error.retryAfter, Duration.millis(1))
        yield* TestClock.adjust(1)
        assert.notInclude((yield* Effect.exit(ask()))._tag === "Failure" ? (yield* denial()).reason : "", "young")
      }).pipe(Effect.provide(broker()))
    )

    it.effect("acquires again when the anonymous token is known to be used up", () =>
      Effect.gen(function* () {
        const first = yield* ask()
        yield* spend(usedUp)
        yield* TestClock.adjust("5 minutes")
        const second = yield* ask()
        assert.notStrictEqual(second.id, first.id)
        assert.strictEqual(yield* creations, 2)
      }).pipe(Effect.provide(broker()))
    )

    it.effect("denies where making tokens is switched off, and spends nothing of the budget", () =>
      Effect.gen(function* () {
        const error = yield* denial()
        assert.strictEqual(error.step, "policy")
        assert.include(error.message, '"minting": true')
        assert.isUndefined(error.retryAfter)
        assert.strictEqual((yield* statistics).totalAttempts, 0)
      }).pipe(Effect.provide(broker({ warp: { minting: false } })))
    )

    it.effect("makes no token of one provider for another", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* denial({ provider: "elsewhere" })).step, "policy")
        assert.strictEqual(yield* creations, 0)
      }).pipe(Effect.provide(broker()))
    )
  })

  describe("step 5, rate limiter", () => {
    it.effect("is obeyed: the fourth token of an hour is refused until the first has left it", () =>
      Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          yield* ask()
          yield* spend(usedUp)
          yield* TestClock.adjust("6 minutes")
        }
        const error = yield* denial()
        assert.strictEqual(error.step, "rate_limiter")
        assert.deepStrictEqual(error.retryAfter, Duration.minutes(42))
        assert.strictEqual(yield* creations, 3)
        yield* TestClock.adjust(42 * 60_000 - 1)
        assert.deepStrictEqual((yield* denial()).retryAfter, Duration.millis(1))
        yield* TestClock.adjust(1)
        yield* ask()
        assert.strictEqual(yield* creations, 4)
      }).pipe(Effect.provide(broker()))
    )

    it.effect("gives a policy's denial the budget's time when that is later", () =>
      Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          yield* ask()
          yield* spend(usedUp)
          if (i < 2) yield* TestClock.adjust("6 minutes")
        }
        const error = yield* denial()
        assert.strictEqual(error.step, "policy")
        assert.deepStrictEqual(error.retryAfter, Duration.minutes(48))
      }).pipe(Effect.provide(broker()))
    )
  })

  describe("step 6, predictor", () => {
    const rested = Effect.gen(function* () {
      yield* add("personal")
      for (let i = 0; i < 30; i++) yield* spend(served)
      yield* spend({ _tag: "Throttled", signature: "synthetic", retryAfterMs: 3_600_000 })
    })

    it.effect("denies when the quota is sure to last, though no token can be lent now", () =>
      Effect.gen(function* () {
        yield* rested
        const error = yield* denial()
        assert.strictEqual(error.step, "predictor")
        assert.strictEqual((yield* statistics).totalAttempts, 0)
        assert.deepInclude((yield* lastDecision)?.inputs, { level: "HIGH", confidence: 1 })
      }).pipe(Effect.provide(broker()))
    )

    it.effect("counts a prediction that a decision asked for, and none that somebody only looked at", () =>
      Effect.gen(function* () {
        yield* rested
        const predictor = yield* Predictor
        for (let i = 0; i < 5; i++) yield* predictor.predict({ provider: "warp", kind: "personal" })
        const counts = Effect.map(Metric.snapshot, (all) =>
          all.flatMap((metric) =>
            metric.id === "weirgate_predictions_total" && metric.type === "Counter" ? [Number(metric.state.count)] : []
          )
        )
        assert.deepStrictEqual(yield* counts, [0, 0, 0, 0, 0])
        yield* denial()
        assert.deepStrictEqual((yield* counts).toSorted(), [0, 0, 0, 0, 1])
      }).pipe(Effect.provide(broker()), Effect.provideService(Metric.MetricRegistry, new Map()))
    )

    it.effect("does not stand in the way once its evidence is gone", () =>
      Effect.gen(function* () {
        yield* rested
        yield* TestClock.adjust("6 minutes")
        const predictor = yield* Predictor
        assert.strictEqual((yield* predictor.predict({ provider: "warp", kind: "personal" })).confidence, 0)
        assert.strictEqual((yield* ask()).kind, "anonymous")
      }).pipe(Effect.provide(broker()))
    )
  })

  describe("step 7, the upstream", () => {
    it.effect("waits as long as the upstream says it must, and never tries again in place", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        const retryAfter = Duration.minutes(25)
        yield* warp.fail("createAnonymousUser", new CreateUserRateLimited({ provider: "warp", retryAfter }))
        const error = yield* denial()
        assert.deepInclude(error, { step: "upstream", retryAfter })
        assert.strictEqual(yield* creations, 1)
        assert.deepInclude(yield* lastDecision, { answer: "failed", retryAfterMs: 25 * 60_000 })
        yield* TestClock.adjust(25 * 60_000 - 1)
        assert.deepInclude(yield* denial(), { step: "policy", retryAfter: Duration.millis(1) })
        yield* TestClock.adjust(1)
        yield* ask()
        assert.strictEqual(yield* creations, 2)
      }).pipe(Effect.provide(broker()))
    )

    it.effect("backs off from a refusal as from any failure", () =>
      Effect.gen(function* () {
        const warp = yield* ScriptedWarp
        yield* warp.fail("createAnonymousUser", new CreateUserRefused({ provider: "warp", reason: "synthetic" }))
        assert.deepInclude(yield* denial(), { step: "upstream", retryAfter: Duration.minutes(10) })
        assert.deepStrictEqual((yield* statistics).failureTypes, { CreateUserRefused: 1 })
      }).pipe(Effect.provide(broker()))
    )
  })

  it.effect("stops the work when the last who waits leaves before a place is taken", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      yield* warp.delay("createAnonymousUser", "2 seconds", 3)
      const others = yield* background(
        Effect.forEach(providers.slice(1), (provider) => ask({ provider }), { concurrency: "unbounded" })
      )
      const waiting = yield* background(ask())
      assert.strictEqual(yield* Acquisition.use(({ processing }) => processing), 4)
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(others)
      assert.strictEqual(yield* creations, 3)
      assert.strictEqual((yield* statistics).totalAttempts, 0)
      assert.strictEqual(yield* Acquisition.use(({ processing }) => processing), 0)
    }).pipe(Effect.provide(broker({ acquisition: { providers } })))
  )

  it.effect("stores the token it has asked for when everyone has left, and gives it to the next", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      yield* warp.delay("createAnonymousUser", "2 seconds")
      const callers = yield* background(
        Effect.forEach(["a", "b", "c"], (caller) => ask({ caller }), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(callers)
      const next = yield* background(ask({ caller: "d" }))
      yield* TestClock.adjust("1 second")
      const { id } = yield* Fiber.join(next)
      assert.strictEqual(yield* creations, 1)
      assert.deepInclude(yield* statistics, { totalAttempts: 1, succeeded: 1 })
      const decisions = yield* Acquisition.use((acquisition) => acquisition.decisions(10))
      assert.deepInclude(
        decisions.find(({ step }) => step === "upstream"),
        { answer: "token", caller: "a", token: id }
      )
    }).pipe(Effect.provide(broker()))
  )

  it.effect("harms nobody who waits when the one who came first leaves", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      yield* warp.delay("createAnonymousUser", "2 seconds")
      const first = yield* background(ask())
      const second = yield* background(ask({ caller: "bob" }))
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(second)).kind, "anonymous")
    }).pipe(Effect.provide(broker()))
  )

  it.effect("keeps the newest 500 decisions, newest first, with nothing in them that a secret could hide in", () =>
    Effect.gen(function* () {
      yield* add("personal")
      const secret = "synthetic0secret0of0some0length"
      for (let i = 0; i < 510; i++) yield* denial({ errorContext: `quota exceeded for ${secret}`, caller: `${i}` })
      const decisions = yield* Acquisition.use((acquisition) => acquisition.decisions(1_000))
      assert.strictEqual(decisions.length, 500)
      assert.deepStrictEqual([decisions[0]?.caller, decisions[499]?.caller], ["509", "10"])
      assert.notInclude(JSON.stringify(decisions), secret)
    }).pipe(Effect.provide(broker()))
  )

  it.effect("keeps a flood of the same denial as its first and a count", () =>
    Effect.gen(function* () {
      yield* add("personal")
      for (let i = 0; i < 100; i++) yield* denial({ caller: "flood" })
      yield* denial({ caller: "other" })
      const kept = Effect.map(
        Acquisition.use((acquisition) => acquisition.decisions(1_000)),
        (decisions) => decisions.map(({ caller, times }) => [caller, times])
      )
      assert.deepStrictEqual(yield* kept, [
        ["other", undefined],
        ["flood", undefined]
      ])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* kept)[0], ["flood", 99])
    }).pipe(Effect.provide(broker()))
  )

  it.effect("keeps and logs no secret of the token it acquires", () =>
    Effect.gen(function* () {
      yield* ask()
      const access = yield* Effect.scoped(
        TokenPool.use((pool) => Effect.map(pool.lease({ provider: "warp" }), (lease) => lease.access))
      )
      const logged = JSON.stringify(yield* TestConsole.logLines)
      const journalled = JSON.stringify(yield* Acquisition.use((acquisition) => acquisition.decisions(10)))
      for (const secret of [Redacted.value(access), "scripted-custom", "scripted-refresh"]) {
        assert.notInclude(logged + journalled, secret)
      }
    }).pipe(Effect.provide(broker()))
  )
})

const providers = ["warp", "north", "south", "west"]
