/** Reads an answer of Warp, or of the services before it, that is no success. */
import { Option, Schema } from "effect"
import type { UpstreamUnavailable } from "../../domain/Failure.ts"
import { shownText } from "../shownText.ts"
import type { Answer } from "../transport.ts"

export type WarpCall = "create" | "exchange" | "refresh" | "ai" | "quota"

/** What the answer says, whoever asked. */
export type Verdict =
  | { readonly _tag: "OutOfQuota" }
  /** A limit on the number of requests, or an edge that lets this address through no more. */
  | { readonly _tag: "TooMany"; readonly signature: string }
  | { readonly _tag: "Blocked"; readonly reason: string }
  | { readonly _tag: "Unauthorized"; readonly reason: string }
  /** The secret that was to be exchanged or renewed is of no more use. */
  | { readonly _tag: "SecretRefused"; readonly code: string }
  | { readonly _tag: "ModelRefused" }
  /** Any other fault that the upstream finds with the request. */
  | { readonly _tag: "Refused"; readonly reason: string }
  /** A GraphQL error that is meant for the user's eyes. */
  | { readonly _tag: "UserFacing"; readonly type: string; readonly reason: string }
  | { readonly _tag: "Failed"; readonly reason: UpstreamUnavailable["reason"]; readonly detail: string }

export const verdictOf = (call: WarpCall, answer: Answer): Verdict => {
  const { status } = answer
  const words = wordsOf(answer)
  const message = words.message ?? "no reason given"
  if (status < 300) return bodyVerdict(call, words, message)
  if (status === 429) {
    return !words.page && (answer.headers["x-warp-error-code"] === "OUT_OF_CREDITS" || outOfQuota.test(answer.body))
      ? { _tag: "OutOfQuota" }
      : tooMany(answer, words)
  }
  if (status === 408) return { _tag: "Failed", reason: "timeout", detail: "it gave up waiting for the request" }
  if (status >= 500 || status < 400) {
    return { _tag: "Failed", reason: "status", detail: `it answered with status ${status}` }
  }
  if (call === "exchange" || call === "refresh") {
    const verdict = identityVerdict(answer, words)
    if (verdict !== undefined) return verdict
  }
  switch (status) {
    case 401:
      return { _tag: "Unauthorized", reason: message }
    case 403:
      // Only its own word that the account is shut out costs the account. A page comes from the edge before it, which
      // knows addresses and no accounts; another token may pass, and when none does, the pool sees one signature from
      // many tokens, which is how it tells a limit above them all.
      return !words.page && blocked.test(answer.body) ? { _tag: "Blocked", reason: message } : tooMany(answer, words)
    case 400:
      return modelRefused.test(answer.body) ? { _tag: "ModelRefused" } : { _tag: "Refused", reason: message }
    default:
      return { _tag: "Refused", reason: message }
  }
}

const outOfQuota = /no remaining quota|no ai requests remaining/i
const blocked = /^(?=.*\b(account|user)\b)(?=.*(block|bann|suspend|disabl|flagg))|terms of service/is
const modelRefused = /requested base model.*not allowed/is

const tooMany = (answer: Answer, words: Words): Verdict => {
  const code = answer.headers["x-warp-error-code"]
  const said = words.page ? "page" : (shownText(code) ?? words.message ?? "nothing")
  // Numbers and quoted names differ from one refusal to the next of one and the same limit.
  const signature = said
    .toLowerCase()
    .replace(/\d+/g, "#")
    .replace(/"[^"]*"|'[^']*'/g, "*")
    .slice(0, 100)
  return { _tag: "TooMany", signature: `${answer.status} ${signature}` }
}

