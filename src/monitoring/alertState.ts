/** One alert: from when its condition begins to hold until it has been clear for a while. A pure rule over what is stored. */
import { Schema } from "effect"
import type { Collection, Journal } from "../store/Store.ts"
import { idOf, type Judgement, recovered, rules, type Timing } from "./rules.ts"

const fields = {
  /** `rule:subject`. */
  id: Schema.String,
  rule: Schema.Literals(rules),
  /** The name of a provider. */
  subject: Schema.String,
  /** Epoch milliseconds at which the condition began to hold. */
  since: Schema.Finite,
  message: Schema.String,
  /** The numbers behind the message. */
  values: Schema.Record(Schema.String, Schema.Finite)
}

export const AlertEvent = Schema.Struct({
  ...fields,
  event: Schema.Literals(["fired", "recovered"]),
  /** Epoch milliseconds. */
  at: Schema.Finite
})
export type AlertEvent = typeof AlertEvent.Type

export const AlertRecord = Schema.Struct({
  ...fields,
  /** Absent until the condition has held long enough. */
  firedAt: Schema.optionalKey(Schema.Finite),
  /** When it was last seen to hold, to within `refreshAfter`, and which process saw it. */
  heldAt: Schema.Finite,
  heldBy: Schema.String,
  /** Since when it is clear, though not long enough yet. */
  clearSince: Schema.optionalKey(Schema.Finite)
})
export type AlertRecord = typeof AlertRecord.Type

/** An alert that was told and has not recovered. */
export interface Alert extends Omit<AlertRecord, "firedAt" | "heldAt" | "heldBy" | "clearSince"> {
  /** Epoch milliseconds. */
  readonly firedAt: number
}

/** At most one for each rule and provider. */
export const alertRecords: Collection<AlertRecord> = { name: "alert", schema: AlertRecord }
export const alertJournal: Journal<AlertEvent> = { name: "alert", schema: AlertEvent, keep: 1_000 }

/** What has fired, in that order. */
export const activeOf = (records: ReadonlyMap<string, AlertRecord>): ReadonlyArray<Alert> =>
  [...records.values()]
    .flatMap(({ clearSince: _c, firedAt, heldAt: _a, heldBy: _b, ...rest }) =>
      firedAt === undefined ? [] : [{ ...rest, firedAt }]
    )
    .toSorted((a, b) => a.firedAt - b.firedAt || (a.id < b.id ? -1 : 1))

/** Milliseconds: a condition that holds on is stored no more often than that. */
export const refreshAfter = 15_000
/** Milliseconds after which what a process has last seen counts no more: it has ended, or looks no longer. */
export const stale = 40_000

export interface Look {
  readonly now: number
  /** The process that looks. */
  readonly by: string
}

export interface Step {
  /** What is to be told now, and never again. */
  readonly event: AlertEvent | undefined
  /** The record itself when nothing changes. */
  readonly next: AlertRecord | undefined
}

/**
 * What a look makes of an alert. Processes may see differently, since each has circuits of its own: as long as one sees it hold,
 * it holds. `judged` is undefined when the condition is clear.
 */
export const step = (
  stored: AlertRecord | undefined,
  judged: Judgement | undefined,
  look: Look,
  timing: Timing
): Step => {
  const record = stored && notAfter(stored, look.now)
  if (judged?.state === "holds") return held(record, judged, look, timing)
  if (record === undefined) return { event: undefined, next: undefined }
  const isLost = look.now - record.heldAt > stale
  // A record that nobody stands for is none; one that was told ends only when it is known to.
  if (judged !== undefined) {
    return { event: undefined, next: record.firedAt === undefined && isLost ? undefined : record }
  }
  const isOthers = record.clearSince === undefined && record.heldBy !== look.by && !isLost
  return isOthers ? { event: undefined, next: record } : clear(record, look, timing)
}

/**
 * What is said to have been seen later than now was seen before the clock was set back: its times begin now, or nothing would be
 * told until the clock is there again.
 */
const notAfter = (record: AlertRecord, now: number): AlertRecord => {
  const { clearSince = now, firedAt = now, heldAt, since } = record
  if (Math.max(since, firedAt, heldAt, clearSince) <= now) return record
  return {
    ...record,
    since: Math.min(since, now),
    heldAt: Math.min(heldAt, now),
    ...(record.firedAt !== undefined && { firedAt: Math.min(firedAt, now) }),
    ...(record.clearSince !== undefined && { clearSince: Math.min(clearSince, now) })
  }
}

const held = (
  record: AlertRecord | undefined,
  judged: Judgement & { readonly state: "holds" },
  { by, now }: Look,
  { holdFor }: Timing
): Step => {
  const { message, rule, subject, values } = judged
  const isNew = record === undefined || (record.firedAt === undefined && now - record.heldAt > stale)
  const since = isNew ? now : record.since
  const seen = { id: idOf(judged), rule, subject, since, message, values, heldAt: now, heldBy: by }
  if (isNew || record.firedAt === undefined) {
    if (now - since >= holdFor) {
      return { event: eventOf(seen, "fired", now), next: { ...seen, firedAt: now } }
    }
    return { event: undefined, next: isNew || now - record.heldAt >= refreshAfter ? seen : record }
  }
  const isFresh = record.clearSince === undefined && now - record.heldAt < refreshAfter
  return { event: undefined, next: isFresh ? record : { ...seen, firedAt: record.firedAt } }
}

const clear = (record: AlertRecord, { now }: Look, { clearFor }: Timing): Step => {
  if (record.firedAt === undefined) return { event: undefined, next: undefined }
  const { clearSince = now, rule, since, subject } = record
  if (now - clearSince >= clearFor) {
    const message = recovered(rule, subject, clearSince - since)
    return { event: eventOf({ ...record, message }, "recovered", now), next: undefined }
  }
  return { event: undefined, next: record.clearSince === undefined ? { ...record, clearSince } : record }
}

const eventOf = (
  { id, message, rule, since, subject, values }: Omit<AlertRecord, "firedAt" | "heldAt" | "heldBy">,
  event: AlertEvent["event"],
  at: number
): AlertEvent => ({ id, rule, subject, event, at, since, message, values })
