/** Reads an answer that is no success: OpenAI's frame, D4's, or neither. */
import { Duration, Option, Redacted, Schema } from "effect"
import { ErrorBody, ManagerError } from "../contract/wire.ts"
import * as RetryAfter from "../upstream/RetryAfter.ts"
import * as Reasons from "./WeirgateError.ts"

export interface Refused {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** `now` in epoch milliseconds. What the server says is not repeated where it holds one of `secrets`. */
export const reasonOf = (
  { body, headers, status }: Refused,
  now: number,
  secrets: ReadonlyArray<Redacted.Redacted>
): Reasons.Reason => {
  const frame = frameOf(body)
  const code = clean(frame?.code ?? `http_${status}`, secrets) ?? `http_${status}`
  const detail = clean(frame?.message ?? "", secrets) ?? `the server answered ${status}`
  const told = { code, detail, status }
  const wait = frame?.retryAfter ?? RetryAfter.parse(headers, now)
  const retryAfter = wait && { retryAfter: wait }

  if (code === "no_token") return new Reasons.NoToken({ ...told, ...retryAfter })
  switch (status) {
    case 400:
    case 413:
    case 415:
      return new Reasons.BadRequest({ ...told, param: frame?.param ?? null })
    case 401:
      return new Reasons.Unauthorized(told)
    case 403:
      return new Reasons.Forbidden(told)
    case 409:
      return code === "token_held" ? new Reasons.TokenHeld(told) : new Reasons.Conflict(told)
    case 429:
      return new Reasons.Limited({ ...told, ...retryAfter })
  }
  if (status >= 500) return new Reasons.Unavailable({ ...told, ...retryAfter, mayBeDone: true })
  return status === 404 && frame !== undefined
    ? new Reasons.NotFound(told)
    : new Reasons.Unintelligible({
        ...told,
        detail: `the server answered ${status}, as no Weirgate does; is the base URL right?`
      })
}

interface Frame {
  readonly code: string | undefined
  readonly message: string
  readonly param: string | null
  readonly retryAfter?: Duration.Duration | undefined
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Union([ManagerError, ErrorBody])))

const frameOf = (body: string): Frame | undefined => {
  const frame = Option.getOrUndefined(decode(body))
  if (frame === undefined) return undefined
  if ("success" in frame) {
    const { error: message, param, retry_after, type: code } = frame
    return { code, message, param, retryAfter: retry_after === undefined ? undefined : Duration.seconds(retry_after) }
  }
  const { code, message, param, type } = frame.error
  return { code: code ?? type, message, param }
}

/** More is no message. */
const longest = 500

/** Undefined when nothing is left that may be shown. */
export const clean = (text: string, secrets: ReadonlyArray<Redacted.Redacted>): string | undefined =>
  text === "" || secrets.some((secret) => Redacted.value(secret) !== "" && text.includes(Redacted.value(secret)))
    ? undefined
    : text.slice(0, longest)
