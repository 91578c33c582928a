/** What an answer of the dispatcher that is no success means for who asked. Pure. */
import * as Failure from "../../domain/Failure.ts"
import * as RetryAfter from "../RetryAfter.ts"
import type { Answer } from "../transport.ts"
import type { WopanFailure } from "../WopanClient.ts"
import { type Verdict, verdictOf } from "./verdict.ts"

export interface Asked {
  readonly provider: string
  /** Epoch milliseconds. */
  readonly now: number
  /** What was sent and must not come back in an error. Longer ones before those that they begin with. */
  readonly secrets: ReadonlyArray<string>
}

/** Of a call with an access secret. */
export const callFailure = (answer: Answer, asked: Asked): WopanFailure => {
  const { provider } = asked
  const verdict = verdictOf(answer, asked.secrets)
  switch (verdict._tag) {
    case "TooMany":
    case "Blocked":
    case "Failed":
      return common(verdict, answer, asked)
    case "Unauthorized":
      return new Failure.AccessRejected({ provider })
    case "ParameterRefused":
      return new Failure.RequestRejected({ provider, status: 400, code: null, reason: verdict.reason })
    case "NotDecrypted":
      return new Failure.RequestRejected({
        provider,
        status: 400,
        code: "decryption_failed",
        reason: "it could not decrypt the request with the key that it holds"
      })
    case "LoginNeeded":
      return unavailable(answer, asked, "status", `it answered with ${verdict.reason}`)
  }
}

/** Of a renewal. A refusal that does not name the secret as its cause must not cost the token its life. */
export const renewFailure = (answer: Answer, asked: Asked): Failure.RenewFailure => {
  const { provider } = asked
  const verdict = verdictOf(answer, asked.secrets)
  switch (verdict._tag) {
    case "TooMany":
    case "Blocked":
    case "Failed":
      return common(verdict, answer, asked)
    case "LoginNeeded":
      return new Failure.RefreshRejected({ provider, code: verdict.code })
    case "NotDecrypted":
      return unavailable(
        answer,
        asked,
        "status",
        "it could not decrypt the request (code 9002): the client secret or iv that is configured is not its own"
      )
    case "Unauthorized":
    case "ParameterRefused":
      return unavailable(answer, asked, "status", `it answered with ${verdict.reason}`)
  }
}

const common = (
  verdict: Extract<Verdict, { _tag: "TooMany" | "Blocked" | "Failed" }>,
  answer: Answer,
  asked: Asked
) => {
  const { provider } = asked
  switch (verdict._tag) {
    case "TooMany":
      return new Failure.Throttled({ provider, signature: verdict.signature, ...waitOf(answer, asked) })
    case "Blocked":
      return new Failure.AccountBlocked({ provider, reason: verdict.reason })
    case "Failed":
      return unavailable(answer, asked, verdict.reason, verdict.detail)
  }
}

/** `status` is that of HTTP, and tells nothing of an answer whose code is the failure. */
const unavailable = (
  answer: Answer,
  asked: Asked,
  reason: Failure.UpstreamUnavailable["reason"],
  detail: string
): Failure.UpstreamUnavailable =>
  new Failure.UpstreamUnavailable({
    provider: asked.provider,
    reason,
    ...(answer.status >= 300 ? { status: answer.status, ...waitOf(answer, asked) } : {}),
    detail
  })

const waitOf = ({ headers }: Answer, { now }: Asked) => {
  const retryAfter = RetryAfter.parse(headers, now)
  return retryAfter === undefined ? {} : { retryAfter }
}
