import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Metric } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { createHmac } from "node:crypto"
import { alertRules, type AlertsOptions } from "../../src/monitoring/Alerts.ts"
import { add, StoreFaults } from "../pool/pools.ts"
import { call, metric, type Process, type ProcessOptions, Receiver, secret, start, webhook, world } from "./watched.ts"

const minute = 60_000
const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.scoped, Effect.provide(world), Effect.provideService(Metric.MetricRegistry, new Map()))

/** What the process has told of, oldest first, without what it took in between. */
const told = ({ alerts }: Process) =>
  Effect.map(alerts.recent(1_000), (events) => events.toReversed().map(({ event, id }) => `${event} ${id}`))
const activeIds = ({ alerts }: Process) => Effect.map(alerts.active, (all) => all.map(({ id }) => id))
const lines = (text: string) =>
  Effect.map(TestConsole.logLines, (all) => all.filter((line) => JSON.stringify(line).includes(text)))

const unusable = Effect.fnUntraced(function* (process: Process) {
  const id = yield* add(process.pool, "a")
  yield* process.pool.disable(id, "synthetic")
  return { end: process.pool.enable(id) }
})

const note = (process: Process, used: number) =>
  Effect.flatMap(process.pool.list(), ([token]) =>
    token === undefined
      ? Effect.die("there is no token")
      : process.predictor.noteQuota(token.id, { unlimited: false, limit: 100, used })
  )

interface Case {
  readonly rule: (typeof alertRules)[number]
  readonly options?: ProcessOptions
  /** Brings the condition about, and answers with what ends it. */
  readonly begin: (process: Process) => Effect.Effect<Effect.Effect<unknown, unknown>, unknown>
  readonly within: number
  readonly says: string
}

const cases: ReadonlyArray<Case> = [
  {
    rule: "acquisition_rate",
    options: { alerts: { webhook }, limits: { preset: "standard" } },
    begin: ({ limiter }) =>
      Effect.gen(function* () {
        for (let i = 0; i < 4; i++) {
          yield* limiter.reserve("warp", "synthetic")
          yield* TestClock.adjust("1 minute")
        }
        return TestClock.adjust("55 minutes")
      }),
    within: 0,
    says: "4 tokens of warp were asked for within an hour, more than 3"
  },
  {
    rule: "acquisition_budget",
    options: { alerts: { webhook }, limits: { hourly: 1 } },
    begin: ({ limiter }) => Effect.as(limiter.reserve("warp", "synthetic"), TestClock.adjust("59 minutes")),
    within: 0,
    says: "the budget for new tokens of warp is used up: 1 of 1 in the hour, 1 of 20 in the day"
  },
  {
    rule: "tokens_unusable",
    begin: (process) => Effect.map(unusable(process), ({ end }) => end),
    within: 15_000,
    says: "warp has no usable token: 1 disabled"
  },
  {
    rule: "provider_down",
    begin: (process) =>
      Effect.gen(function* () {
        for (let i = 0; i < 2; i++) yield* call(process, "warp", "Failed")
        return call(process, "warp", "Served")
      }),
    within: 30_000,
    says: "warp is down: its target is out of order"
  },
  {
    rule: "quota_ending",
    begin: (process) =>
      Effect.gen(function* () {
        yield* add(process.pool, "a")
        yield* note(process, 99)
        return note(process, 0)
      }),
    within: 30_000,
    says: "the quota of warp is about to end: none of its usable tokens (1) is predicted to last"
  }
]