/** Google's codes, also as the proxies in front of it pass them on. */
const identityVerdict = (answer: Answer, words: Words): Verdict | undefined => {
  const text = words.text
  if (/\bAPI[ _]key\b/i.test(text)) {
    return { _tag: "Failed", reason: "status", detail: "it does not accept the web API key that is configured for it" }
  }
  const code = /^[A-Z][A-Z_]+|^invalid_grant/.exec(text)?.[0]
  if (code !== undefined && deadSecret.has(code)) return { _tag: "SecretRefused", code }
  if (code !== undefined && exceeded.has(code)) return tooMany(answer, words)
  if (answer.status === 401 && /invalid refresh token/i.test(text)) {
    return { _tag: "SecretRefused", code: "INVALID_REFRESH_TOKEN" }
  }
  // In Google's shape a 403 is about the project behind the API key ("Requests from … are blocked"), not the account.
  return words.google && answer.status === 403
    ? { _tag: "Failed", reason: "status", detail: `it refuses this client: ${words.message ?? "no reason given"}` }
    : undefined
}

const deadSecret = new Set([
  "TOKEN_EXPIRED",
  "INVALID_REFRESH_TOKEN",
  "MISSING_REFRESH_TOKEN",
  "INVALID_CUSTOM_TOKEN",
  "MISSING_CUSTOM_TOKEN",
  "USER_DISABLED",
  "USER_NOT_FOUND",
  "invalid_grant"
])
const exceeded = new Set(["TOO_MANY_ATTEMPTS_TRY_LATER", "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED"])

/** GraphQL says of a failure that the call went well and puts it into the body. */
const bodyVerdict = (call: WarpCall, words: Words, message: string): Verdict => {
  if (call === "create" || call === "quota") {
    const { data, errors } = words.graphql
    const error = errors?.[0]
    if (error !== undefined) {
      return error.extensions?.code === "UNAUTHENTICATED"
        ? { _tag: "Unauthorized", reason: message }
        : { _tag: "Failed", reason: "internal", detail: shownText(error.message) ?? "it could not answer the query" }
    }
    for (const result of Object.values(data ?? {})) {
      if (result?.error === undefined) continue
      const type = shownText(result.error.__typename) ?? "UserFacingError"
      return { _tag: "UserFacing", type, reason: shownText(result.error.message) ?? "no reason given" }
    }
  }
  return { _tag: "Failed", reason: "malformed", detail: "its answer does not hold what was asked for" }
}

/** What there is to read in a body. */
interface Words {
  /** Markup: written for a person's browser by something in front of the service. */
  readonly page: boolean
  /** Its reason, word for word. */
  readonly text: string
  /** The same, if it is fit to be shown. */
  readonly message: string | undefined
  /** Whether the error is in Google's shape. */
  readonly google: boolean
  readonly graphql: typeof GraphqlBody.Type
}

const wordsOf = ({ body, headers }: Answer): Words => {
  const page = headers["content-type"]?.includes("html") === true || /^\s*<(!doctype|html)/i.test(body)
  const graphql = Option.getOrElse(decodeGraphql(body), () => ({}))
  const json = Option.getOrUndefined(decodeError(body))
  if (page || json === undefined) {
    return { page, text: body, message: page ? undefined : shownText(body), google: false, graphql }
  }
  const { error, error_description, message, userDisplayMessage } = json
  const own = (typeof error === "object" ? error.message : error) ?? userDisplayMessage ?? message ?? error_description
  return {
    page,
    text: own ?? "",
    message: shownText(own),
    google: typeof error === "object" && error.code !== undefined,
    graphql
  }
}

const optionalText = Schema.optionalKey(Schema.String)

const decodeError = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      error: Schema.optionalKey(
        Schema.Union([
          Schema.String,
          Schema.Struct({
            message: optionalText,
            code: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.String]))
          })
        ])
      ),
      error_description: optionalText,
      message: optionalText,
      userDisplayMessage: optionalText
    })
  )
)

const GraphqlBody = Schema.Struct({
  errors: Schema.optionalKey(
    Schema.NullOr(
      Schema.Array(
        Schema.Struct({
          message: optionalText,
          extensions: Schema.optionalKey(Schema.NullOr(Schema.Struct({ code: optionalText })))
        })
      )
    )
  ),
  data: Schema.optionalKey(
    Schema.NullOr(
      Schema.Record(
        Schema.String,
        Schema.NullOr(
          Schema.Struct({
            error: Schema.optionalKey(Schema.Struct({ __typename: optionalText, message: optionalText }))
          })
        )
      )
    )
  )
})
const decodeGraphql = Schema.decodeUnknownOption(Schema.fromJsonString(GraphqlBody))
