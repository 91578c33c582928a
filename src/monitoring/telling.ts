/** What the alerts count and say. Labels are rules and results, of which there are few. */
import { Effect, Metric } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { Alert, AlertEvent } from "./alertState.ts"
import { rules } from "./rules.ts"

const active = Metric.gauge("weirgate_alert_active", {
  description: "Alerts that have fired and not recovered, by rule"
})
const events = Metric.counter("weirgate_alerts_total", {
  description: "Alerts that this process has told of, by rule and event: fired or recovered",
  incremental: true
})
const tries = Metric.counter("weirgate_alert_webhook_total", {
  description: "Tries to deliver an alert to the webhook, by result: delivered, failed; and alerts that were given_up",
  incremental: true
})

export const annotated = Effect.annotateLogs({ service: "Alerts" })

const ofRule = rules.map((rule) => [rule, Metric.withAttributes(active, { rule })] as const)

/** The gauges, also of rules that have none. */
export const census = (alerts: ReadonlyArray<Alert>): Effect.Effect<void> =>
  Effect.forEach(
    ofRule,
    ([rule, gauge]) => Metric.update(gauge, alerts.filter((alert) => alert.rule === rule).length),
    { discard: true }
  )

const allEvents = rules.flatMap((rule) =>
  (["fired", "recovered"] as const).map((event) => Metric.withAttributes(events, { rule, event }))
)

/** What has never happened is 0 from the start, so that the first time is seen as a rise. */
export const begin: Effect.Effect<void> = Effect.suspend(() =>
  Effect.andThen(census([]), fromZero([...allEvents, ...Object.values(byResult)]))
)

export const told = ({ event, id, message, rule, subject }: AlertEvent): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(events, { rule, event }), 1),
    (event === "fired" ? Effect.logWarning(message) : Effect.logInfo(message)).pipe(
      annotated,
      Effect.annotateLogs({ alert: id, rule, subject, event })
    )
  )

const byResult = {
  delivered: Metric.withAttributes(tries, { result: "delivered" }),
  failed: Metric.withAttributes(tries, { result: "failed" }),
  given_up: Metric.withAttributes(tries, { result: "given_up" })
}

export const tried = (result: keyof typeof byResult, count = 1): Effect.Effect<void> =>
  count === 0 ? Effect.void : Metric.update(byResult[result], count)
