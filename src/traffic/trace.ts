/** The words in which it is told what became of one request. */
import { Schema } from "effect"

export const Step = Schema.Struct({
  /** Milliseconds since the request came. */
  at: Schema.Finite,
  /** How long it took, in milliseconds. */
  took: Schema.optionalKey(Schema.Finite),
  step: Schema.Literals(["slot", "no_slot", "token", "no_token", "renewed", "sent", "answered", "failed", "paused"]),
  target: Schema.optionalKey(Schema.String),
  token: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String),
  /** The targets before it in the route that were passed over, and why. */
  skipped: Schema.optionalKey(Schema.Array(Schema.Struct({ target: Schema.String, why: Schema.String })))
})
export type Step = typeof Step.Type

/** `limited` is 429, `refused` any other 4xx, `failed` a 5xx or a stream that broke; `left` had no answer, or not all of it. */
export const Outcome = Schema.Literals(["served", "limited", "refused", "failed", "left"])
export type Outcome = typeof Outcome.Type

/** Why it is kept: its client asked for it with `x-weirgate-explain`, it was picked from all, or it went wrong. */
export const Why = Schema.Literals(["asked", "sampled", "failed"])
export type Why = typeof Why.Type

/**
 * The explain-trace of one request. Never holds a secret, nor what was asked or answered. What it had not come to yet is null: one
 * that is refused for its key has named no model.
 */
export const Trace = Schema.Struct({
  id: Schema.String,
  /** RFC 3339. */
  startedAt: Schema.String,
  why: Why,
  /** Its first 200 characters. */
  model: Schema.NullOr(Schema.String),
  client: Schema.NullOr(Schema.String),
  priority: Schema.NullOr(Schema.Int),
  /** Milliseconds it was given in all. */
  timeout: Schema.NullOr(Schema.Finite),
  attempts: Schema.Int,
  queuedMs: Schema.Finite,
  target: Schema.NullOr(Schema.String),
  /** In words. */
  outcome: Schema.String,
  /** Null while its answer is being streamed. */
  ended: Schema.NullOr(Outcome),
  /** Null when it had no answer. */
  status: Schema.NullOr(Schema.Int),
  /** Milliseconds until it ended: for a streamed answer, until its last piece. */
  took: Schema.NullOr(Schema.Finite),
  /** None where it is kept only because it failed. */
  steps: Schema.Array(Step)
})
export type Trace = typeof Trace.Type
