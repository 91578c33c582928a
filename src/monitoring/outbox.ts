/** What is still to be delivered, as it is stored: one record, so that one process delivers at a time. A pure rule; times are in milliseconds. */
import { Duration, Schema } from "effect"
import type { Collection } from "../store/Store.ts"
import type { AlertEvent } from "./alertState.ts"

export const Delivery = Schema.Struct({
  number: Schema.Int,
  /** The alert's id: what is said of one alert arrives in order. */
  alert: Schema.String,
  /** The same bytes in each try. */
  body: Schema.String,
  at: Schema.Finite,
  tries: Schema.Int,
  /** Not to be tried before. */
  dueAt: Schema.Finite
})
export type Delivery = typeof Delivery.Type

export const Outbox = Schema.Struct({
  next: Schema.Int,
  /** Oldest first; at most `most`. */
  deliveries: Schema.Array(Delivery),
  claim: Schema.optionalKey(Schema.Struct({ by: Schema.String, until: Schema.Finite }))
})
export type Outbox = typeof Outbox.Type

export const outboxes: Collection<Outbox> = { name: "alert_outbox", schema: Outbox }
/** The key of the one that there is. */
export const theOutbox = "webhook"

/** Beyond it the oldest is given up: a receiver that has been away for so long is told of the present. */
const most = 500
/** An hour in all, with the gaps below. */
export const mostTries = 10
const firstGap = Duration.toMillis("10 seconds")
const longestGap = Duration.toMillis("20 minutes")
/** News of yesterday, left from a time without a webhook or a server, are not worth a call. */
const newsFor = Duration.toMillis("1 day")
/** Longer than a try takes. */
const claimFor = Duration.toMillis("30 seconds")

const empty: Outbox = { next: 1, deliveries: [] }

export const gapAfter = (tries: number): number => Math.min(firstGap * 2 ** (tries - 1), longestGap)

/** `lost` are those for which there is no more room. */
export const put = (
  outbox: Outbox = empty,
  events: ReadonlyArray<AlertEvent>,
  now: number
): { readonly outbox: Outbox; readonly lost: number } => {
  const added = events.map((event, i) => ({
    number: outbox.next + i,
    alert: event.id,
    body: JSON.stringify(wire(event)),
    at: now,
    tries: 0,
    dueAt: now
  }))
  const all = [...outbox.deliveries, ...added]
  const lost = Math.max(0, all.length - most)
  return { outbox: { ...outbox, next: outbox.next + events.length, deliveries: all.slice(lost) }, lost }
}

const wire = ({ at, event, id, message, rule, since, subject, values }: AlertEvent) => ({
  id,
  rule,
  subject,
  event,
  at,
  since,
  message,
  values
})

export interface Taken {
  /** Claimed by the taker, until it says how it went or half a minute is over. */
  readonly delivery: Delivery | undefined
  /** When there may be something to take, should nothing happen until then; infinite when there will not. */
  readonly wakeAt: number
  /** Deliveries that were dropped because they are old. */
  readonly lost: number
  /** The same when nothing changes. */
  readonly outbox: Outbox
}

/** The oldest that is due and not behind another of its alert. */
export const take = (outbox: Outbox = empty, now: number, by: string): Taken => {
  const deliveries = outbox.deliveries.filter(({ at }) => now - at < newsFor)
  const lost = outbox.deliveries.length - deliveries.length
  const kept = lost === 0 ? outbox : { ...outbox, deliveries }
  const { claim } = outbox
  // What this process holds still, it could not put back: it delivers one at a time.
  // One that ends later than any can is from before the clock was set back, and so is a try that is due then.
  if (claim !== undefined && claim.by !== by && now < claim.until && claim.until - now <= claimFor) {
    return { delivery: undefined, wakeAt: claim.until, lost, outbox: kept }
  }
  const alerts = new Set<string>()
  let wakeAt = Number.POSITIVE_INFINITY
  for (const delivery of deliveries) {
    if (alerts.has(delivery.alert)) continue
    alerts.add(delivery.alert)
    if (delivery.dueAt <= now || delivery.dueAt - now > longestGap) {
      return { delivery, wakeAt: now, lost, outbox: { ...kept, claim: { by, until: now + claimFor } } }
    }
    wakeAt = Math.min(wakeAt, delivery.dueAt)
  }
  return { delivery: undefined, wakeAt, lost, outbox: kept }
}

/** How a try ended; `isGivenUp`: it was the last. */
export const settle = (
  outbox: Outbox = empty,
  number: number,
  isDelivered: boolean,
  now: number,
  by: string
): { readonly outbox: Outbox; readonly isGivenUp: boolean } => {
  const free = release(outbox, by)
  const tries = (outbox.deliveries.find((delivery) => delivery.number === number)?.tries ?? 0) + 1
  if (isDelivered || tries >= mostTries) {
    const deliveries = free.deliveries.filter((delivery) => delivery.number !== number)
    return { outbox: { ...free, deliveries }, isGivenUp: !isDelivered }
  }
  const deliveries = free.deliveries.map((delivery) =>
    delivery.number === number ? { ...delivery, tries, dueAt: now + gapAfter(tries) } : delivery
  )
  return { outbox: { ...free, deliveries }, isGivenUp: false }
}

/** Gives back what is claimed, as if it had not been tried. */
export const release = (outbox: Outbox, by: string): Outbox => {
  if (outbox.claim?.by !== by) return outbox
  const { claim: _, ...rest } = outbox
  return rest
}
