import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { TokenId } from "../../src/domain/Token.ts"
import type { Examination, Lease, Strategy } from "../../src/pool/TokenPool.ts"
import type { Outcome, TokenRecord } from "../../src/pool/tokenState.ts"
import { UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, lease, leased, renewable, start, world } from "./pools.ts"
import { accessRejected, hour, quotaExhausted, succeeded, throttled } from "./records.ts"

const outcomes: ReadonlyArray<Outcome> = [
  succeeded,
  succeeded,
  quotaExhausted(),
  quotaExhausted(120_000),
  throttled(),
  throttled(),
  throttled(undefined, "other"),
  throttled(7_000),
  throttled(20_000, "other"),
  // What a check can bring back.
  accessRejected,
  accessRejected,
  accessRejected,
  accessRejected,
  { _tag: "Failed" },
  { _tag: "UpstreamFault" },
  { _tag: "CallerFault" },
  { _tag: "Blocked", reason: "terms" }
]

/** A check is its probe. */
const isExamined = ({ probe }: TokenRecord) => probe?.by.endsWith("/check") ?? false

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Lend = Schema.TaggedStruct("Lease", { strategy: Schema.Literals(["priority", "round_robin", "best"]) })
const Report = Schema.TaggedStruct("Report", { caller: below(8), outcome: below(outcomes.length) })
const Wait = Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 900, 7_000, 31_000, 61_000]) })
const Examine = Schema.TaggedStruct("Examine", {
  token: below(3),
  scheduled: Schema.Boolean,
  after: Schema.Literals([0, 31_000])
})
const Step = Schema.Union([
  // More than once: they shall come up more often.
  Lend,
  Lend,
  Lend,
  Report,
  Report,
  Report,
  Wait,
  Wait,
  Wait,
  // Of a hundred, some two are probes.
  Examine,
  Examine,
  Schema.TaggedStruct("Conclude", { token: below(3), outcome: below(outcomes.length) }),
  Schema.TaggedStruct("GiveUp", { token: below(3) }),
  Schema.TaggedStruct("Leave", { caller: below(8) }),
  Schema.TaggedStruct("Renew", { caller: below(8) }),
  Schema.TaggedStruct("Slow", { ms: Schema.Literals([50, 1_000]) }),
  Schema.TaggedStruct("Break", {}),
  Schema.TaggedStruct("Disable", { token: below(3) }),
  Schema.TaggedStruct("Reset", { token: below(3) })
])
const History = Schema.Array(Step).check(Schema.isMinLength(30), Schema.isMaxLength(50))

interface Caller {
  readonly fiber: Fiber.Fiber<unknown>
  lease: Lease | undefined
}

interface Examiner {
  readonly fiber: Fiber.Fiber<unknown>
  examination: Examination | undefined
}

interface Tally {
  lent: number
  probes: number
  examined: number
  examinedAsProbe: number
}