describe("Alerts", () => {
  it.effect.each(cases)(
    "$rule is told once and recovers once: log, metrics, journal, and a webhook that fails twice first",
    ({ begin, options, rule, says, within }) =>
      isolated(
        Effect.gen(function* () {
          const receiver = yield* Receiver
          receiver.answers = [500, "broken", 204, 503, "broken", 204]
          const id = `${rule}:warp`
          const process = yield* start(options)
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* told(process), [])
          assert.strictEqual((yield* metric("weirgate_alert_active"))[`rule=${rule}`], 0)

          const end = yield* begin(process)
          if (within > 0) {
            yield* TestClock.adjust(within - 1)
            assert.deepStrictEqual(yield* told(process), [], "too soon")
          }
          // The next look, and the tries after ten and after twenty seconds.
          yield* TestClock.adjust("50 seconds")
          assert.deepStrictEqual(yield* told(process), [`fired ${id}`])
          const [active] = yield* process.alerts.active
          assert.deepInclude(active, { id, rule, subject: "warp", message: says })
          assert.strictEqual((yield* metric("weirgate_alert_active"))[`rule=${rule}`], 1)

          const [first, second, third] = receiver.received
          assert.lengthOf(receiver.received, 3)
          assert.strictEqual((second?.at ?? 0) - (first?.at ?? 0), 10_000)
          assert.strictEqual((third?.at ?? 0) - (second?.at ?? 0), 20_000)
          assert.strictEqual(third?.body, first?.body)
          assert.deepInclude(third?.json, { id, rule, subject: "warp", event: "fired", message: says })
          assert.hasAllKeys(third?.json, ["id", "rule", "subject", "event", "at", "since", "message", "values"])

          yield* end
          yield* TestClock.adjust(minute - 1)
          assert.deepStrictEqual(yield* told(process), [`fired ${id}`], "clear, but not for long enough")
          yield* TestClock.adjust("20 seconds")
          assert.deepStrictEqual(yield* told(process), [`fired ${id}`, `recovered ${id}`])
          assert.deepStrictEqual(yield* process.alerts.active, [])
          assert.strictEqual((yield* metric("weirgate_alert_active"))[`rule=${rule}`], 0)
          yield* TestClock.adjust("3 minutes")

          assert.deepStrictEqual(yield* told(process), [`fired ${id}`, `recovered ${id}`])
          const counted = yield* metric("weirgate_alerts_total")
          const expected = { [`event=fired rule=${rule}`]: 1, [`event=recovered rule=${rule}`]: 1 }
          for (const [labels, count] of Object.entries(counted))
            assert.strictEqual(count, expected[labels] ?? 0, labels)
          assert.lengthOf(Object.keys(counted), 2 * alertRules.length)
          assert.deepStrictEqual(yield* metric("weirgate_alert_webhook_total"), {
            "result=delivered": 2,
            "result=failed": 4,
            "result=given_up": 0
          })
          assert.deepStrictEqual(
            receiver.received.map(({ json }) => json.event),
            ["fired", "fired", "fired", "recovered", "recovered", "recovered"]
          )
          for (const { at, body, signature } of receiver.received) {
            const seconds = Math.floor(at / 1000)
            const code = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")
            assert.strictEqual(signature, `t=${seconds},v1=${code}`)
          }
          assert.lengthOf(yield* lines(says), 1)
          assert.lengthOf(yield* lines(receiver.received[3]?.json.message), 1)
          const logged = JSON.stringify(yield* TestConsole.logLines)
          for (const hidden of [secret, webhook.url]) assert.notInclude(logged, hidden)
        })
      )
  )

  it.effect("a condition that does not last is not told", () =>
    isolated(
      Effect.gen(function* () {
        const process = yield* start()
        for (let i = 0; i < 5; i++) {
          const { end } = yield* unusable(process)
          yield* TestClock.adjust("10 seconds")
          yield* end
          yield* TestClock.adjust("10 seconds")
        }
        assert.deepStrictEqual(yield* told(process), [])
      })
    )
  )

  it.effect("an alert that is clear for a moment neither recovers nor is told again", () =>
    isolated(
      Effect.gen(function* () {
        const process = yield* start()
        const { end } = yield* unusable(process)
        yield* TestClock.adjust("30 seconds")
        for (let i = 0; i < 5; i++) {
          yield* end
          yield* TestClock.adjust("40 seconds")
          yield* unusable(process)
          yield* TestClock.adjust("40 seconds")
        }
        assert.deepStrictEqual(yield* told(process), ["fired tokens_unusable:warp"])
      })
    )
  )

  it.effect("a restart neither repeats an alert nor forgets it, nor what the webhook is owed", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = [503, 503, 200]
        const first = yield* start()
        yield* unusable(first)
        yield* TestClock.adjust("35 seconds")
        assert.lengthOf(receiver.received, 2)
        yield* first.stop
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(receiver.received, 2)

        const second = yield* start()
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(yield* activeIds(second), ["tokens_unusable:warp"])
        assert.deepStrictEqual(yield* told(second), ["fired tokens_unusable:warp"])
        assert.lengthOf(receiver.received, 3)
        assert.strictEqual(receiver.received[2]?.body, receiver.received[0]?.body)
        assert.strictEqual((yield* metric("weirgate_alert_active"))["rule=tokens_unusable"], 1)
        yield* second.stop

        const third = yield* start()
        const [token] = yield* third.pool.list()
        if (token !== undefined) yield* third.pool.enable(token.id)
        yield* TestClock.adjust("3 minutes")
        assert.deepStrictEqual(yield* told(third), ["fired tokens_unusable:warp", "recovered tokens_unusable:warp"])
        assert.lengthOf(receiver.received, 4)
      })
    )
  )

  it.effect("a delivery that is cut off by the end of its process is made by the next one at once", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = ["nothing", 200]
        const first = yield* start()
        yield* unusable(first)
        yield* TestClock.adjust("20 seconds")
        assert.lengthOf(receiver.received, 1)
        yield* first.stop
        yield* start()
        yield* TestClock.adjust("1 second")
        assert.lengthOf(receiver.received, 2)
      })
    )
  )

  it.effect("processes on one store tell once, to the log and to the webhook", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = [500, 500, 200]
        const [one, two] = [yield* start(), yield* start()]
        const { end } = yield* unusable(one)
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(yield* activeIds(two), ["tokens_unusable:warp"])
        assert.lengthOf(receiver.received, 3)
        yield* end
        yield* TestClock.adjust("5 minutes")
        const both = ["fired tokens_unusable:warp", "recovered tokens_unusable:warp"]
        assert.deepStrictEqual([yield* told(one), yield* told(two)], [both, both])
        assert.lengthOf(receiver.received, 4)
        assert.lengthOf(yield* lines("warp has no usable token"), 1)
        assert.deepInclude(yield* metric("weirgate_alerts_total"), { "event=fired rule=tokens_unusable": 1 })
      })
    )
  )

  it.effect("what one process alone can see holds as long as that one sees it", () =>
    isolated(
      Effect.gen(function* () {
        const [one, two] = [yield* start(), yield* start()]
        yield* call(two, "warp", "Served")
        for (let i = 0; i < 2; i++) yield* call(one, "warp", "Failed")
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* told(two), ["fired provider_down:warp"])
        yield* one.stop
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* told(two), ["fired provider_down:warp", "recovered provider_down:warp"])
      })
    )
  )

  it.effect("after a start, a provider that was down is so until it was called", () =>
    isolated(
      Effect.gen(function* () {
        const first = yield* start()
        for (let i = 0; i < 2; i++) yield* call(first, "warp", "Failed")
        yield* TestClock.adjust("1 minute")
        yield* first.stop
        const second = yield* start()
        yield* second.governor.configure([
          { name: "warp", limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" } }
        ])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* activeIds(second), ["provider_down:warp"])
        yield* call(second, "warp", "Served")
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* activeIds(second), [])
      })
    )
  )

  it.effect("a webhook that takes nothing for an hour is told no more of it, and of the next alert all the same", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = [302]
        const process = yield* start()
        const { end } = yield* unusable(process)
        yield* TestClock.adjust("59 minutes")
        assert.isBelow(receiver.received.length, 10)
        yield* TestClock.adjust("5 minutes")
        assert.lengthOf(receiver.received, 10)
        assert.deepInclude(yield* metric("weirgate_alert_webhook_total"), { "result=given_up": 1 })
        receiver.answers = [200]
        yield* end
        yield* TestClock.adjust("2 minutes")
        assert.lengthOf(receiver.received, 11)
        assert.strictEqual(receiver.received[10]?.json.event, "recovered")
      })
    )
  )

  it.effect("a receiver that does not answer is given ten seconds, and holds up no look", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = ["nothing", 200]
        const process = yield* start()
        yield* unusable(process)
        yield* TestClock.adjust("20 seconds")
        assert.lengthOf(receiver.received, 1)
        for (let i = 0; i < 2; i++) yield* call(process, "nvidia", "Failed")
        yield* TestClock.adjust("9999 millis")
        assert.lengthOf(receiver.received, 1)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* told(process), ["fired tokens_unusable:warp", "fired provider_down:nvidia"])
        assert.deepStrictEqual(
          receiver.received.map(({ at, json }) => [json.subject, at - (receiver.received[0]?.at ?? 0)]),
          [
            ["warp", 0],
            ["warp", 20_000],
            ["nvidia", 40_000]
          ]
        )
      })
    )
  )

  it.effect("a provider that asks for silence again and again is down all the while, and told once", () =>
    isolated(
      Effect.gen(function* () {
        const process = yield* start()
        yield* call(process, "warp", "Served")
        for (let i = 0; i < 4; i++) {
          const now = yield* Clock.currentTimeMillis
          yield* process.governor.hold("warp", now + 5 * minute)
          // It is asked once more a while after its time is over.
          yield* TestClock.adjust(5 * minute + 15_000)
        }
        assert.deepStrictEqual(yield* told(process), ["fired provider_down:warp"])
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* told(process), ["fired provider_down:warp", "recovered provider_down:warp"])
      })
    )
  )

  it.effect("a client that breaks is a try that failed, and what it says is not told", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        receiver.answers = ["defect", 200]
        const process = yield* start()
        yield* unusable(process)
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(receiver.received, 2)
        assert.lengthOf(yield* lines("a delivery broke (TypeError)"), 1)
        const logged = JSON.stringify(yield* TestConsole.logLines)
        for (const hidden of [secret, webhook.url]) assert.notInclude(logged, hidden)
      })
    )
  )

  it.effect("while the store is away nothing is told, and nothing is lost", () =>
    isolated(
      Effect.gen(function* () {
        const faults = yield* StoreFaults
        const receiver = yield* Receiver
        const process = yield* start()
        yield* unusable(process)
        faults.fails = true
        yield* TestClock.adjust("5 minutes")
        assert.lengthOf(yield* lines("alerts are not looked for now"), 1)
        assert.deepStrictEqual(yield* told(process), [])
        faults.fails = false
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* told(process), ["fired tokens_unusable:warp"])
        assert.lengthOf(receiver.received, 1)
      })
    )
  )

  it.effect("without a webhook nothing is kept for one", () =>
    isolated(
      Effect.gen(function* () {
        const receiver = yield* Receiver
        const alone: AlertsOptions = {}
        const process = yield* start({ alerts: alone })
        yield* unusable(process)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* activeIds(process), ["tokens_unusable:warp"])
        yield* process.stop
        yield* start()
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(receiver.received, 0)
      })
    )
  )
})
