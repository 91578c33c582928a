/** A token is a credential for one upstream; these are the words every service shares about it. */
import { Schema } from "effect"
import type { Redacted } from "effect"

/** Names a token everywhere a person may read: it is made here, never by an upstream, and holds no part of a secret. */
export const TokenId = Schema.NonEmptyString.pipe(Schema.brand("TokenId"))
export type TokenId = typeof TokenId.Type

export const TokenKind = Schema.Literals(["anonymous", "shared", "personal"])
export type TokenKind = typeof TokenKind.Type

/** Lower is spent first: anonymous tokens spare the personal quota (D2). */
export const priorityOf: Readonly<Record<TokenKind, number>> = { anonymous: 1, shared: 2, personal: 3 }

/** What an upstream issues: a secret to renew with, if it is renewable, and one to call with. */
export interface Credential {
  readonly refresh?: Redacted.Redacted | undefined
  readonly access: Redacted.Redacted
  /** Epoch milliseconds after which `access` is refused; absent when it never ends. */
  readonly expiresAt?: number | undefined
}

/** The answer of an upstream to "how much is left?". The units are the upstream's own credits, not calls. */
export interface QuotaReport {
  readonly unlimited: boolean
  readonly limit: number
  readonly used: number
  /** Epoch milliseconds of the next refill. */
  readonly resetAt?: number | undefined
}
