/** The state of one token: what is stored of it, what can happen to it, and whether it may be lent at an instant. */
import { Schema } from "effect"
import type { QuotaReport } from "../domain/Token.ts"
import { TokenId, TokenKind } from "../domain/Token.ts"
import { Sealed } from "../store/Vault.ts"
import { Claim } from "./claim.ts"

/** Why a token is out of use and until when (epoch ms). What was guessed, not stated, is probed with growing gaps. */
export const TokenState = Schema.Union([
  Schema.TaggedStruct("active", {}),
  Schema.TaggedStruct("cooling", {
    until: Schema.Finite,
    why: Schema.String,
    source: Schema.Literals(["stated", "guessed"])
  }),
  Schema.TaggedStruct("exhausted", {
    until: Schema.Finite,
    source: Schema.Literals(["stated", "guessed"])
  }),
  Schema.TaggedStruct("disabled", {
    why: Schema.String,
    /** Absent when a person disabled it: then only a person brings it back. */
    until: Schema.optionalKey(Schema.Finite)
  }),
  Schema.TaggedStruct("dead", { why: Schema.String })
])
export type TokenState = typeof TokenState.Type

/** How one upstream call ended, as far as the token is concerned. */
export type Outcome =
  | { readonly _tag: "Succeeded"; readonly latencyMs: number }
  | { readonly _tag: "QuotaExhausted"; readonly resetAt?: number | undefined }
  | { readonly _tag: "AccessRejected" }
  | { readonly _tag: "RefreshRejected"; readonly code: string }
  | { readonly _tag: "Blocked"; readonly reason: string }
  | { readonly _tag: "Throttled"; readonly retryAfterMs?: number | undefined; readonly signature: string }
  /** The call failed and it is not known how, as D4's report puts it: only the share of such errors counts. */
  | { readonly _tag: "Failed" }
  /** 5xx, timeout, reset, cut stream: no fault of the token. */
  | { readonly _tag: "UpstreamFault" }
  /** The request was at fault: the token has served. */
  | { readonly _tag: "CallerFault" }
  /** The caller left before it was known. */
  | { readonly _tag: "Abandoned" }

/** How often in a row it was taken out of use on a guess, by cause: each makes the next gap longer. */
const Relapses = Schema.Struct({ quota: Schema.Int, trouble: Schema.Int, unreliable: Schema.Int })

export const LastCheck = Schema.Struct({
  /** Epoch milliseconds. */
  at: Schema.Finite,
  ok: Schema.Boolean,
  /** Of one that failed: never a secret. */
  detail: Schema.optionalKey(Schema.String)
})
export type LastCheck = typeof LastCheck.Type

export const LastFailure = Schema.Struct({
  /** Epoch milliseconds. */
  at: Schema.Finite,
  outcome: Schema.String,
  /** What the caller said of it: never a secret. */
  detail: Schema.optionalKey(Schema.String)
})
export type LastFailure = typeof LastFailure.Type

