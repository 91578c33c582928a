/** The one way in which the store fails. */
import { Effect, Schema } from "effect"

/** The store could not be reached or would not take the write. Nothing was changed. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the store failed to ${this.operation}: ${this.detail}`
  }
}

/** Runs what may throw as an operation of the store. */
export const attempt = <A>(operation: string, f: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: f, catch: (cause) => new StoreUnavailable({ operation, detail: describe(cause) }) })

const describe = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
