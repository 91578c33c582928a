/** What the end of a call says of the token it was made with. */
import { Cause, Data, Duration, Exit, Option, Predicate, Result, Schema } from "effect"
import { Outcome } from "../contract/tokens.ts"
import { WeirgateError } from "./WeirgateError.ts"

/**
 * `"abandoned"`: nothing; its lease is given back. An outcome may also be `succeeded` although `use` failed, when the
 * token was not at fault. `retryAfter` goes with `rate_limited`; a plain number is milliseconds.
 */
export type Verdict = Outcome | { readonly outcome: Outcome; readonly retryAfter?: Duration.Input | undefined }

/** To fail with inside `use`, where one knows what was wrong with the token: `throw new TokenFault({ outcome: "unauthorized" })`. */
export class TokenFault extends Data.TaggedError("TokenFault")<{
  readonly outcome: Outcome
  /** A plain number is milliseconds. */
  readonly retryAfter?: Duration.Input | undefined
  /** Reported too, for people to read. */
  readonly message: string
}> {
  constructor(fault: {
    readonly outcome: Outcome
    readonly retryAfter?: Duration.Input | undefined
    readonly message?: string | undefined
  }) {
    super({ ...fault, message: fault.message ?? `the token: ${fault.outcome}` })
  }
}

/** What is to be reported. */
export interface Ending {
  readonly outcome: Outcome
  /** In seconds, as the contract wants it. */
  readonly retryAfter?: number
  readonly error?: string
}

/** `classify` may leave a failure to what the failure itself says. */
export const endingOf = <A, E>(
  exit: Exit.Exit<A, E>,
  classify: ((error: E) => Verdict | undefined) | undefined
): Ending => {
  if (Exit.isSuccess(exit)) return { outcome: "succeeded" }
  if (Cause.hasInterruptsOnly(exit.cause)) return { outcome: "abandoned" }
  const failure = Cause.findErrorOption(exit.cause)
  // A defect is told as one: its text is for whoever wrote `use`.
  if (Option.isNone(failure)) return { outcome: "failed", error: "the call broke" }
  const verdict = judged(failure.value, classify)
  const { outcome, retryAfter } = typeof verdict === "string" ? { outcome: verdict, retryAfter: undefined } : verdict
  if (outcome === "succeeded" || outcome === "abandoned") return { outcome }
  const seconds = outcome === "rate_limited" ? secondsOf(retryAfter) : undefined
  const error = textOf(failure.value)
  return {
    outcome,
    ...(seconds !== undefined && { retryAfter: seconds }),
    ...(error !== undefined && { error })
  }
}

/** A classification that throws says nothing. */
const judged = <E>(error: E, classify: ((error: E) => Verdict | undefined) | undefined): Verdict =>
  Result.getOrElse(
    Result.try(() => classify?.(error)),
    () => undefined
  ) ?? byItself(error)

const isOutcome = Schema.is(Outcome)

const byItself = (error: unknown): Verdict => {
  // What another call to this server met, and a call that `use` itself has given up, are no fault of the token.
  if (error instanceof WeirgateError || (error instanceof Error && error.name === "AbortError")) return "abandoned"
  if (!Predicate.hasProperty(error, "outcome") || !isOutcome(error.outcome)) return "failed"
  const { outcome } = error
  return Predicate.hasProperty(error, "retryAfter")
    ? { outcome, retryAfter: Result.getOrUndefined(Result.try(() => inputOf(error.retryAfter))) }
    : outcome
}

const inputOf = (input: unknown): Duration.Duration | undefined =>
  Duration.isDuration(input)
    ? input
    : typeof input === "number"
      ? Duration.millis(input)
      : typeof input === "string"
        ? Option.getOrUndefined(Duration.fromInput(input as Duration.Input))
        : undefined

/** A day is the most that the contract takes. */
const longest = 86_400

const secondsOf = (input: Duration.Input | undefined): number | undefined => {
  const wait = input === undefined ? Option.none() : Duration.fromInput(input)
  if (Option.isNone(wait)) return undefined
  const seconds = Math.ceil(Duration.toSeconds(wait.value))
  return seconds > 0 ? Math.min(seconds, longest) : undefined
}

const textOf = (error: unknown): string | undefined => {
  if (typeof error === "string") return error
  if (Predicate.hasProperty(error, "message") && typeof error.message === "string" && error.message !== "") {
    return error.message
  }
  return Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? error._tag : undefined
}
