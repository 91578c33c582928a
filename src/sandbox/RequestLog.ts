/** Keeps what the newest model requests asked for, so that a person or a test can see what really arrived. */
import { Context, Effect, Layer } from "effect"

export interface LoggedRequest {
  /** RFC 3339. */
  readonly time: string
  readonly provider: string
  /** The sandbox's own name for the account; null when the caller was not recognised. */
  readonly account: string | null
  readonly conversationId: string
  readonly model: string
  readonly query: string
  readonly systemPrompt: string | null
  /** Messages that came before this one. */
  readonly historyLength: number
  readonly toolNames: ReadonlyArray<string>
  readonly toolResults: ReadonlyArray<string>
}

/** How many requests are kept, and how much of each: at most some 20 MB in all. */
const kept = 200
const longestText = 4_000
const longestName = 128
const mostNames = 128
const mostResults = 16

export class RequestLog extends Context.Service<
  RequestLog,
  {
    add(request: LoggedRequest): Effect.Effect<void>
    /** Newest last. */
    readonly all: Effect.Effect<ReadonlyArray<LoggedRequest>>
    readonly clear: Effect.Effect<void>
  }
>()("weirgate/sandbox/RequestLog") {
  static readonly layer = Layer.sync(RequestLog, () => {
    let requests: ReadonlyArray<LoggedRequest> = []
    return RequestLog.of({
      add: (request) =>
        Effect.sync(() => {
          requests = [...requests, bounded(request)].slice(-kept)
        }),
      all: Effect.sync(() => requests),
      clear: Effect.sync(() => {
        requests = []
      })
    })
  })
}

const bounded = (request: LoggedRequest): LoggedRequest => ({
  ...request,
  conversationId: request.conversationId.slice(0, longestName),
  model: request.model.slice(0, longestName),
  query: request.query.slice(0, longestText),
  systemPrompt: request.systemPrompt?.slice(0, longestText) ?? null,
  toolNames: request.toolNames.slice(0, mostNames).map((name) => name.slice(0, longestName)),
  toolResults: request.toolResults.slice(0, mostResults).map((text) => text.slice(0, longestText))
})
