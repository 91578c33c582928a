/** What one request went through: counted always, told step by step when it asked to be. */
import { Schema } from "effect"
import { nameOf, type Target } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"

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

/** The explain-trace of one request. Never holds a secret, nor what was asked or answered. */
export const Trace = Schema.Struct({
  id: Schema.String,
  /** RFC 3339. */
  startedAt: Schema.String,
  model: Schema.String,
  client: Schema.String,
  priority: Schema.Int,
  /** Milliseconds it was given in all. */
  timeout: Schema.Finite,
  attempts: Schema.Int,
  queuedMs: Schema.Finite,
  target: Schema.NullOr(Schema.String),
  outcome: Schema.String,
  steps: Schema.Array(Step)
})
export type Trace = typeof Trace.Type

/** Filled in while the request is served, so that it can be told of also when it fails. */
export interface Journey {
  attempts: number
  queuedMs: number
  /** Where it was sent last. */
  target: Target | undefined
  /** What was spent last. */
  token: TokenId | undefined
  /** Absent unless an explanation was asked for. */
  readonly steps: Array<Step> | undefined
}

export const make = (explain: boolean): Journey => ({
  attempts: 0,
  queuedMs: 0,
  target: undefined,
  token: undefined,
  steps: explain ? [] : undefined
})

/** More steps than this are not kept: a request waits and tries only so often. */
const mostSteps = 200

export const note = (
  journey: Journey,
  at: number,
  step: Step["step"],
  more: Omit<Step, "at" | "step" | "target"> & { readonly of?: Target | undefined } = {}
): void => {
  if (journey.steps === undefined || journey.steps.length >= mostSteps) return
  const { of, ...rest } = more
  journey.steps.push({ at, step, ...(of !== undefined && { target: nameOf(of) }), ...rest })
}

export interface Skipped {
  readonly target: Target
  readonly why: string
}

export const skippedOf = (skipped: ReadonlyArray<Skipped>) =>
  skipped.length === 0 ? {} : { skipped: skipped.map(({ target, why }) => ({ target: nameOf(target), why })) }

export const tokenOf = (token: TokenId | undefined) => (token === undefined ? {} : { token })
