/** What an upstream's refusal, or an error in place of an answer, means for who asked. Pure. */
import { Duration } from "effect"
import {
  AccessRejected,
  AccountBlocked,
  type CallFailure,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../domain/Failure.ts"
import type { TokenId } from "../../domain/Token.ts"
import type { Endpoint } from "../ModelClient.ts"
import { type ErrorBody, readErrorBody } from "./errorBody.ts"
import { meaningOf, meantStatus } from "./meaning.ts"
import { explicitWait, type Headers, statedWait } from "./statedWait.ts"

export interface Refusal {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Headers
  /** As far as it has been read; without the secret, should the upstream quote it. */
  readonly body: string
}

export interface Context {
  readonly provider: string
  readonly token: TokenId
  /** The upstream's own name of the model that was asked for. */
  readonly model: string
  readonly endpoint: Endpoint
  /** Epoch milliseconds. */
  readonly now: number
}

/** Also for an error that came with a status of success: it is read as if it had come with the one it means. */
export const classify = (refusal: Refusal, context: Context): CallFailure => {
  const { headers } = refusal
  const { model, now, provider, token } = context
  const body = readErrorBody(refusal.body, headers["content-type"])
  const isAnswer = refusal.status >= 200 && refusal.status < 300
  const status = isAnswer ? meantStatus(body) : refusal.status
  const rejected = (code: string | null, usual: number, reason: string) =>
    new RequestRejected({
      provider,
      status: status !== undefined && status < 500 ? status : usual,
      code,
      reason: body.shown ?? reason,
      ...(body.param !== undefined && { param: body.param })
    })
  const explicit = explicitWait(headers, refusal.body, now)
  const unavailable = () => {
    const answered = status === undefined ? "it answered with an error" : `it answered with status ${status}`
    return new UpstreamUnavailable({
      provider,
      reason: "status",
      ...(status !== undefined && { status }),
      ...waitOf(explicit),
      detail: body.shown === undefined ? answered : `${answered}: ${body.shown}`
    })
  }

  switch (meaningOf(status, body)) {
    case "quota":
      return new QuotaExhausted({
        provider,
        token,
        ...(explicit !== undefined && { resetAt: now + Duration.toMillis(explicit) })
      })
    case "rate": {
      // An answer of status 200 tells of its limits too, but of none that was broken.
      const stated = isAnswer ? explicit : statedWait(headers, refusal.body, now)
      return new Throttled({ provider, signature: signatureOf(status ?? 429, body), ...waitOf(stated) })
    }
    case "context":
      return rejected("context_length_exceeded", 400, "the request is too long for the model")
    case "content":
      return rejected("content_filter", 400, "its content filter has refused the request")
    case "model":
      return rejected("model_not_found", 404, `it has no model ${JSON.stringify(model)} for this key`)
    // Chat is what such a provider is there for: without it, its address is wrong or it is down. The others it may well lack.
    case "absent":
      return context.endpoint === "/chat/completions"
        ? unavailable()
        : new RequestRejected({
            provider,
            status: 404,
            code: "model_not_found",
            reason: `it does not serve ${JSON.stringify(model)} at ${context.endpoint}`
          })
    case "access":
      return new AccessRejected({ provider })
    case "blocked":
      return new AccountBlocked({ provider, reason: body.shown ?? "no reason given" })
    case "unavailable":
      return unavailable()
    case "unknown":
      return new UpstreamUnavailable({
        provider,
        reason: "internal",
        ...waitOf(explicit),
        detail: body.shown ?? "it answered with an error and gave no reason"
      })
    case "rejected":
      return rejected(body.code ?? null, 400, "no reason given")
  }
}

const waitOf = (retryAfter: Duration.Duration | undefined) => (retryAfter === undefined ? {} : { retryAfter })

/** Equal for one and the same limit, whichever key meets it: names, identifiers and numbers differ from one to the next. */
const signatureOf = (status: number, body: ErrorBody): string => {
  const said = (body.isPage ? "page" : (body.shown ?? "nothing"))
    .toLowerCase()
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "*")
    .replace(/\S*\d\S*/g, "#")
    .slice(0, 100)
  return [status, ...body.codes.slice(0, 1), said].join(" ")
}
