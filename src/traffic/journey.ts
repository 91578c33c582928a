/** What one request went through: counted always, told step by step when it is traced. */
import type { CallFailure } from "../domain/Failure.ts"
import { nameOf, type Target } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"
import type { Step } from "./trace.ts"
import { short } from "./tracedText.ts"

/** Filled in while the request is served, so that it can be told of also when it fails. */
export interface Journey {
  attempts: number
  queuedMs: number
  /** Where it was sent last. */
  target: Target | undefined
  /** What was spent last. */
  token: TokenId | undefined
  /** How the last call failed that did, though another may have mended it. */
  failure?: CallFailure | undefined
  /** Milliseconds the request has in all, once that is known. */
  timeout?: number | undefined
  /** Absent unless it is traced. */
  readonly steps: Array<Step> | undefined
}

export const make = (isTraced: boolean): Journey => ({
  attempts: 0,
  queuedMs: 0,
  target: undefined,
  token: undefined,
  failure: undefined,
  timeout: undefined,
  steps: isTraced ? [] : undefined
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
  journey.steps.push({ at, step, ...(of !== undefined && { target: short(nameOf(of)) }), ...rest })
}

export interface Skipped {
  readonly target: Target
  readonly why: string
}

export const skippedOf = (skipped: ReadonlyArray<Skipped>) =>
  skipped.length === 0 ? {} : { skipped: skipped.map(({ target, why }) => ({ target: short(nameOf(target)), why })) }

export const tokenOf = (token: TokenId | undefined) => (token === undefined ? {} : { token })
