/** The one table from what went wrong to what the client is told: status, OpenAI's `type` and `code`, `Retry-After`. */
import { Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type { KeyNameRefused, KeyUnknown } from "../access/ClientKeys.ts"
import type { LoginRefused, LoginThrottled, PasswordRefused } from "../access/ConsoleAccount.ts"
import type { ManagerError } from "../contract/wire.ts"
import type { CallFailure } from "../domain/Failure.ts"
import type { DriveFailure } from "../drive/Drive.ts"
import type { LeaseUnknown, ProviderUnknown, TokenHeld, TokenNotHeld } from "../manager/TokenManager.ts"
import type { StreamRefused } from "../overview/Live.ts"
import type { TokenUnknown } from "../pool/TokenPool.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import type { GatewayFailure } from "../traffic/GatewayFailure.ts"
import type {
  BadRequest,
  CrossSite,
  Forbidden,
  ForeignHost,
  KeyRateLimited,
  ModelNotAllowed,
  NotFound,
  NothingToLend,
  ShuttingDown,
  Unauthorized
} from "./failures.ts"

export type WireFailure =
  | GatewayFailure
  | ShuttingDown
  | StoreUnavailable
  | BadRequest
  | Unauthorized
  | Forbidden
  | CrossSite
  | KeyRateLimited
  | ModelNotAllowed
  | ForeignHost
  | NotFound
  | NothingToLend
  | DriveFailure
  | TokenHeld
  | TokenNotHeld
  | TokenUnknown
  | LeaseUnknown
  | ProviderUnknown
  | KeyNameRefused
  | KeyUnknown
  | LoginRefused
  | LoginThrottled
  | PasswordRefused
  | StreamRefused

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

/** The same in D4's frame, for D4's paths. */
export const managerResponse = (failure: WireFailure) => respondToManager(wireOf(failure))

const isManagers = /^\/api\/(token|folders|files|download)(\/|\?|$)/

/** The answer, or what went wrong. */
export const answering = <A, E extends WireFailure, R>(answer: Effect.Effect<A, E, R>) =>
  answer.pipe(Effect.catch((failure) => Effect.succeed(errorResponse(failure))))

/** The same in D4's frame. */
export const answeringManager = <A, E extends WireFailure, R>(answer: Effect.Effect<A, E, R>) =>
  answer.pipe(Effect.catch((failure) => Effect.succeed(managerResponse(failure))))

/** In the frame that the callers of that path know. */
export const responseFor = (url: string, failure: WireFailure) =>
  isManagers.test(url) ? managerResponse(failure) : errorResponse(failure)
export const defectResponseFor = (url: string) => (isManagers.test(url) ? respondToManager(defect) : respond(defect))

/** For what nobody foresaw: tells nothing of its inside. */
const defect: Wire = {
  status: 500,
  type: "server_error",
  code: "internal_error",
  message: "the server failed to handle the request"
}
export const defectAnswer = answerOf(defect)

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
    case "Forbidden":
      return { status: 403, type: "invalid_request_error", code: "role_not_allowed", message }
    case "CrossSite":
      return { status: 403, type: "invalid_request_error", code: "cross_site", message }
    case "KeyRateLimited":
      return { ...tooMany("key_rate_limited", message), retryAfter: failure.retryAfter }
    case "ModelNotAllowed":
      return { status: 403, type: "invalid_request_error", code: "model_not_allowed", message, param: "model" }
    case "LoginRefused":
      return { status: 401, type: "invalid_request_error", code: "wrong_password", message, param: "password" }
    case "LoginThrottled":
      return { ...tooMany("login_throttled", message), retryAfter: failure.retryAfter }
    case "PasswordRefused":
      return { status: 400, type: "invalid_request_error", code: "password_refused", message, param: "password" }
    case "KeyNameRefused":
      return failure.reason === "taken"
        ? { status: 409, type: "invalid_request_error", code: "name_taken", message, param: "name" }
        : { status: 400, type: "invalid_request_error", code: null, message, param: "name" }
    case "KeyUnknown":
      return { status: 404, type: "invalid_request_error", code: "key_unknown", message }
    case "TokenHeld":
      return {
        status: 409,
        type: "invalid_request_error",
        code: failure.by === "token" ? "token_held" : "name_taken",
        message,
        param: failure.by
      }
    case "TokenNotHeld":
    case "TokenUnknown":
      return { status: 404, type: "invalid_request_error", code: "token_unknown", message }
    case "LeaseUnknown":
      return {
        status: failure.reason === "unknown" ? 404 : 409,
        type: "invalid_request_error",
        code: `lease_${failure.reason}`,
        message,
        param: failure.reason === "none" ? "token" : "lease"
      }
    case "ProviderUnknown":
      return { status: 404, type: "invalid_request_error", code: "provider_unknown", message, param: "provider" }
    case "PathUnknown":
      return { status: 404, type: "invalid_request_error", code: "path_unknown", message }
    case "NoTokenUsable":
      if (failure.held === 0) return { status: 404, type: "invalid_request_error", code: "no_token", message }
      return { status: 503, type: "server_error", code: "no_token", message, retryAfter: failure.retryAfter }
    case "NothingToLend":
      return { status: 404, type: "invalid_request_error", code: "no_token", message, retryAfter: failure.retryAfter }
    case "ForeignHost":
      return { status: 403, type: "invalid_request_error", code: "foreign_host", message }
    case "ShuttingDown":
      return { status: 503, type: "server_error", code: "shutting_down", message, retryAfter: Duration.seconds(1) }
    case "StreamRefused":
      return failure.reason === "full"
        ? { ...tooMany("too_many_streams", message), retryAfter: Duration.seconds(15) }
        : { status: 503, type: "server_error", code: "shutting_down", message, retryAfter: Duration.seconds(1) }
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
      return failure.reason === "unavailable" || failure.reason === "paused"
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

function tooMany(code: string, message: string): Wire {
  return { status: 429, type: "rate_limit_error", code, message }
}

function bodyOf({ type, code, message, param = null }: Wire) {
  return { error: { message, type, param, code } }
}

function headersOf({ retryAfter, status }: Wire): Record<string, string> {
  return {
    ...(retryAfter !== undefined && {
      "retry-after": String(secondsOf(retryAfter)),
      ...(Duration.isGreaterThan(retryAfter, longestClientRetry) && { "x-should-retry": "false" })
    }),
    ...(status === 401 && { "www-authenticate": "Bearer" })
  }
}

function respond(wire: Wire) {
  return HttpServerResponse.jsonUnsafe(bodyOf(wire), { status: wire.status, headers: headersOf(wire) })
}

function respondToManager(wire: Wire) {
  const { code, message, param = null, retryAfter, status, type } = wire
  const body: ManagerError = {
    code: status,
    success: false,
    error: message,
    type: code ?? type,
    param,
    ...(retryAfter !== undefined && { retry_after: secondsOf(retryAfter) })
  }
  return HttpServerResponse.jsonUnsafe(body, { status, headers: headersOf(wire) })
}

/** Rounded up: a client that comes back at the second must not be refused again. */
function secondsOf(wait: Duration.Duration) {
  return Math.max(1, Math.ceil(Duration.toSeconds(wait)))
}

function answerOf(wire: Wire): WireAnswer {
  return {
    status: wire.status,
    headers: ["content-type", "application/json", ...Object.entries(headersOf(wire)).flat()],
    body: JSON.stringify(bodyOf(wire))
  }
}