/** A token as it is stored. */
export const TokenRecord = Schema.Struct({
  id: TokenId,
  provider: Schema.String,
  name: Schema.String,
  kind: TokenKind,
  createdAt: Schema.Finite,
  /** The acquirer made it, so it may be forgotten; absent when a person added it. */
  acquired: Schema.optionalKey(Schema.Boolean),
  refresh: Schema.optionalKey(Sealed),
  access: Schema.optionalKey(Schema.Struct({ sealed: Sealed, expiresAt: Schema.optionalKey(Schema.Finite) })),
  /** The secret it was added with. Adding it again must not undo a rotation. */
  origin: Schema.optionalKey(Sealed),
  /** Grows with each new secret, so that what is said of an old one is not held against a new one. */
  generation: Schema.Int,
  state: TokenState,
  /** Since when it has not been active; absent while it is. */
  outSince: Schema.optionalKey(Schema.Finite),
  served: Schema.Int,
  succeeded: Schema.Int,
  failed: Schema.Int,
  consecutiveFailures: Schema.Int,
  lastUsedAt: Schema.optionalKey(Schema.Finite),
  lastFailure: Schema.optionalKey(LastFailure),
  /** Recent outcomes, oldest first, for the share of errors. */
  window: Schema.Array(Schema.Struct({ at: Schema.Finite, ok: Schema.Boolean })),
  relapses: Relapses,
  quota: Schema.optionalKey(
    Schema.Struct({
      limit: Schema.Finite,
      used: Schema.Finite,
      unlimited: Schema.Boolean,
      resetAt: Schema.optionalKey(Schema.Finite),
      at: Schema.Finite
    })
  ),
  /** The 429s that were not about quota and what they changed, in case the limit turns out not to be the token's. */
  throttle: Schema.optionalKey(
    Schema.Struct({
      /** The first and the last of them. */
      since: Schema.Finite,
      at: Schema.Finite,
      count: Schema.Int,
      signature: Schema.String,
      /** The latest end that was stated. */
      until: Schema.optionalKey(Schema.Finite),
      before: Schema.Struct({ state: TokenState, relapses: Relapses })
    })
  ),
  probe: Schema.optionalKey(Claim),
  check: Schema.optionalKey(Claim),
  /** How the last check ended that the upstream was asked for; calls are none. */
  lastCheck: Schema.optionalKey(LastCheck),
  renewal: Schema.optionalKey(Claim),
  /** Renewals that failed in a row without being refused for good, and until when none is tried. */
  renewalHold: Schema.optionalKey(Schema.Struct({ failures: Schema.Int, until: Schema.Finite }))
})
export type TokenRecord = typeof TokenRecord.Type

export interface Secrets {
  readonly refresh?: Sealed
  readonly access?: NonNullable<TokenRecord["access"]>
}

/** What can happen to a token. */
export type TokenEvent =
  | {
      readonly _tag: "Added"
      readonly id: TokenId
      readonly provider: string
      readonly name: string
      readonly kind: TokenKind
      readonly acquired?: boolean
      /** Absent when the secret is the one it was added with before. */
      readonly secrets?: Secrets & { readonly origin?: Sealed }
    }
  | {
      readonly _tag: "Reported"
      readonly outcome: Outcome
      /** Of the access secret that was used. */
      readonly generation: number
      /** Who lent it, when the call was the token's probe. */
      readonly probe?: string
      /** How many calls in a row ended so (default 1); more than one only of those that succeeded. */
      readonly times?: number
      /** Of one that failed, for a person: never a secret. */
      readonly detail?: string
    }
  | { readonly _tag: "ProbeClaimed"; readonly claim: Claim }
  | { readonly _tag: "ProbeReleased"; readonly by: string }
  /** `seen` is when the claimant knows it to have been checked last, if the check is one of the schedule. */
  | { readonly _tag: "CheckClaimed"; readonly claim: Claim; readonly seen?: { readonly at: number | undefined } }
  /** It was not asked after all, or nothing came of it. */
  | { readonly _tag: "CheckReleased"; readonly by: string }
  /** The upstream was asked for nothing else than whether the token is good. */
  | {
      readonly _tag: "Checked"
      readonly by: string
      readonly outcome: Outcome
      /** Of the access secret that was used. */
      readonly generation: number
      readonly detail?: string
    }
  | { readonly _tag: "RenewalClaimed"; readonly claim: Claim; readonly generation: number }
  /** `generation` is of the secret that was renewed. */
  | { readonly _tag: "Renewed"; readonly secrets: Secrets; readonly generation: number }
  | { readonly _tag: "RenewalReleased"; readonly by: string }
  /** Renewal failed, but may yet succeed. */
  | { readonly _tag: "RenewalFailed"; readonly by: string; readonly retryAfterMs?: number }
  /** The token is of no more use. */
  | { readonly _tag: "Died"; readonly why: string; readonly generation: number }
  | { readonly _tag: "QuotaNoted"; readonly report: QuotaReport }
  | { readonly _tag: "PenaltyUndone"; readonly signature: string; readonly since: number }
  | { readonly _tag: "Disabled"; readonly why: string }
  | { readonly _tag: "Enabled" }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Removed" }
  /** It is forgotten, if it is still of no use to anyone. */
  | { readonly _tag: "Retired" }

