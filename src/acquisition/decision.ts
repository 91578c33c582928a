/** The words in which an acquisition is decided: the steps, the answers, and what is kept of each decision. */
import { Schema } from "effect"
import type { TokenId, TokenKind } from "../domain/Token.ts"

export const Step = Schema.Literals(["dedup", "cache", "in_flight", "policy", "rate_limiter", "predictor", "upstream"])
export type Step = typeof Step.Type

/** No token was given, and why. `retryAfter` is when asking again can help, where that is known. */
export class AcquisitionDenied extends Schema.TaggedError<AcquisitionDenied>()("AcquisitionDenied", {
  provider: Schema.String,
  step: Step,
  reason: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis),
  /** It could not be decided, because the store is away. */
  undecided: Schema.optionalKey(Schema.Boolean)
}) {
  override get message() {
    return `no token was acquired from ${this.provider}: ${this.reason} (step ${this.step})`
  }
}

/** Which token it is. To call with it, lease it: only the pool knows its secret as it is now. */
export interface AcquiredToken {
  readonly id: TokenId
  readonly provider: string
  readonly kind: TokenKind
}

export interface AcquisitionRequest {
  readonly provider: string
  /** Why a token is wanted: the text of the error, or a plain reason. */
  readonly errorContext: string
  /** Who asks; part of what makes two requests the same. */
  readonly caller: string
  /** The class of need a cached token must fit (default "default"); not an error text. */
  readonly context?: string | undefined
}

export const contextOf = ({ context = "default" }: AcquisitionRequest) => context

/** One decision, as it is kept. */
export const Decision = Schema.Struct({
  at: Schema.Finite,
  provider: Schema.String,
  caller: Schema.String,
  /** Normalised: at most 200 characters, without times, numbers and what looks like an identifier. */
  errorContext: Schema.String,
  step: Step,
  answer: Schema.Literals(["token", "denied", "failed"]),
  reason: Schema.String,
  /** The token that was the answer. */
  token: Schema.optionalKey(Schema.String),
  retryAfterMs: Schema.optionalKey(Schema.Finite),
  /** What the step decided on, for a person to read. */
  inputs: Schema.Record(Schema.String, Schema.Json),
  /** How many it stands for, all within ten seconds: the same denial that came again after one that stands by itself. Absent: 1. */
  times: Schema.optionalKey(Schema.Int)
})
export type Decision = typeof Decision.Type

/** What a step came to, before it is kept and told. */
export type Verdict = {
  readonly step: Step
  readonly reason: string
  readonly inputs: Decision["inputs"]
} & (
  | { readonly answer: "token"; readonly token: AcquiredToken }
  | {
      readonly answer: "denied" | "failed"
      readonly retryAfterMs?: number | undefined
      /** The store is away. */
      readonly undecided?: boolean
    }
)
