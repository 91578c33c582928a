/** What is kept of what has happened: decisions, changes, checks, alerts. Reads the store: asks no server and no upstream. */
import { Clock, Effect } from "effect"
import { Audit } from "../access/Audit.ts"
import { journal as decisionJournal } from "../acquisition/decisions.ts"
import { journal as checkJournal } from "../health/HealthChecks.ts"
import { activeOf, alertJournal, alertRecords } from "../monitoring/alertState.ts"
import { Store } from "../store/Store.ts"
import { json } from "./json.ts"
import { table } from "./table.ts"
import { ago, span, timeOf } from "./time.ts"

export interface Wanted {
  /** The newest so many. */
  readonly limit: number
  readonly json: boolean
}

const rowsOr = (headings: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>) =>
  rows.length === 0 ? "(none)" : table(headings, rows)

export const decisions = Effect.fnUntraced(function* (wanted: Wanted & { readonly provider: string | undefined }) {
  const { limit, provider } = wanted
  const { items: decisions } = yield* Store.use((store) => store.page(decisionJournal, { limit, where: { provider } }))
  if (wanted.json) return json({ decisions })
  return rowsOr(
    ["when", "provider", "caller", "step", "answer", "reason", "try again"],
    decisions.map(({ answer, at, caller, provider, reason, retryAfterMs, step, times }) => [
      timeOf(at),
      provider,
      caller,
      step,
      answer,
      times === undefined ? reason : `${reason} (${times} times more)`,
      retryAfterMs === undefined ? "" : `after ${span(retryAfterMs)}`
    ])
  )
})

export const audit = Effect.fnUntraced(function* (wanted: Wanted) {
  const entries = yield* Audit.use((audit) => audit.recent(wanted.limit))
  if (wanted.json) return json({ entries })
  return rowsOr(
    ["when", "who", "from", "action", "subject", "result", "detail"],
    entries.map(({ action, actor, address = "", at, detail = "", result, subject }) => [
      timeOf(at),
      actor,
      address,
      action,
      subject,
      result,
      detail
    ])
  )
})

export const checks = Effect.fnUntraced(function* (
  wanted: Wanted & {
    /** By name or id: of one that is gone as well. */
    readonly token: string | undefined
  }
) {
  // Among all of them when some only are wanted: where a page is of one field, these are of either of two.
  const most = wanted.token === undefined ? wanted.limit : checkJournal.keep
  const all = yield* Store.use((store) => store.recent(checkJournal, most))
  const checks = all
    .filter(({ name, token }) => wanted.token === undefined || token === wanted.token || name === wanted.token)
    .slice(0, wanted.limit)
  if (wanted.json) return json({ checks })
  return rowsOr(
    ["when", "token", "id", "provider", "result", "took", "detail"],
    checks.map(({ at, detail = "", name, ok, provider, took, token }) => [
      timeOf(at),
      name,
      token,
      provider,
      ok ? "ok" : "failed",
      `${Math.round(took)} ms`,
      detail
    ])
  )
})

export const alerts = Effect.fnUntraced(function* (wanted: Wanted) {
  const store = yield* Store
  const active = activeOf(yield* store.all(alertRecords))
  const recent = yield* store.recent(alertJournal, wanted.limit)
  if (wanted.json) {
    return json({ active: active.map(({ firedAt, ...rest }) => ({ ...rest, fired_at: firedAt })), recent })
  }
  const now = yield* Clock.currentTimeMillis
  return [
    "Now",
    rowsOr(
      ["since", "rule", "alert"],
      active.map(({ message, rule, since }) => [ago(now - since), rule, message])
    ),
    "",
    "Told",
    rowsOr(
      ["when", "event", "rule", "alert"],
      recent.map(({ at, event, message, rule }) => [timeOf(at), event, rule, message])
    )
  ].join("\n")
})
