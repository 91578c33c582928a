/** The one table from what went wrong to what the client is told: status, OpenAI's `type` and `code`, `Retry-After`. */
import { Duration, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import type { CallFailure } from "../domain/Failure.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import type { GatewayFailure } from "../traffic/Gateway.ts"

/** What the caller sent cannot be used; `param` is the path of the field. */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", {
  param: Schema.NullOr(Schema.String),
  reason: Schema.String,
  status: Schema.Literals([400, 413, 415])
}) {
  override get message() {
    return this.param === null ? this.reason : `${this.param}: ${this.reason}`
  }
}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {
  override get message() {
    return "a valid API key is needed: send it as “Authorization: Bearer …”"
  }
}

/** The `Host` header names a machine that is not this one (DNS rebinding). */
export class ForeignHost extends Schema.TaggedError<ForeignHost>()("ForeignHost", {}) {
  override get message() {
    return "this server answers only to local host names while it has no API keys"
  }
}

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  method: Schema.String,
  path: Schema.String
}) {
  override get message() {
    return `there is nothing at ${this.method} ${this.path}`
  }
}

/** The server is going, and has waited for this request as long as it may. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  override get message() {
    return "the server is shutting down"
  }
}

export type WireFailure =
  | GatewayFailure
  | ShuttingDown
  | StoreUnavailable
  | BadRequest
  | Unauthorized
  | ForeignHost
  | NotFound

interface Wire {
  readonly status: number
  readonly type: string
  readonly code: string | null
  readonly message: string
  readonly param?: string | null
  readonly retryAfter?: Duration.Duration | undefined
}

/** OpenAI's error body. */
export const errorBody = (failure: WireFailure) => bodyOf(wireOf(failure))

/** The last event of a stream that broke. That a token's quota ended with it is no lack of quota: a repetition is served. */
export const brokenStreamBody = (failure: CallFailure | ShuttingDown) =>
  failure._tag === "QuotaExhausted"
    ? bodyOf({
        status: 502,
        type: "upstream_error",
        code: "upstream_cut",
        message: "the answer was cut: the quota of the token that gave it has ended; ask again"
      })
    : errorBody(failure)

/** OpenAI's clients retry by themselves; beyond this wait a retry within the same call cannot help. */
const longestClientRetry = Duration.seconds(60)

/** An answer as it is written: its headers as name, value, name, value. */
export interface WireAnswer {
  readonly status: number
  readonly headers: ReadonlyArray<string>
  readonly body: string | Uint8Array
}

export const wireAnswer = (failure: WireFailure): WireAnswer => answerOf(wireOf(failure))

export const errorResponse = (failure: WireFailure) => respond(wireOf(failure))

/** For what nobody foresaw: tells nothing of its inside. */
const defect: Wire = {
  status: 500,
  type: "server_error",
  code: "internal_error",
  message: "the server failed to handle the request"
}
export const defectAnswer = answerOf(defect)
export const defectResponse = respond(defect)

export const defectBody = bodyOf({
  status: 500,
  type: "server_error",
  code: "internal_error",
  message: "the server failed to finish the answer"
})

function wireOf(failure: WireFailure): Wire {
  const { message } = failure
  switch (failure._tag) {
    case "BadRequest":
      return { status: failure.status, type: "invalid_request_error", code: null, message, param: failure.param }
    case "Unauthorized":
      return { status: 401, type: "invalid_request_error", code: "invalid_api_key", message }
    case "ForeignHost":
      return { status: 403, type: "invalid_request_error", code: "foreign_host", message }
    case "ShuttingDown":
      return { status: 503, type: "server_error", code: "shutting_down", message, retryAfter: Duration.seconds(1) }
    case "NotFound":
      return { status: 404, type: "invalid_request_error", code: "not_found", message }
    case "RequestRejected":
      // Warp says 400 where OpenAI's clients expect 404.
      return {
        status: failure.code === "model_not_found" ? 404 : failure.status,
        type: "invalid_request_error",
        code: failure.code,
        message,
        param: failure.param ?? null
      }
    case "QuotaExhausted":
      return { status: 429, type: "insufficient_quota", code: "insufficient_quota", message }
    case "NoCapacity":
      return failure.retryAfter === undefined
        ? { status: 503, type: "server_error", code: "no_token", message }
        : { status: 429, type: "insufficient_quota", code: "no_token", message, retryAfter: failure.retryAfter }
    case "ModelNotServed":
      return {
        status: 404,
        type: "invalid_request_error",
        code: failure.endpoint === undefined ? "model_not_found" : "unsupported_endpoint",
        message,
        param: "model"
      }
    case "SlotRefused":
      return failure.reason === "unavailable"
        ? { status: 503, type: "server_error", code: "no_target", message, retryAfter: failure.retryAfter }
        : {
            status: 429,
            type: "rate_limit_error",
            code: `queue_${failure.reason}`,
            message,
            retryAfter: failure.retryAfter
          }
    case "DeadlineExceeded":
      return { status: 504, type: "server_error", code: "deadline_exceeded", message }
    case "Throttled":
      return {
        status: 429,
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
        message,
        retryAfter: failure.retryAfter ?? Duration.seconds(1)
      }
    case "AccessRejected":
    case "AccountBlocked":
      return { status: 502, type: "upstream_error", code: "upstream_credentials", message }
    case "UpstreamUnavailable":
      return {
        status: failure.reason === "timeout" ? 504 : 502,
        type: "upstream_error",
        code: `upstream_${failure.reason}`,
        message,
        retryAfter: failure.retryAfter
      }
    case "StoreUnavailable":
      return {
        status: 503,
        type: "server_error",
        code: "store_unavailable",
        message: "the server's store is unavailable"
      }
  }
}

function bodyOf({ type, code, message, param = null }: Wire) {
  return { error: { message, type, param, code } }
}

function headersOf({ retryAfter, status }: Wire): Record<string, string> {
  return {
    ...(retryAfter !== undefined && {
      // Rounded up: a client that comes back at the second must not be refused again.
      "retry-after": String(Math.max(1, Math.ceil(Duration.toSeconds(retryAfter)))),
      ...(Duration.isGreaterThan(retryAfter, longestClientRetry) && { "x-should-retry": "false" })
    }),
    ...(status === 401 && { "www-authenticate": "Bearer" })
  }
}

function respond(wire: Wire) {
  return HttpServerResponse.jsonUnsafe(bodyOf(wire), { status: wire.status, headers: headersOf(wire) })
}

function answerOf(wire: Wire): WireAnswer {
  return {
    status: wire.status,
    headers: ["content-type", "application/json", ...Object.entries(headersOf(wire)).flat()],
    body: JSON.stringify(bodyOf(wire))
  }
}
