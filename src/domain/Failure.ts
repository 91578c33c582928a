/**
 * What can go wrong between us and an upstream, as the caller can act on it. One class per remedy: two failures that
 * look alike but want different remedies (D2's two 429s) never share a type.
 */
import { Schema } from "effect"
import { TokenId } from "./Token.ts"

const provider = Schema.String
/** How long the upstream asked us to stay away. */
const retryAfter = Schema.optionalKey(Schema.DurationFromMillis)

/** This one token has nothing left. Remedy: another token. */
export class QuotaExhausted extends Schema.TaggedError<QuotaExhausted>()("QuotaExhausted", {
  provider,
  token: TokenId,
  /** Epoch milliseconds at which the upstream refills it, when it said so. */
  resetAt: Schema.optionalKey(Schema.Finite)
}) {
  override get message() {
    return `the quota of token ${this.token} at ${this.provider} is used up`
  }
}

/** The upstream creates no more users for this address. Remedy: wait. Concerns everyone behind the address. */
export class CreateUserRateLimited extends Schema.TaggedError<CreateUserRateLimited>()("CreateUserRateLimited", {
  provider,
  retryAfter
}) {
  override get message() {
    return `${this.provider} refuses to create more users for now`
  }
}

/** The upstream answered a creation with a refusal of its own, such as a breach of its terms. Waiting will not help. */
export class CreateUserRefused extends Schema.TaggedError<CreateUserRefused>()("CreateUserRefused", {
  provider,
  reason: Schema.String
}) {
  override get message() {
    return `${this.provider} refused to create a user: ${this.reason}`
  }
}

/** The operator has not allowed tokens to be made at this upstream. */
export class MintingDisabled extends Schema.TaggedError<MintingDisabled>()("MintingDisabled", { provider }) {
  override get message() {
    return `making tokens at ${this.provider} is switched off; its operator can allow it with "minting": true`
  }
}

/** The access secret has expired or is not accepted (401). Remedy: renew once, try once more. */
export class AccessRejected extends Schema.TaggedError<AccessRejected>()("AccessRejected", { provider }) {
  override get message() {
    return `${this.provider} no longer accepts the access token`
  }
}

/** The secret cannot be renewed any more (revoked, user disabled or gone). Remedy: a person. */
export class RefreshRejected extends Schema.TaggedError<RefreshRejected>()("RefreshRejected", {
  provider,
  /** The upstream's own code, such as `INVALID_REFRESH_TOKEN`. */
  code: Schema.String
}) {
  override get message() {
    return `${this.provider} refuses to renew the token (${this.code})`
  }
}

/** The upstream has shut this account out (403). Remedy: a person. */
export class AccountBlocked extends Schema.TaggedError<AccountBlocked>()("AccountBlocked", {
  provider,
  reason: Schema.String
}) {
  override get message() {
    return `${this.provider} has blocked the account: ${this.reason}`
  }
}

/** Too many requests, and not for want of quota (429). Remedy: another token, or wait. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  provider,
  retryAfter,
  /** Tells one limit from another: equal signatures from many tokens at once mean one limit above all of them. */
  signature: Schema.String
}) {
  override get message() {
    return `${this.provider} asks for fewer requests`
  }
}

/** What was asked is at fault, not the token nor the upstream (other 4xx). Remedy: the caller's. */
export class RequestRejected extends Schema.TaggedError<RequestRejected>()("RequestRejected", {
  provider,
  status: Schema.Int,
  /** OpenAI's own codes where one fits: `model_not_found`, `context_length_exceeded`, `content_filter`. */
  code: Schema.NullOr(Schema.String),
  /** The path of the field at fault, where it is known. */
  param: Schema.optionalKey(Schema.String),
  /** Safe to show to the caller: never upstream HTML, never a secret. */
  reason: Schema.String
}) {
  override get message() {
    const field = this.param === undefined ? "" : `${this.param}: `
    return `${this.provider} rejected the request: ${field}${this.reason}`
  }
}

/** The upstream failed by itself: 5xx, timeout, reset, a cut or malformed stream. No fault of the token. */
export class UpstreamUnavailable extends Schema.TaggedError<UpstreamUnavailable>()("UpstreamUnavailable", {
  provider,
  reason: Schema.Literals(["status", "connection", "timeout", "cut", "malformed", "internal"]),
  status: Schema.optionalKey(Schema.Int),
  retryAfter,
  detail: Schema.String
}) {
  override get message() {
    return `${this.provider} is unavailable (${this.reason}): ${this.detail}`
  }
}

/** How a model call can fail. */
export type CallFailure =
  | QuotaExhausted
  | AccessRejected
  | AccountBlocked
  | Throttled
  | RequestRejected
  | UpstreamUnavailable

/** How making a token can fail. */
export type CreateFailure =
  | CreateUserRateLimited
  | CreateUserRefused
  | MintingDisabled
  | AccountBlocked
  | UpstreamUnavailable

/** How renewing a token can fail. */
export type RenewFailure = RefreshRejected | AccountBlocked | Throttled | UpstreamUnavailable
