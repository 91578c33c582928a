/** The console's one account: its password, its sessions, and how often a wrong password may be tried. */
import { Context, Schema } from "effect"
import type { Duration, Effect, Redacted } from "effect"
import type { StoreUnavailable } from "../store/Store.ts"

/** The password is wrong. */
export class LoginRefused extends Schema.TaggedError<LoginRefused>()("LoginRefused", {}) {
  override get message() {
    return "the password is wrong"
  }
}

/** Too many wrong passwords from this address, or in all. Nothing was compared. */
export class LoginThrottled extends Schema.TaggedError<LoginThrottled>()("LoginThrottled", {
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return "too many wrong passwords; wait before the next"
  }
}

export class PasswordRefused extends Schema.TaggedError<PasswordRefused>()("PasswordRefused", {
  reason: Schema.String
}) {
  override get message() {
    return `password: ${this.reason}`
  }
}

export interface Session {
  /** What the cookie holds. */
  readonly secret: Redacted.Redacted
  /** What a change has to show in `x-csrf-token`. */
  readonly csrf: Redacted.Redacted
  /** Epoch milliseconds: of the session if it stays idle, and in any case. */
  readonly idleUntil: number
  readonly until: number
}

export class ConsoleAccount extends Context.Service<
  ConsoleAccount,
  {
    /** Waits for a slow hash; of those at most two are at work at once. */
    login(
      password: Redacted.Redacted,
      address: string
    ): Effect.Effect<Session, LoginRefused | LoginThrottled | StoreUnavailable>
    /**
     * The session of a cookie, if it is one; prolongs it. `rotated` is there when its secret is to be replaced in the cookie:
     * the old one is good for some seconds more, for requests that are on their way.
     */
    session(
      secret: Redacted.Redacted
    ): Effect.Effect<{ readonly session: Session; readonly rotated: boolean } | undefined, StoreUnavailable>
    logout(secret: Redacted.Redacted): Effect.Effect<void, StoreUnavailable>
    /** Ends all sessions. */
    setPassword(password: Redacted.Redacted): Effect.Effect<void, PasswordRefused | StoreUnavailable>
    /** Makes a password if there is none yet, and tells it then, and only then. */
    readonly ensure: Effect.Effect<Redacted.Redacted | undefined, StoreUnavailable>
    readonly idleFor: Duration.Duration
  }
>()("weirgate/access/ConsoleAccount") {}
