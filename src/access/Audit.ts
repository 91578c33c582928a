/** What people and programs have changed, and who tried to come in. */
import { Context, Schema } from "effect"
import type { Effect } from "effect"
import type { StoreUnavailable } from "../store/Store.ts"

export const AuditEntry = Schema.Struct({
  /** Epoch milliseconds. */
  at: Schema.Finite,
  /** The name of a key, `console`, `command line` or `weirgate` itself. */
  actor: Schema.String,
  /** Where it came from, when over the network. */
  address: Schema.optionalKey(Schema.String),
  /** Such as `key.create`, `token.remove`, `login`. */
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
    /** Kept durably when it returns. When the store fails it is logged instead: what was done was done. */
    record(entry: Omit<AuditEntry, "at">): Effect.Effect<void>
    /** Newest first. */
    recent(limit: number): Effect.Effect<ReadonlyArray<AuditEntry>, StoreUnavailable>
  }
>()("weirgate/access/Audit") {}