/** What a person may see of a token. */
export interface TokenView {
  readonly id: TokenId
  readonly provider: string
  readonly name: string
  readonly kind: TokenKind
  readonly state: TokenState
  readonly usable: boolean
  readonly createdAt: number
  readonly lastUsedAt: number | undefined
  readonly accessExpiresAt: number | undefined
  readonly served: number
  readonly succeeded: number
  readonly failed: number
  readonly quota:
    | { readonly limit: number; readonly used: number; readonly unlimited: boolean; readonly at: number }
    | undefined
  readonly leased: number
  readonly lastCheck: LastCheck | undefined
  readonly lastFailure: LastFailure | undefined
  /** When a call last proved it good (epoch milliseconds); undefined when it is out of use, or an error came after. */
  readonly provenAt: number | undefined
}

const active: TokenState = { _tag: "active" }

/** The state at an instant: what the upstream itself put a time to is over at that time. */
export const stateAt = (state: TokenState, now: number): TokenState =>
  (state._tag === "cooling" || state._tag === "exhausted") && state.source === "stated" && state.until <= now
    ? active
    : state

/** `ready`: lent freely. `due`: lent to one caller at a time, as a probe. `out`: not lent. */
export type Standing = "ready" | "due" | "out"

/** Where a state stands, whatever the secrets. */
export const standingOf = (state: TokenState, now: number): Standing => {
  switch (state._tag) {
    case "active":
      return "ready"
    case "cooling":
    case "exhausted":
      return now < state.until ? "out" : state.source === "stated" ? "ready" : "due"
    case "disabled":
      return state.until === undefined || now < state.until ? "out" : "due"
    case "dead":
      return "out"
  }
}

export const accessIsValid = (record: TokenRecord, now: number): boolean =>
  record.access !== undefined && (record.access.expiresAt === undefined || now < record.access.expiresAt)

/** Its access secret has ended and there is nothing to renew it with. */
export const hasEnded = (record: TokenRecord, now: number): boolean =>
  record.refresh === undefined && record.access !== undefined && !accessIsValid(record, now)

/** A renewal has failed just now, and none is tried yet. */
export const isBarred = ({ renewalHold }: TokenRecord, now: number): boolean =>
  renewalHold !== undefined && now < renewalHold.until

const mayRenew = (record: TokenRecord, now: number): boolean => record.refresh !== undefined && !isBarred(record, now)

/** Whether a token may be lent, its secrets considered. */
export const standing = (record: TokenRecord, now: number): Standing =>
  accessIsValid(record, now) || mayRenew(record, now) ? standingOf(record.state, now) : "out"

/** When a token that is out comes back by itself; `undefined` when it takes a person. */
export const returnsAt = (record: TokenRecord, now: number): number | undefined => {
  const { state, renewalHold } = record
  if (state._tag === "dead" || hasEnded(record, now)) return undefined
  if (record.refresh === undefined && record.access === undefined) return undefined
  const held = accessIsValid(record, now) ? now : Math.max(now, renewalHold?.until ?? now)
  if (state._tag === "active") return held
  return state.until === undefined ? undefined : Math.max(held, state.until)
}

export const viewOf = (record: TokenRecord, now: number, leased: number, usable: boolean): TokenView => ({
  id: record.id,
  provider: record.provider,
  name: record.name,
  kind: record.kind,
  state: stateAt(record.state, now),
  usable,
  createdAt: record.createdAt,
  lastUsedAt: record.lastUsedAt,
  accessExpiresAt: record.access?.expiresAt,
  served: record.served,
  succeeded: record.succeeded,
  failed: record.failed,
  quota: record.quota && {
    limit: record.quota.limit,
    used: record.quota.used,
    unlimited: record.quota.unlimited,
    at: record.quota.at
  },
  leased,
  lastCheck: record.lastCheck,
  lastFailure: record.lastFailure,
  provenAt: provenAt(record)
})

const provenAt = ({ state, window }: TokenRecord): number | undefined => {
  const last = window.at(-1)
  return state._tag === "active" && last?.ok ? last.at : undefined
}
