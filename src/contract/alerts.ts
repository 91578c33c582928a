/** What is wrong now, and what was, on the wire. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { rules } from "../domain/alertRule.ts"
import { Access } from "./Access.ts"
import { aboutBefore, cursor, limitOf, next } from "./page.ts"
import { failures as error } from "./wire.ts"

/** Epoch milliseconds. */
const Instant = Schema.Finite

const fields = {
  /** `rule:subject`. */
  id: Schema.String,
  rule: Schema.Literals(rules),
  /** The name of a provider. */
  subject: Schema.String,
  /** When the condition began to hold. */
  since: Instant,
  /** For people. */
  message: Schema.String,
  /** The numbers behind the message. */
  values: Schema.Record(Schema.String, Schema.Finite)
}

export const Alert = Schema.Struct({ ...fields, fired_at: Instant }).annotate({ identifier: "Alert" })

export const AlertEvent = Schema.Struct({
  ...fields,
  event: Schema.Literals(["fired", "recovered"]),
  at: Instant
}).annotate({ identifier: "AlertEvent" })

export class AlertsApi extends HttpApiGroup.make("alerts")
  .add(
    HttpApiEndpoint.get("alerts", "/api/admin/alerts", {
      query: { limit: limitOf(1_000), before: cursor },
      success: Schema.Struct({ active: Schema.Array(Alert), recent: Schema.Array(AlertEvent), next }),
      error
    })
      .annotate(OpenApi.Summary, "The alerts that hold now, oldest first, and what was told of them; newest first")
      .annotate(OpenApi.Description, `The pages are of what was told: the newest 1,000 are kept. ${aboutBefore}`)
  )
  .middleware(Access) {}
