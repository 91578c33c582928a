/** Why a call to the server failed: one class, whose `reason` says what a caller can do about it. None holds a secret. */
import { Duration, Schema } from "effect"

const told = {
  /** The server's word for programs, such as `token_unknown`; ours, such as `timeout`, when it did not answer. */
  code: Schema.String,
  /** For people. */
  detail: Schema.String,
  /** Of the answer; absent when there was none. */
  status: Schema.optionalKey(Schema.Int)
}
const retryAfter = Schema.optionalKey(Schema.DurationFromMillis)

/** The key is missing, unknown, expired or revoked (401). */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", told) {
  override get message() {
    return this.detail
  }
}

/** The key is good, and may not do this (403). */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", told) {
  override get message() {
    return this.detail
  }
}

/** There is no such token, lease, provider, account, file or folder (404); `code` says which of them. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", told) {
  override get message() {
    return this.detail
  }
}

/** No token can be lent or used now (404 or 503, `no_token`). `retryAfter` is there when waiting helps. */
export class NoToken extends Schema.TaggedError<NoToken>()("NoToken", { ...told, retryAfter }) {
  override get message() {
    return this.detail
  }
}

/** The token to be added is held already (409). After a retried `add` it may be this very call that has added it. */
export class TokenHeld extends Schema.TaggedError<TokenHeld>()("TokenHeld", told) {
  override get message() {
    return this.detail
  }
}

/** Another 409: `name_taken`, or of a report `lease_reported`, `lease_expired`, `lease_none`. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", told) {
  override get message() {
    return this.detail
  }
}

/** What was given cannot be used (400, 413, 415, or found before anything was sent). */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", {
  ...told,
  /** The path of the field; null when it is none in particular. */
  param: Schema.NullOr(Schema.String)
}) {
  override get message() {
    return this.detail
  }
}

/** The key has had all its requests of this minute (429), and the wait is longer than one is worth. */
export class Limited extends Schema.TaggedError<Limited>()("Limited", { ...told, retryAfter }) {
  override get message() {
    return this.detail
  }
}

/** The server was not reached, did not answer in time, or is out of order (500 and above). */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  ...told,
  retryAfter,
  /** Whether what was asked may have been done all the same: false only when it is known that nothing was sent. */
  mayBeDone: Schema.Boolean
}) {
  override get message() {
    return this.detail
  }
}

/** It is no Weirgate that answers there, or one of another version. */
export class Unintelligible extends Schema.TaggedError<Unintelligible>()("Unintelligible", told) {
  override get message() {
    return this.detail
  }
}

const Reason = Schema.Union([
  Unauthorized,
  Forbidden,
  NotFound,
  NoToken,
  TokenHeld,
  Conflict,
  BadRequest,
  Limited,
  Unavailable,
  Unintelligible
])
export type Reason = typeof Reason.Type

/**
 * In Effect: `Effect.catchReason("WeirgateError", "NoToken", …)`. With promises: `error instanceof WeirgateError` and
 * `error.reason._tag`.
 */
export class WeirgateError extends Schema.TaggedError<WeirgateError>()("WeirgateError", { reason: Reason }) {
  override get message() {
    return this.reason.message
  }

  /** The server's word for programs, such as `token_unknown`. */
  get code(): string {
    return this.reason.code
  }

  /** HTTP status of the answer; undefined when there was none. */
  get status(): number | undefined {
    return this.reason.status
  }

  /** Seconds until it is worth another try, where the server has said so. */
  get retryAfterSeconds(): number | undefined {
    const wait = waitStatedBy(this.reason)
    return wait && Duration.toSeconds(wait)
  }
}

/** How long the server asks us to stay away. */
export const waitStatedBy = (reason: Reason): Duration.Duration | undefined =>
  "retryAfter" in reason ? reason.retryAfter : undefined
