/** D4's token manager: lends tokens to programs outside this one, and learns from what they report. */
import { Context, Schema } from "effect"
import type { Effect, Redacted } from "effect"
import type { TokenId, TokenKind } from "../domain/Token.ts"
import type { NoTokenUsable } from "../pool/lease.ts"
import type { Strategy } from "../pool/strategies.ts"
import type { StoreUnavailable } from "../store/Store.ts"

/** No token of the provider is that one. */
export class TokenNotHeld extends Schema.TaggedError<TokenNotHeld>()("TokenNotHeld", {}) {
  override get message() {
    return "there is no such token"
  }
}

/** The pool holds it already, or another of that name. */
export class TokenHeld extends Schema.TaggedError<TokenHeld>()("TokenHeld", {
  name: Schema.String,
  by: Schema.Literals(["token", "name"])
}) {
  override get message() {
    return this.by === "token"
      ? `the token is held already, as ${this.name}`
      : `another token is named ${this.name} already`
  }
}

/** The lease was never given, has been reported, or has run out. */
export class LeaseUnknown extends Schema.TaggedError<LeaseUnknown>()("LeaseUnknown", {
  reason: Schema.Literals(["unknown", "reported", "expired", "none"])
}) {
  override get message() {
    switch (this.reason) {
      case "unknown":
        return "lease: it is none of ours"
      case "reported":
        return "lease: it has been reported already"
      case "expired":
        return "lease: it has run out"
      case "none":
        return "token: it is not lent to you; name the lease that the report belongs to"
    }
  }
}

/** No upstream of that name is configured. */
export class ProviderUnknown extends Schema.TaggedError<ProviderUnknown>()("ProviderUnknown", {
  provider: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `provider: there is no ${this.provider}; there are ${this.known.join(", ")}`
  }
}

/** A token that is lent to a program outside. */
export interface RemoteLease {
  /** Opaque, good in any process that shares the store and its key, and over a restart. */
  readonly lease: string
  readonly id: TokenId
  readonly name: string
  readonly provider: string
  readonly access: Redacted.Redacted
  /** Epoch milliseconds: of the access secret, if it ends; and until when a report counts. */
  readonly accessExpiresAt: number | undefined
  readonly leaseExpiresAt: number
}

/** How the call ended for which a token was lent. `failed` (D4's) only counts; the others say what is to be done. */
export const ReportedOutcome = Schema.Literals([
  "succeeded",
  "failed",
  "quota_exhausted",
  "rate_limited",
  "unauthorized",
  "upstream_fault"
])
export type ReportedOutcome = typeof ReportedOutcome.Type

export interface Report {
  /** Who reports: the name of a key. */
  readonly caller: string
  readonly lease?: string | undefined
  /** Without a lease: the caller's oldest open lease of this token is meant. */
  readonly token?: Redacted.Redacted | undefined
  readonly provider?: string | undefined
  readonly outcome: ReportedOutcome
  readonly retryAfterMs?: number | undefined
  /** What a person may read about it; cut, and never kept when it holds the token. */
  readonly error?: string | undefined
}

export interface NewManagedToken {
  readonly provider: string
  /** Default: `Token-n`. */
  readonly name?: string | undefined
  /** Default: shared. */
  readonly kind?: TokenKind | undefined
  /** Warp's is a secret to renew with; all others are called with. */
  readonly token: Redacted.Redacted
  readonly refresh?: Redacted.Redacted | undefined
  readonly accessExpiresAt?: number | undefined
  /** Held, but not lent until someone enables it. */
  readonly disabled?: boolean | undefined
}

/** Which of the tokens: by its secret, its id or its name. */
export interface WhichToken {
  readonly provider: string
  readonly token?: Redacted.Redacted | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
}

export interface ManagedToken {
  readonly id: TokenId
  readonly name: string
  readonly provider: string
  readonly state: string
  readonly isActive: boolean
  /** Epoch milliseconds. */
  readonly lastUsedAt: number | undefined
  readonly lastCheckedAt: number | undefined
  readonly lastError: string | undefined
  readonly succeeded: number
  readonly failed: number
  readonly leased: number
}

export class TokenManager extends Context.Service<
  TokenManager,
  {
    /** Waits only while an access secret is renewed. A lease that is not reported in time is given back without a word. */
    get(request: {
      readonly provider: string
      readonly strategy: Strategy
      readonly caller: string
    }): Effect.Effect<RemoteLease, NoTokenUsable | ProviderUnknown>
    /** A lease counts once. Never waits. */
    report(report: Report): Effect.Effect<ManagedToken, LeaseUnknown | TokenNotHeld>
    /** Durable when it returns. */
    add(token: NewManagedToken): Effect.Effect<ManagedToken, TokenHeld | ProviderUnknown | StoreUnavailable>
    /** All of them or none, also when the process dies meanwhile. The nth failure is of the nth token. */
    addAll(
      tokens: ReadonlyArray<NewManagedToken>
    ): Effect.Effect<ReadonlyArray<ManagedToken>, TokenHeld | ProviderUnknown | StoreUnavailable>
    remove(which: WhichToken): Effect.Effect<ManagedToken, TokenNotHeld | StoreUnavailable>
    list(provider: string): Effect.Effect<ReadonlyArray<ManagedToken>>
    /** With their secrets, to be kept as such. */
    export(provider: string): Effect.Effect<ReadonlyArray<NewManagedToken & { readonly name: string }>>
  }
>()("weirgate/manager/TokenManager") {}
