/** What whoever runs the server may see and change. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Role } from "../access/Client.ts"
import { Access } from "./Access.ts"
import { aboutBefore, cursor, limitOf, next } from "./page.ts"
import { failures as error } from "./wire.ts"

/** Epoch milliseconds. */
const Instant = Schema.Finite
const Password = Schema.RedactedFromValue(Schema.String.check(Schema.isMaxLength(1_024)))

export const SessionView = Schema.Struct({
  actor: Schema.String,
  /** To be sent back as `x-csrf-token` with each change. */
  csrf: Schema.RedactedFromValue(Schema.String),
  /** When it ends if nothing is asked meanwhile, and in any case. */
  idle_until: Instant,
  until: Instant
}).annotate({ identifier: "Session" })

export const AuditEntry = Schema.Struct({
  at: Instant,
  actor: Schema.String,
  address: Schema.optionalKey(Schema.String),
  /** Such as `key.create`. */
  action: Schema.String,
  subject: Schema.String,
  result: Schema.Literals(["done", "refused"]),
  detail: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "AuditEntry" })

export const CheckResult = Schema.Struct({
  at: Instant,
  /** The token's id. */
  token: Schema.String,
  name: Schema.String,
  provider: Schema.String,
  ok: Schema.Boolean,
  /** In milliseconds. */
  took: Schema.Finite,
  detail: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "CheckResult" })

const keyFields = {
  name: Schema.String,
  role: Role,
  priority: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))),
  /** Requests in any 60 seconds. */
  rpm: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
  models: Schema.optionalKey(
    Schema.Array(Schema.NonEmptyString.check(Schema.isMaxLength(200))).check(
      Schema.isMinLength(1),
      Schema.isMaxLength(1_000)
    )
  ),
  expires_at: Schema.optionalKey(Instant)
}

export const KeyView = Schema.Struct({
  id: Schema.String,
  ...keyFields,
  state: Schema.Literals(["live", "expired", "revoked"]),
  source: Schema.Literals(["configuration", "made"]),
  created_at: Schema.NullOr(Instant),
  revoked_at: Schema.NullOr(Instant),
  last_used_at: Schema.NullOr(Instant)
}).annotate({ identifier: "Key" })
export type KeyView = typeof KeyView.Type

const NewKey = Schema.Struct({
  ...keyFields,
  /** Up to the last instant that a date can tell. */
  expires_at: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8.64e15 })))
}).annotate({ identifier: "NewKey" })
const id = Schema.Struct({ id: Schema.String.check(Schema.isMaxLength(200)) })
const Done = Schema.Struct({ done: Schema.Literal(true) })

/** Without a session or a key: this is where one comes from. */
export class Login extends HttpApiGroup.make("login")
  .add(
    HttpApiEndpoint.post("login", "/api/admin/login", {
      payload: Schema.Struct({ password: Password }),
      success: SessionView,
      error
    }).annotate(OpenApi.Summary, "Begins a session of the console, told in a cookie")
  )
  .add(
    HttpApiEndpoint.get("session", "/api/admin/session", { success: Schema.NullOr(SessionView), error }).annotate(
      OpenApi.Summary,
      "The session of the cookie; null without one"
    )
  ) {}

export class Admin extends HttpApiGroup.make("admin")
  .add(
    HttpApiEndpoint.post("logout", "/api/admin/logout", { success: Done, error }).annotate(
      OpenApi.Summary,
      "Ends the session"
    ),
    HttpApiEndpoint.put("password", "/api/admin/password", {
      payload: Schema.Struct({ current: Password, password: Password }),
      success: Done,
      error
    }).annotate(OpenApi.Summary, "Changes the console's password and ends all sessions"),
    HttpApiEndpoint.get("keys", "/api/admin/keys", {
      success: Schema.Struct({ keys: Schema.Array(KeyView) }),
      error
    }).annotate(OpenApi.Summary, "The keys, without what they are"),
    HttpApiEndpoint.post("createKey", "/api/admin/keys", {
      payload: NewKey,
      success: Schema.Struct({ key: Schema.RedactedFromValue(Schema.String), ...KeyView.fields }),
      error
    }).annotate(OpenApi.Summary, "Makes a key, which is told this once"),
    HttpApiEndpoint.delete("revokeKey", "/api/admin/keys/:id", { params: id, success: KeyView, error }).annotate(
      OpenApi.Summary,
      "Revokes a key, by its id or name"
    ),
    HttpApiEndpoint.get("audit", "/api/admin/audit", {
      query: { limit: limitOf(1_000), before: cursor },
      success: Schema.Struct({ entries: Schema.Array(AuditEntry), next }),
      error
    })
      .annotate(
        OpenApi.Summary,
        "What was changed, and by whom; newest first, of the 10,000 entries that are kept; 100 a page unless it says so"
      )
      .annotate(OpenApi.Description, aboutBefore),
    HttpApiEndpoint.get("checks", "/api/admin/checks", {
      query: { limit: limitOf(1_000), before: cursor, token: Schema.optionalKey(Schema.String) },
      success: Schema.Struct({ checks: Schema.Array(CheckResult), next }),
      error
    })
      .annotate(
        OpenApi.Summary,
        "How the tokens' health checks ended; newest first, of the 5,000 that are kept; 100 a page unless it says so"
      )
      .annotate(OpenApi.Description, aboutBefore),
    HttpApiEndpoint.post("check", "/api/admin/tokens/:id/check", {
      params: id,
      success: Schema.Struct({ check: Schema.NullOr(CheckResult) }),
      error
    }).annotate(OpenApi.Summary, "Checks a token now; null when its upstream cannot be asked"),
    HttpApiEndpoint.post("disable", "/api/admin/tokens/:id/disable", { params: id, success: Done, error }).annotate(
      OpenApi.Summary,
      "Takes a token out of use until it is enabled"
    ),
    HttpApiEndpoint.post("enable", "/api/admin/tokens/:id/enable", { params: id, success: Done, error }).annotate(
      OpenApi.Summary,
      "Lets a token be used again"
    ),
    HttpApiEndpoint.post("reset", "/api/admin/tokens/:id/reset", { params: id, success: Done, error }).annotate(
      OpenApi.Summary,
      "Forgets a token's failures, also the final ones"
    )
  )
  .middleware(Access) {}