const play = Effect.fnUntraced(function* (history: typeof History.Type, tally: Tally) {
  const pool = yield* start()
  const warp = yield* ScriptedWarp
  const ids = [
    yield* add(pool, "a", "anonymous", renewable("a")),
    yield* add(pool, "b", "shared", renewable("b")),
    yield* add(pool, "c", "personal")
  ]
  const callers: Array<Caller> = []
  const probes = new Map<string, Caller>()
  const examiners = new Map<TokenId, Examiner>()

  /** By schedule or at a person's wish; held until it is concluded or given up. */
  const examine = (id: TokenId, scheduled: boolean) =>
    Effect.gen(function* () {
      const { lastCheck } = yield* pool.get(id)
      const examination = yield* pool.examine(id, scheduled ? { at: lastCheck?.at } : undefined)
      if (examination === undefined) return
      tally.examined += 1
      if (isExamined(yield* pool.get(id))) tally.examinedAsProbe += 1
      const examiner = examiners.get(id)
      if (examiner !== undefined) examiner.examination = examination
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.orDie)
  const giveUp = Effect.fnUntraced(function* (id: TokenId) {
    const examiner = examiners.get(id)
    if (examiner !== undefined) yield* Fiber.interrupt(examiner.fiber)
    examiners.delete(id)
  })

  /** A lease must fit the state that the token had when it was lent. */
  const check = (caller: Caller, strategy: Strategy) =>
    Effect.gen(function* () {
      const mine = yield* lease(pool, { strategy })
      const view = (yield* pool.list()).find(({ id }) => id === mine.id)
      tally.lent += 1
      if (mine.probe) tally.probes += 1
      if (view?.state._tag !== "active") {
        assert.isTrue(mine.probe, `lent while ${view?.state._tag}`)
        assert.notStrictEqual(view?.state._tag, "dead")
        assert.isFalse(isExamined(yield* Effect.orDie(pool.get(mine.id))), "a second probe beside the check")
        assert.isFalse(view?.state._tag === "disabled" && view.state.until === undefined)
        const other = probes.get(mine.id)
        assert.isTrue(other === undefined || other === caller, "a second probe")
        probes.set(mine.id, caller)
      }
      caller.lease = mine
    })

  const forget = (caller: Caller) => {
    for (const [id, prober] of probes) if (prober === caller) probes.delete(id)
  }

  for (const step of history) {
    const caller = "caller" in step ? callers[step.caller % Math.max(1, callers.length)] : undefined
    switch (step._tag) {
      case "Lease": {
        const made: { caller?: Caller } = {}
        const fiber = yield* Effect.suspend(() => check(made.caller!, step.strategy)).pipe(
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.catchTag("NoTokenUsable", () => Effect.void),
          Effect.forkChild
        )
        made.caller = { fiber, lease: undefined }
        callers.push(made.caller)
        yield* Effect.yieldNow
        break
      }
      case "Report":
        if (caller?.lease === undefined) break
        forget(caller)
        yield* caller.lease.report(outcomes[step.outcome]!)
        break
      case "Examine": {
        const id = ids[step.token]!
        yield* giveUp(id)
        // One that was refused may be probed then.
        yield* TestClock.adjust(step.after)
        examiners.set(id, { fiber: yield* Effect.forkChild(examine(id, step.scheduled)), examination: undefined })
        yield* Effect.yieldNow
        break
      }
      case "Conclude":
        yield* examiners.get(ids[step.token]!)?.examination?.conclude(outcomes[step.outcome]!) ?? Effect.void
        break
      case "GiveUp":
        yield* giveUp(ids[step.token]!)
        break
      case "Leave":
        if (caller === undefined) break
        forget(caller)
        yield* Fiber.interrupt(caller.fiber)
        callers.splice(callers.indexOf(caller), 1)
        break
      case "Renew":
        if (caller?.lease !== undefined) yield* Effect.forkChild(Effect.ignore(caller.lease.renew))
        break
      case "Wait":
        yield* TestClock.adjust(step.ms)
        break
      case "Slow":
        yield* warp.delay("refresh", step.ms)
        break
      case "Break":
        yield* warp.fail(
          "refresh",
          new UpstreamUnavailable({ provider: "warp", reason: "status", detail: "synthetic" }),
          2
        )
        break
      case "Disable":
        yield* pool.disable(ids[step.token]!, "by hand")
        break
      case "Reset":
        yield* pool.reset(ids[step.token]!)
        break
    }
    for (const { fiber } of callers) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined && Exit.isFailure(exit)) yield* exit
    }
  }
  yield* Effect.forEach(callers, ({ fiber }) => Fiber.interrupt(fiber))
  yield* Effect.forEach([...examiners.values()], ({ fiber }) => Fiber.interrupt(fiber))
  for (const id of ids) {
    const record = yield* pool.get(id)
    assert.deepStrictEqual([record.check, isExamined(record)], [undefined, false])
  }
  assert.strictEqual(yield* leased(pool), 0)
  // A pool that closes waits for its renewals, on the clock.
  yield* TestClock.adjust("10 seconds")
  for (const { state } of yield* pool.list()) {
    if ("until" in state && state.until !== undefined) assert.isBelow(state.until, 30 * hour)
  }
})

describe("any interleaving of leases, checks, reports, renewals, interruptions and people", () => {
  it.effect(
    "lends no token out of use but as its single probe, and gets every lease back",
    () =>
      Effect.gen(function* () {
        const tally = { lent: 0, probes: 0, examined: 0, examinedAsProbe: 0 }
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.schema(History),
          Effect.fnUntraced(function* (history: typeof History.Type) {
            const scope = yield* Scope.make()
            yield* play(history, tally).pipe(
              Scope.provide(scope),
              Effect.provide(world(), { local: true }),
              Effect.ensuring(Scope.close(scope, Exit.void)),
              Effect.provide(TestClock.layer(), { local: true }),
              // An assertion that fails is a defect, of which no shorter history would be sought.
              Effect.catchCause((cause) => Effect.fail(cause))
            )
            return true
          }),
          { runs: 1_000, size: 50 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
        // And that was put to the test.
        assert.isAbove(tally.lent, 3_000)
        assert.isAbove(tally.probes, 20)
        assert.isAbove(tally.examined, 500)
        assert.isAbove(tally.examinedAsProbe, 20)
      }),
    120_000
  )
})
