/** The answers that take the place of a model's: what a provider refuses, and what a fault answers in its stead. */
import { HttpServerResponse } from "effect/http"
import { errorIn } from "./answerSteps.ts"
import type { Dialect, Length, Refusal, Wording } from "./dialect.ts"
import type { OpenAiFault } from "./openAiFault.ts"

export const refused = ({ body, status }: Refusal, headers: Readonly<Record<string, string>> = {}) =>
  HttpServerResponse.jsonUnsafe(body, { status, headers })

/** What a fault's answer may have to say about the call. */
export interface Told {
  readonly dialect: Dialect
  readonly model: string
  readonly length: Length
  /** Whether the answer is wanted piece by piece. */
  readonly stream: boolean
  /** The provider's base path. */
  readonly basePath: string
}

const badGatewayPage =
  "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

/** How a fault that replaces the whole answer looks; `undefined` for one that does something else. */
export const faultResponse = (fault: OpenAiFault, { basePath, dialect, length, model, stream }: Told) => {
  const { message, retryAfter, status } = fault
  const headers = { ...fault.headers, ...(retryAfter === undefined ? {} : { "retry-after": `${retryAfter}` }) }
  const wording: Wording = { message, status }
  const asRefusal = (refusal: Refusal) => refused(refusal, headers)
  switch (fault.kind) {
    case "rate_limit":
      return asRefusal(dialect.tooMany("rpm", wording))
    case "quota":
      return asRefusal(dialect.quotaExhausted(wording))
    case "insufficient_balance":
      return asRefusal(dialect.insufficientBalance(wording))
    case "unauthorized":
      return asRefusal(dialect.unauthorized(wording))
    case "blocked":
      return asRefusal(dialect.blocked(wording))
    case "server_error":
      return asRefusal(dialect.serverError(wording))
    case "context_exceeded":
      return asRefusal(dialect.contextExceeded(length, wording))
    case "content_filter":
      return asRefusal(dialect.contentFiltered(wording))
    case "model_not_found":
      return asRefusal(dialect.modelNotFound(model, wording))
    case "bad_gateway_html":
      return HttpServerResponse.text(badGatewayPage, { status: status ?? 502, contentType: "text/html", headers })
    case "redirect":
      return HttpServerResponse.empty({
        status: status ?? 307,
        // Nothing is there, so that a client that follows it does not find its way back.
        headers: { location: `${basePath}/moved`, ...headers }
      })
    case "empty":
      return HttpServerResponse.empty({
        status: 200,
        headers: {
          ...headers,
          "content-type": stream ? "text/event-stream" : "application/json",
          "content-length": "0"
        }
      })
    case "error_in_body":
      return HttpServerResponse.jsonUnsafe(errorIn(fault))
    default:
      return undefined
  }
}
