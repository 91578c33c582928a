/** One try of a call: what is asked is encoded, sent, and its answer read, by the contract; all that can fail becomes a reason. */
import { Clock, Effect, Redacted, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import { DriveApi } from "../contract/drive.ts"
import { Tokens } from "../contract/tokens.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import type { Checked } from "./options.ts"
import { clean, reasonOf } from "./refusal.ts"
import { unusableUrl } from "./retrying.ts"
import { BadRequest, type Reason, Unavailable, Unintelligible } from "./WeirgateError.ts"

/** What of the contract this library calls. */
export class Api extends HttpApi.make("weirgate").add(Tokens).add(DriveApi) {}

export type Endpoints = HttpApiClient.ForApi<typeof Api>

export interface Exchange {
  readonly endpoints: Endpoints
  /**
   * `ask` is an endpoint called with `responseMode: "response-only"`, `read` its decoder. `secrets` are those in what is asked,
   * beside the key: nothing that holds one of them gets into a reason.
   */
  readonly once: <A>(
    ask: Effect.Effect<HttpClientResponse.HttpClientResponse, unknown>,
    read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, unknown>,
    secrets?: ReadonlyArray<Redacted.Redacted | undefined>
  ) => Effect.Effect<A, Reason>
}

export const make = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  { apiKey, baseUrl }: Pick<Checked, "apiKey" | "baseUrl">
) {
  const endpoints = yield* HttpApiClient.makeWith(Api, {
    httpClient: HttpClient.mapRequest(client, HttpClientRequest.bearerToken(apiKey)),
    baseUrl
  })

  return { endpoints, once: onceWith(apiKey) } satisfies Exchange
})

/** `apiKey` is the one that `ask` goes with, if it goes with one. */
export const onceWith =
  (apiKey: Redacted.Redacted | undefined): Exchange["once"] =>
  (ask, read, given = []) => {
    const secrets = [apiKey, ...given].filter((secret) => secret !== undefined)
    return Effect.gen(function* () {
      const response = yield* Effect.mapError(ask, (error) => unsent(error, secrets))
      if (response.status !== 200) {
        const body = yield* Effect.orElseSucceed(response.text, () => "")
        const now = yield* Clock.currentTimeMillis
        return yield* Effect.fail(reasonOf({ status: response.status, headers: response.headers, body }, now, secrets))
      }
      return yield* Effect.mapError(read(response), unread)
    })
  }

/** What went wrong before there was an answer. The type of an endpoint does not tell that encoding fails too. */
const unsent = (error: unknown, secrets: ReadonlyArray<Redacted.Redacted>): Reason => {
  if (Schema.isSchemaError(error)) {
    const { field: path, reason } = firstIssue(error.issue)
    // Where the secret of a `Redacted` is at fault, the path goes into it.
    const field = path.replace(/\.value$/, "")
    const detail = clean(field === "" ? reason : `${field}: ${reason}`, secrets) ?? "it cannot be sent"
    return new BadRequest({ code: "invalid_argument", param: field === "" ? null : field, detail })
  }
  const reason = HttpClientError.isHttpClientError(error) ? error.reason : undefined
  if (reason?._tag === "InvalidUrlError" || reason?._tag === "EncodeError") {
    return new Unavailable({ code: unusableUrl, detail: "the request could not be made", mayBeDone: false })
  }
  const code = codeOf(reason !== undefined && "cause" in reason ? reason.cause : undefined)
  return new Unavailable({
    code: code ?? "no_connection",
    detail: code === undefined ? "the server cannot be reached" : `the server cannot be reached (${code})`,
    mayBeDone: code === undefined || !neverSent.has(code)
  })
}

const unread = (error: unknown): Reason => {
  if (!Schema.isSchemaError(error)) {
    return new Unavailable({ code: "answer_cut", detail: "the answer broke off", mayBeDone: true })
  }
  // Why is not told: the reason may quote what the answer holds.
  const { field } = firstIssue(error.issue)
  const where = field === "" ? "" : `, at ${field}`
  return new Unintelligible({
    code: "not_the_contract",
    detail: `the answer is none of Weirgate's${where}; is the base URL right, and the server of this version?`,
    status: 200
  })
}

/** There was no connection on which anything could have been sent. A browser does not tell. */
const neverSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT"
])

/** The system's name for what happened, such as `ECONNREFUSED`; clients wrap it, and gather one for each address they tried. */
const codeOf = (cause: unknown, depth = 0): string | undefined => {
  if (typeof cause !== "object" || cause === null || depth > 4) return undefined
  if ("code" in cause && typeof cause.code === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(cause.code)) return cause.code
  return "cause" in cause ? codeOf(cause.cause, depth + 1) : undefined
}
