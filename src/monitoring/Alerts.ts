/** Tells a person in time of what needs one: once when it begins, once when it is over. */
import { Cause, Clock, Context, Duration, Effect, Layer, Random, Schedule } from "effect"
import { HttpClient } from "effect/http"
import type { Predictor } from "../acquisition/Predictor.ts"
import type { RateLimiter } from "../acquisition/RateLimiter.ts"
import { warpProvider } from "../domain/Provider.ts"
import type { TokenPool } from "../pool/TokenPool.ts"
import { type Page, type PageQuery, Store, type StoreUnavailable } from "../store/Store.ts"
import type { Governor } from "../traffic/Governor.ts"
import {
  activeOf,
  type Alert,
  type AlertEvent,
  alertJournal,
  alertRecords,
  type AlertRecord,
  step
} from "./alertState.ts"
import * as Delivery from "./delivery.ts"
import * as Observed from "./observed.ts"
import * as outbox from "./outbox.ts"
import { idOf, judge, timings } from "./rules.ts"
import * as telling from "./telling.ts"
import type { Webhook } from "./webhook.ts"

export { type Alert, AlertEvent } from "./alertState.ts"
export { type Rule, rules as alertRules } from "./rules.ts"
export { signature as webhookSignature, type Webhook } from "./webhook.ts"

export interface AlertsOptions {
  /** More attempts to acquire a token than this in an hour raise the alert (default 3). */
  readonly alertAbove?: number | undefined
  /** Where tokens are acquired (default `warp` alone). */
  readonly providers?: ReadonlyArray<string> | undefined
  /** Who is told beside the log, the metrics and the journal. */
  readonly webhook?: Webhook | undefined
  /** Between two looks (default 10 seconds; 20 at most, or processes would take one another for gone). */
  readonly every?: Duration.Input | undefined
}

export class Alerts extends Context.Service<
  Alerts,
  {
    /** Those that have fired and not recovered, oldest first: of all processes on the store. */
    readonly active: Effect.Effect<ReadonlyArray<Alert>, StoreUnavailable>
    /** What was told, newest first; the newest 1,000 are kept. Survives a restart. */
    recent(limit: number): Effect.Effect<ReadonlyArray<AlertEvent>, StoreUnavailable>
    /** The same in pages. */
    page(query: PageQuery<AlertEvent>): Effect.Effect<Page<AlertEvent>, StoreUnavailable>
  }
>()("weirgate/monitoring/Alerts") {
  /**
   * Looks every ten seconds at what the services know, and asks no upstream. An alert is told once by the processes that share a
   * store, and a restart neither repeats nor forgets it: what is told and what is owed to the webhook is stored in one step. A
   * crash right after that step may cost the line in the log and in the journal, and none of the deliveries.
   *
   * The webhook is told at least once, in order for each alert: ten tries over an hour, one delivery at a time, beside everything
   * else. A receiver knows a repetition by `id`, `event` and `at`.
   */
  static readonly layerWith = (options: AlertsOptions = {}): Layer.Layer<Alerts, never, Needs> =>
    Layer.effect(
      Alerts,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Alerts, never, Needs> = Alerts.layerWith()
}

type Needs = Store | TokenPool | RateLimiter | Predictor | Governor | HttpClient.HttpClient

const longestPause = Duration.seconds(20)

const make = Effect.fnUntraced(function* ({
  alertAbove = 3,
  every = "10 seconds",
  providers = [warpProvider],
  webhook
}: AlertsOptions) {
  // Unique among the processes that share the store, restarts included.
  const by = `${yield* Random.nextInt}-${yield* Clock.currentTimeMillis}`
  const store = yield* Store
  const observed = yield* Observed.make(providers)
  const wake = webhook && (yield* Delivery.make(yield* HttpClient.HttpClient, webhook, by))
  let isBlind = false

  const look = Effect.gen(function* () {
    const facts = yield* observed
    const records = new Map(yield* store.all(alertRecords))
    const judged = new Map(judge(facts, alertAbove).map((judgement) => [idOf(judgement), judgement] as const))
    const stepOf = (id: string, record: AlertRecord | undefined) => {
      const judgement = judged.get(id)
      const rule = judgement?.rule ?? record?.rule
      const { now } = facts
      return rule === undefined
        ? { event: undefined, next: undefined }
        : step(record, judgement, { now, by }, timings[rule])
    }
    const ids = [...new Set([...records.keys(), ...judged.keys()])]
    const moved = ids.filter((id) => stepOf(id, records.get(id)).next !== records.get(id))
    if (moved.length > 0) yield* move(moved, stepOf, records, facts.now)
    yield* telling.census(activeOf(records))
  })

  /** Not to be interrupted: what is stored as told is told. Brings `records` up to date. */
  const move = Effect.fnUntraced(function* (
    ids: ReadonlyArray<string>,
    stepOf: (id: string, record: AlertRecord | undefined) => ReturnType<typeof step>,
    records: Map<string, AlertRecord>,
    now: number
  ) {
    const { events, lost, steps } = yield* store.transact((stored) => {
      const steps = ids.map((id) => {
        const record = stored.get(alertRecords, id)
        const stepped = stepOf(id, record)
        if (stepped.next !== record) stored.set(alertRecords, id, stepped.next)
        return { id, ...stepped }
      })
      const events = steps.flatMap(({ event }) => (event === undefined ? [] : [event]))
      if (webhook === undefined || events.length === 0) return { events, lost: 0, steps }
      const filled = outbox.put(stored.get(outbox.outboxes, outbox.theOutbox), events, now)
      stored.set(outbox.outboxes, outbox.theOutbox, filled.outbox)
      return { events, lost: filled.lost, steps }
    })
    for (const { id, next } of steps) {
      if (next === undefined) records.delete(id)
      else records.set(id, next)
    }
    yield* telling.tried("given_up", lost)
    yield* Effect.forEach(events, telling.told, { discard: true })
    yield* store
      .append(alertJournal, events)
      .pipe(Effect.catch((error) => Effect.logWarning(`alerts are not in the journal: ${error.message}`)))
    if (wake !== undefined && events.length > 0) yield* wake
  }, Effect.uninterruptible)

  const lookOn = look.pipe(
    Effect.andThen(Effect.sync(() => void (isBlind = false))),
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
      const wasBlind = isBlind
      isBlind = true
      // The next look comes soon: what is wrong is told once.
      return wasBlind ? Effect.void : Effect.logWarning("alerts are not looked for now", Cause.pretty(cause))
    }),
    telling.annotated
  )
  yield* telling.begin
  yield* Effect.forkScoped(
    Effect.repeat(lookOn, Schedule.spaced(Duration.min(Duration.fromInputUnsafe(every), longestPause)))
  )

  return Alerts.of({
    active: Effect.map(store.all(alertRecords), activeOf),
    recent: (limit) => store.recent(alertJournal, limit),
    page: (query) => store.page(alertJournal, query)
  })
})
