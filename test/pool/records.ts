/** Token records to try the pure rules on. */
import { fold } from "../../src/pool/tokenRules.ts"
import type { Outcome, TokenEvent, TokenRecord } from "../../src/pool/tokenState.ts"
import { TokenId, type TokenKind } from "../../src/domain/Token.ts"
import { Sealed } from "../../src/store/Vault.ts"

export const second = 1_000
export const minute = 60 * second
export const hour = 60 * minute

export const added = (name = "a", kind: TokenKind = "anonymous"): TokenEvent => ({
  _tag: "Added",
  id: TokenId.make(`id-${name}`),
  provider: "warp",
  name,
  kind,
  secrets: { refresh: Sealed.make("sealed-refresh"), access: { sealed: Sealed.make("sealed-access") } }
})

export const report = (outcome: Outcome, options: { readonly probe?: string; readonly generation?: number } = {}) =>
  ({ _tag: "Reported", outcome, generation: 0, ...options }) satisfies TokenEvent

export const probe = (outcome: Outcome) => report(outcome, { probe: "us" })

export const foldOn = (record: TokenRecord, at: number, event: TokenEvent): TokenRecord => {
  const next = fold(record, at, event)
  if (next === undefined) throw new Error("the token is gone")
  return next
}

/** What becomes of a token to which all this happens, each at its time. */
export const after = (...events: ReadonlyArray<readonly [at: number, event: TokenEvent]>): TokenRecord => {
  const fresh = fold(undefined, 0, added())
  if (fresh === undefined) throw new Error("the token was not added")
  return events.reduce((record, [at, event]) => foldOn(record, at, event), fresh)
}

export const succeeded: Outcome = { _tag: "Succeeded", latencyMs: 1 }
export const throttled = (retryAfterMs?: number, signature = "limit"): Outcome => ({
  _tag: "Throttled",
  signature,
  retryAfterMs
})
export const quotaExhausted = (resetAt?: number): Outcome => ({ _tag: "QuotaExhausted", resetAt })
export const accessRejected: Outcome = { _tag: "AccessRejected" }
