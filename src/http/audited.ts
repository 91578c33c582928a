/** Keeps who changed what through HTTP, or tried to: a caller who leaves meanwhile does not keep it out of the log. */
import { Effect } from "effect"
import type { Audit, AuditEntry } from "../access/Audit.ts"
import { Caller } from "../contract/Access.ts"

/** `subject` is a name or an id, never a secret; of what comes of the change where it is not known before. */
export const auditing =
  (audit: Audit["Service"]) =>
  <A, E extends Error, R>(
    action: string,
    subject: string | ((changed: A) => string),
    change: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R | Caller> =>
    Effect.flatMap(Caller, ({ address, name: actor }) => {
      const record = (subject: string, rest: Pick<AuditEntry, "result" | "detail">) =>
        audit.record({ actor, ...(address !== undefined && { address }), action, subject, ...rest })
      return change.pipe(
        Effect.tap((changed) => record(typeof subject === "string" ? subject : subject(changed), { result: "done" })),
        Effect.tapError(({ message }) =>
          record(typeof subject === "string" ? subject : "", { result: "refused", detail: message })
        ),
        Effect.uninterruptible
      )
    })
