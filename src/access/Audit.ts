/** What people and programs have changed, and who tried to come in. */
import { Clock, Context, Effect, Layer, Metric, Schema } from "effect"
import { type Journal, type Page, type PageQuery, Store, type StoreUnavailable } from "../store/Store.ts"

export const AuditEntry = Schema.Struct({
  /** Epoch milliseconds. */
  at: Schema.Finite,
  /** The name of a key, `console`, `command line` or `weirgate` itself. */
  actor: Schema.String,
  /** Where it came from, when over the network. */
  address: Schema.optionalKey(Schema.String),
  /** Such as `key.create`, `token.remove`, `login`. It labels a metric: one of a few that the code names, nothing of a caller's. */
  action: Schema.String,
  /** What it was done to: a name or an id, never a secret. */
  subject: Schema.String,
  result: Schema.Literals(["done", "refused"]),
  detail: Schema.optionalKey(Schema.String)
})
export type AuditEntry = typeof AuditEntry.Type

export class Audit extends Context.Service<
  Audit,
  {
    /**
     * Kept durably when it returns; once begun it is not interrupted. The newest 10,000 stay. Of each text the first 200
     * characters are kept, in one line. When the store fails it is logged instead: what was done was done.
     */
    record(entry: Omit<AuditEntry, "at">): Effect.Effect<void>
    /** Newest first. Of all processes on the store. */
    recent(limit: number): Effect.Effect<ReadonlyArray<AuditEntry>, StoreUnavailable>
    /** The same in pages. */
    page(query: PageQuery<AuditEntry>): Effect.Effect<Page<AuditEntry>, StoreUnavailable>
  }
>()("weirgate/access/Audit") {
  static readonly layer: Layer.Layer<Audit, never, Store> = Layer.effect(
    Audit,
    Effect.suspend(() => make)
  )
}

const journal: Journal<AuditEntry> = { name: "audit", schema: AuditEntry, keep: 10_000 }

const entries = Metric.counter("weirgate_audit_entries_total", {
  description: "What was changed or tried, by action and result",
  incremental: true
})

const longest = 200
/** What a caller has chosen must neither fill the disk nor forge a line of the log. */
const shown = (text: string) =>
  Array.from(text.slice(0, longest * 2).replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " "))
    .slice(0, longest)
    .join("")

const make = Effect.gen(function* () {
  const store = yield* Store

  const record = Effect.fnUntraced(
    function* (given: Omit<AuditEntry, "at">) {
      const entry: AuditEntry = {
        at: yield* Clock.currentTimeMillis,
        actor: shown(given.actor),
        action: shown(given.action),
        subject: shown(given.subject),
        result: given.result,
        ...(given.address === undefined ? {} : { address: shown(given.address) }),
        ...(given.detail === undefined ? {} : { detail: shown(given.detail) })
      }
      const { action, actor, address, detail, result, subject } = entry
      const log = result === "done" ? Effect.logInfo : Effect.logWarning
      yield* log(`${action} ${subject}: ${result}`).pipe(
        Effect.annotateLogs({
          actor,
          ...(address === undefined ? {} : { address }),
          ...(detail === undefined ? {} : { detail })
        })
      )
      yield* Metric.update(Metric.withAttributes(entries, { action, result }), 1)
      yield* store
        .append(journal, [entry])
        .pipe(
          Effect.catch((error) =>
            Effect.logError(`not kept, only logged: ${error.message}`).pipe(Effect.annotateLogs({ ...entry }))
          )
        )
    },
    Effect.uninterruptible,
    Effect.annotateLogs({ service: "Audit" })
  )

  return Audit.of({
    record,
    recent: (limit) => store.recent(journal, limit),
    page: (query) => store.page(journal, query)
  })
})
