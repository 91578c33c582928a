/** A token held for one upstream call. */
import { Schema } from "effect"
import type { Effect, Redacted } from "effect"
import type { TokenId, TokenKind } from "../domain/Token.ts"
import type { Strategy } from "./strategies.ts"
import type { Outcome } from "./tokenState.ts"

/** No token can be lent now. `retryAfter` is when the first one comes back, if one will by itself. */
export class NoTokenUsable extends Schema.TaggedError<NoTokenUsable>()("NoTokenUsable", {
  provider: Schema.String,
  /** How many tokens the pool holds for this provider, whatever their state. */
  held: Schema.Int,
  reason: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis),
  /** A token is fit but for a secret that the upstream does not renew now: another token is no remedy. */
  awaitsRenewal: Schema.optionalKey(Schema.Boolean)
}) {
  override get message() {
    return `no token for ${this.provider} can be used: ${this.reason}`
  }
}

export interface LeaseRequest {
  readonly provider: string
  readonly strategy?: Strategy | undefined
  readonly exclude?: ReadonlySet<TokenId> | undefined
  /** This token or none: what belongs to its account can be asked for with no other. */
  readonly only?: TokenId | undefined
}

export interface Lease {
  readonly id: TokenId
  readonly name: string
  readonly kind: TokenKind
  readonly provider: string
  readonly access: Redacted.Redacted
  /** Of the access secret: grows with each new one. */
  readonly generation: number
  /** This call is the single probe of a token that was out of use. */
  readonly probe: boolean
  /**
   * Says how the call ended. The first report counts; a lease released without one is `Abandoned`. `detail` is for a person
   * and holds no secret. Never waits.
   */
  report(outcome: Outcome, detail?: string | undefined): Effect.Effect<void>
  /** Renews the access secret after a 401, single flight per token, and answers with the new one. Waits for the upstream. */
  readonly renew: Effect.Effect<Redacted.Redacted, NoTokenUsable>
}

/** A lease that no scope holds. */
export interface HeldLease extends Lease {
  /** Who lent it, if the call is the token's probe: to be named where it is settled by another process. */
  readonly probedBy: string | undefined
  /** To be run once, where nothing interrupts. Never waits. */
  readonly giveBack: Effect.Effect<void>
  /** Reports a success and gives back at once, where there is nothing else to tell of it. False when there is: nothing is done then. */
  endedWell(latencyMs: number): boolean
}

/** Lets what it is given be interrupted, within what is not. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
