/**
 * What an answer of Warp that is no success means for who asked. One table reads the answer, one more per call says what
 * it is called there, so that a creation can never yield `QuotaExhausted`, nor a chat `CreateUserRateLimited`.
 */
import { Duration } from "effect"
import * as Failure from "../../domain/Failure.ts"
import type { TokenId } from "../../domain/Token.ts"
import * as RetryAfter from "../RetryAfter.ts"
import type { Answer } from "../transport.ts"
import { type Verdict, type WarpCall, verdictOf } from "./verdict.ts"

interface Asked {
  readonly provider: string
  /** Epoch milliseconds. */
  readonly now: number
}

interface AskedWithToken extends Asked {
  readonly token: TokenId
}

/** What a call of each kind is asked with, and how its answer can fail. */
export interface Calls {
  readonly create: {
    readonly asked: Asked
    readonly failure: Failure.CreateUserRateLimited | Failure.CreateUserRefused | Failure.UpstreamUnavailable
  }
  readonly exchange: {
    readonly asked: Asked
    readonly failure: Exclude<Failure.CreateFailure, Failure.MintingDisabled>
  }
  readonly refresh: { readonly asked: Asked; readonly failure: Failure.RenewFailure }
  readonly ai: { readonly asked: AskedWithToken; readonly failure: Failure.CallFailure }
  readonly quota: { readonly asked: AskedWithToken; readonly failure: Failure.CallFailure }
}

/** For an answer that is no success: by its status, or, of status 200, because its body holds no result. */
export const classify = <C extends WarpCall>(
  call: C,
  answer: Answer,
  asked: Calls[C]["asked"]
): Calls[C]["failure"] => {
  const read: Table[C] = table[call]
  return read(verdictOf(call, answer), answer, asked)
}

type Table = {
  readonly [C in WarpCall]: (verdict: Verdict, answer: Answer, asked: Calls[C]["asked"]) => Calls[C]["failure"]
}

const callFailure: Table["ai"] = (verdict, answer, { now, provider, token }) => {
  switch (verdict._tag) {
    case "OutOfQuota": {
      const wait = RetryAfter.parse(answer.headers, now)
      return new Failure.QuotaExhausted({
        provider,
        token,
        ...(wait === undefined ? {} : { resetAt: now + Duration.toMillis(wait) })
      })
    }
    case "TooMany":
      return new Failure.Throttled({ provider, signature: verdict.signature, ...retryAfterOf(answer, now) })
    case "Blocked":
      return new Failure.AccountBlocked({ provider, reason: verdict.reason })
    case "Unauthorized":
    case "SecretRefused":
      return new Failure.AccessRejected({ provider })
    case "ModelRefused":
      return new Failure.RequestRejected({
        provider,
        status: answer.status,
        code: "model_not_found",
        reason: "the model is not available to this account"
      })
    case "Refused":
      return new Failure.RequestRejected({ provider, status: answer.status, code: null, reason: verdict.reason })
    case "UserFacing":
      return needsPerson.has(verdict.type)
        ? new Failure.AccountBlocked({ provider, reason: said(verdict) })
        : unavailable(provider, answer, "internal", said(verdict))
    case "Failed":
      return unavailable(provider, answer, verdict.reason, verdict.detail)
  }
}

const table: Table = {
  create: (verdict, answer, { now, provider }) => {
    switch (verdict._tag) {
      // A creation has no quota of its own: whatever words come with a 429, the address has to wait.
      case "OutOfQuota":
      case "TooMany":
        return new Failure.CreateUserRateLimited({ provider, ...retryAfterOf(answer, now) })
      case "Failed":
        return unavailable(provider, answer, verdict.reason, verdict.detail)
      default:
        return new Failure.CreateUserRefused({ provider, reason: said(verdict) })
    }
  },
  exchange: (verdict, answer, { now, provider }) => {
    switch (verdict._tag) {
      // Half a creation: its limit is met by the same remedy.
      case "OutOfQuota":
      case "TooMany":
        return new Failure.CreateUserRateLimited({ provider, ...retryAfterOf(answer, now) })
      case "Blocked":
        return new Failure.AccountBlocked({ provider, reason: verdict.reason })
      case "SecretRefused":
        return accountGone.has(verdict.code)
          ? new Failure.AccountBlocked({ provider, reason: verdict.code })
          : new Failure.CreateUserRefused({ provider, reason: verdict.code })
      case "Failed":
        return unavailable(provider, answer, verdict.reason, verdict.detail)
      default:
        return unavailable(provider, answer, "status", said(verdict))
    }
  },
  refresh: (verdict, answer, { now, provider }) => {
    switch (verdict._tag) {
      case "OutOfQuota":
        return new Failure.Throttled({ provider, signature: `${answer.status} quota`, ...retryAfterOf(answer, now) })
      case "TooMany":
        return new Failure.Throttled({ provider, signature: verdict.signature, ...retryAfterOf(answer, now) })
      case "Blocked":
        return new Failure.AccountBlocked({ provider, reason: verdict.reason })
      case "SecretRefused":
        return new Failure.RefreshRejected({ provider, code: verdict.code })
      case "Failed":
        return unavailable(provider, answer, verdict.reason, verdict.detail)
      // A refusal that does not name the secret as its cause must not cost the token its life.
      default:
        return unavailable(provider, answer, "status", said(verdict))
    }
  },
  ai: callFailure,
  quota: callFailure
}

const retryAfterOf = (answer: Answer, now: number): { readonly retryAfter?: Duration.Duration } => {
  const retryAfter = RetryAfter.parse(answer.headers, now)
  return retryAfter === undefined ? {} : { retryAfter }
}

const unavailable = (provider: string, answer: Answer, reason: Failure.UpstreamUnavailable["reason"], detail: string) =>
  new Failure.UpstreamUnavailable({ provider, reason, status: answer.status, detail })

const said = (verdict: Exclude<Verdict, { readonly _tag: "OutOfQuota" | "TooMany" | "Failed" }>): string => {
  switch (verdict._tag) {
    case "SecretRefused":
      return verdict.code
    case "ModelRefused":
      return "the model is not available"
    case "UserFacing":
      return `${verdict.type}: ${verdict.reason}`
    default:
      return verdict.reason
  }
}

/** The account has to be put right by a person before it can be of use again. */
const needsPerson = new Set(["TOSViolationError", "AccountDelinquencyError"])
const accountGone = new Set(["USER_DISABLED", "USER_NOT_FOUND"])
