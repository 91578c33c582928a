/** One call of a model at an upstream: OpenAI's wire in, OpenAI's wire out, whatever the upstream speaks itself. */
import type { Cause, Effect, Exit, Redacted, Scope } from "effect"
import type { Usage } from "../domain/Chat.ts"
import type { CallFailure } from "../domain/Failure.ts"
import type { Timeouts } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"

/** The paths below `/v1` that models are asked at. */
export const endpoints = ["/chat/completions", "/completions", "/embeddings", "/responses"] as const
export type Endpoint = (typeof endpoints)[number]

/** What the client sent: the bytes as they came, and what they say, parsed once. */
export interface RequestBody {
  readonly bytes: Uint8Array
  readonly json: Readonly<Record<string, unknown>>
}

export interface ModelCall {
  readonly endpoint: Endpoint
  readonly body: RequestBody
  /** The upstream's own name of the model; it takes the place of the body's. */
  readonly model: string
  /** What the client calls the model, for an upstream whose answer is written here. */
  readonly publicModel: string
  /** Whether the client wants the answer piece by piece. */
  readonly stream: boolean
  readonly token: { readonly id: TokenId; readonly access: Redacted.Redacted }
  readonly timeouts: Timeouts
  /** Epoch milliseconds at which the whole request is given up, whatever the phase. */
  readonly deadline: number
  /** Called once, when the request begins to leave: from here on the upstream may have counted it. Never throws. */
  readonly sent: () => void
}

/** An answer in one piece, read to its end. */
export interface WholeAnswer {
  readonly _tag: "Whole"
  readonly contentType: string
  readonly body: Uint8Array
  readonly usage: Usage | undefined
}

/** A streamed answer whose first content has come: server-sent events, cut only between events. */
export interface StreamedAnswer {
  readonly _tag: "Streamed"
  /** All up to the first content, as it came. */
  readonly first: Uint8Array
  /**
   * The next events that have come, or waits for one; done after the last, which is always `data: [DONE]` where the endpoint
   * has it. Fails when the answer breaks, is silent too long, or is no answer; only one may pull at a time.
   */
  readonly next: Effect.Effect<Uint8Array, CallFailure | Cause.Done>
  /** Ends it at once: what is pulled then, or is being waited for, fails with `UpstreamUnavailable`. Never throws. */
  readonly cut: () => void
  /** As far as it has come. */
  readonly usage: () => Usage | undefined
}

export type Answer = WholeAnswer | StreamedAnswer

export interface ModelClient {
  /** Which endpoints it has. */
  readonly endpoints: ReadonlySet<Endpoint>
  /**
   * Makes one call and retries nothing. Waits until the first content of a streamed answer, or the whole of another, has come. The
   * connection is held by the scope: closing it, or interruption in any phase, aborts the call.
   */
  call(call: ModelCall): Effect.Effect<Answer, CallFailure, Scope.Scope>
  /**
   * The same for an answer in one piece, without a fiber: `settled` is told once what has become of it, not before this returns.
   * What it returns gives the call up. Absent where a call takes more than a callback.
   */
  readonly begin?: (call: ModelCall, settled: (exit: Exit.Exit<Answer, CallFailure>) => void) => () => void
}
