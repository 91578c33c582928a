/** How long a model works on a call: pure, and the same for the sandbox, which waits for it, and for the simulation, which does not. */
import { Duration } from "effect"

export interface ServiceModel {
  /** Before the first token, whatever is asked. */
  readonly firstToken: Duration.Duration
  /** In addition, for each thousand tokens of the question. */
  readonly perThousandPrompt: Duration.Duration
  /** For each token of the answer after the first. */
  readonly perToken: Duration.Duration
}

/** Milliseconds until the first token, and from there to the last. */
export interface ServiceTime {
  readonly first: number
  readonly rest: number
}

export const serviceTime = (
  { firstToken, perThousandPrompt, perToken }: ServiceModel,
  tokens: { readonly prompt: number; readonly completion: number }
): ServiceTime => ({
  first: Duration.toMillis(firstToken) + (tokens.prompt / 1_000) * Duration.toMillis(perThousandPrompt),
  rest: Math.max(0, tokens.completion - 1) * Duration.toMillis(perToken)
})

/** Of a model of some 30 thousand million parameters on one server of the field: rounded from what its providers publish. */
export const usualService: ServiceModel = {
  firstToken: Duration.millis(200),
  perThousandPrompt: Duration.millis(100),
  perToken: Duration.millis(20)
}
