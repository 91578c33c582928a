/** The answers of the emulated Warp, word for word as its own server and the services before it give them. */
import { HttpServerResponse } from "effect/http"
import type { WarpCall, WarpFault } from "./warpFault.ts"

const tooManyPage = `<!doctype html><meta charset="utf-8"><meta name=viewport content="width=device-width, initial-scale=1"><title>429</title>429 Too Many Requests`
const forbiddenPage = `<!doctype html><meta charset="utf-8"><title>403</title>403 Forbidden`
const blocked =
  "Your account has been blocked from using AI features. If you think this is in error, please contact appeals@warp.dev. Otherwise, please upgrade to a paid plan at https://app.warp.dev/upgrade."

const error = (status: number, message: string, headers: Record<string, string> = {}) =>
  HttpServerResponse.jsonUnsafe({ error: message }, { status, headers })

const page = (status: number, text: string, headers: Record<string, string> = {}) =>
  HttpServerResponse.text(text, { status, contentType: "text/html; charset=utf-8", headers })

export const tooManyRequests = page(429, tooManyPage)

export const unauthorized = (reason: string) => error(401, reason)

export const noQuota = error(429, "No remaining quota: No AI requests remaining")

export const modelNotAllowed = (model: string) =>
  error(400, `requested base model ${model} is not allowed for your account`)

/** What becomes of a body the server cannot read, and of the server's own faults. */
export const serverError = (status = 500, headers: Record<string, string> = {}) =>
  HttpServerResponse.empty({ status, headers: { ...headers, "content-length": "0", server: "Google Frontend" } })

/** The first version of Google's error shape, as the identity and token services use it. */
export const identityError = (code: string) =>
  HttpServerResponse.jsonUnsafe({ error: { code: 400, message: code, status: "INVALID_ARGUMENT" } }, { status: 400 })

export const invalidApiKey = identityError("API key not valid. Please pass a valid API key.")

const serverVersion = "v0.sandbox"

export const graphqlData = (field: string, result: Record<string, unknown>) =>
  HttpServerResponse.jsonUnsafe({ data: { [field]: { ...result, responseContext: { serverVersion } } } })

export const graphqlErrors = (message: string) => HttpServerResponse.jsonUnsafe({ data: null, errors: [{ message }] })

const userFacingError = (field: string, type: string, message: string) =>
  graphqlData(field, { __typename: "UserFacingError", error: { __typename: type, message } })

/** The field of the GraphQL answer that holds the result of a call. */
const graphqlField = (call: WarpCall) => (call === "quota" ? "user" : "createAnonymousUser")

/** How a fault that replaces the whole answer looks; `undefined` for one that does something else. */
export const faultResponse = (fault: WarpFault, now: number, model: string) => {
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { "retry-after": `${fault.retryAfter}` }
  switch (fault.kind) {
    case "rate_limit":
      return page(429, tooManyPage, headers)
    case "quota":
      return error(429, "No remaining quota: No AI requests remaining", headers)
    case "out_of_credits":
      return HttpServerResponse.jsonUnsafe(
        { error: "Out of credits", userDisplayMessage: fault.message ?? "You have no credits left." },
        { status: 429, headers: { ...headers, "x-warp-error-code": "OUT_OF_CREDITS" } }
      )
    case "unauthorized":
      return unauthorized(`ID token has expired at: ${Math.floor(now / 1000) - 1}`)
    case "blocked":
      return error(403, fault.message ?? blocked)
    case "cloud_armor":
      return page(403, forbiddenPage)
    case "server_error":
      return serverError(fault.status, headers)
    case "user_facing_error":
      return userFacingError(
        graphqlField(fault.call),
        fault.code ?? "TOSViolationError",
        fault.message ?? "This is against the terms of service."
      )
    case "graphql_errors":
      return graphqlErrors(fault.message ?? "internal system error")
    case "refresh_rejected":
      return identityError(fault.code ?? (fault.call === "exchange" ? "INVALID_CUSTOM_TOKEN" : "INVALID_REFRESH_TOKEN"))
    case "model_not_allowed":
      return modelNotAllowed(model)
    default:
      return undefined
  }
}
