/** The shapes of errors on the wire: OpenAI's, and that of D4's token manager. */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"

/** OpenAI's, on `/v1` and `/api/admin`. */
export const ErrorBody = Schema.Struct({
  error: Schema.Struct({
    message: Schema.String,
    type: Schema.String,
    param: Schema.NullOr(Schema.String),
    code: Schema.NullOr(Schema.String)
  })
}).annotate({ identifier: "Error" })

export const failures = [400, 401, 403, 404, 409, 413, 415, 429, 500, 502, 503, 504].map((status) =>
  ErrorBody.pipe(HttpApiSchema.status(status))
)

/** D4's, on `/api/token` and the drive; `code` is the HTTP status. */
export const ManagerError = Schema.Struct({
  code: Schema.Int,
  success: Schema.Literal(false),
  /** For people. */
  error: Schema.String,
  /** For programs, such as `token_held`. */
  type: Schema.String,
  /** The field at fault, where there is one. */
  param: Schema.NullOr(Schema.String),
  /** In seconds, when waiting helps. */
  retry_after: Schema.optionalKey(Schema.Int)
}).annotate({ identifier: "ManagerError" })
export type ManagerError = typeof ManagerError.Type

export const managerFailures = [400, 401, 403, 404, 409, 413, 415, 429, 500, 502, 503, 504].map((status) =>
  ManagerError.pipe(HttpApiSchema.status(status))
)

/** D4's frame of what went well. */
export const answered = <F extends Schema.Struct.Fields>(fields: F) =>
  Schema.Struct({ code: Schema.Literal(200), success: Schema.Literal(true), ...fields })
