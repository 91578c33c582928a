/** Keeps what the newest model requests asked for, so that a person or a test can see what really arrived. */
import { Context, Effect, Layer } from "effect"

export interface LoggedRequest {
  /** RFC 3339. */
  readonly time: string
  /** When it arrived, in epoch milliseconds. */
  readonly arrivedAt: number
  readonly provider: string
  readonly call: string
  /** The sandbox's own name for the account; null when the caller was not recognised. */
  readonly account: string | null
  /** Empty where there is none. */
  readonly conversationId: string
  readonly model: string
  readonly query: string
  readonly systemPrompt: string | null
  /** Messages that came before this one. */
  readonly historyLength: number
  readonly toolNames: ReadonlyArray<string>
  readonly toolResults: ReadonlyArray<string>
  /** What was answered; null before that, or when nothing was. */
  readonly status: number | null
}

/** How many requests are kept. */
const kept = 5_000
/** How many of the newest are kept at length. */
const keptAtLength = 200
/** How much of a request is kept as long as it is one of the newest, and after that: in all some 30 million characters at most. */
const atLength = { text: 4_000, name: 128, names: 128, results: 16 }
const inShort = { text: 200, name: 128, names: 4, results: 2 }

export class RequestLog extends Context.Service<
  RequestLog,
  {
    /** Answers with what tells the log how the request was answered. */
    add(request: Omit<LoggedRequest, "status">): Effect.Effect<(status: number) => Effect.Effect<void>>
    /** Newest last. */
    readonly all: Effect.Effect<ReadonlyArray<LoggedRequest>>
    readonly clear: Effect.Effect<void>
  }
>()("weirgate/sandbox/RequestLog") {
  static readonly layer = Layer.sync(RequestLog, () => {
    let entries: Array<Entry> = []
    return RequestLog.of({
      add: (request) =>
        Effect.sync(() => {
          const entry: Entry = { request: bounded({ ...request, status: null }, atLength) }
          entries.push(entry)
          const aged = entries.at(-1 - keptAtLength)
          if (aged !== undefined) aged.request = bounded(aged.request, inShort)
          if (entries.length > kept) entries.shift()
          return (status) =>
            Effect.sync(() => {
              entry.request = { ...entry.request, status }
            })
        }),
      all: Effect.sync(() => entries.map(({ request }) => request)),
      clear: Effect.sync(() => {
        entries = []
      })
    })
  })
}

interface Entry {
  request: LoggedRequest
}

const bounded = (request: LoggedRequest, most: typeof atLength): LoggedRequest => ({
  ...request,
  conversationId: cut(request.conversationId, most.name),
  model: cut(request.model, most.name),
  query: cut(request.query, most.text),
  systemPrompt: request.systemPrompt === null ? null : cut(request.systemPrompt, most.text),
  toolNames: request.toolNames.slice(0, most.names).map((name) => cut(name, most.name)),
  toolResults: request.toolResults.slice(0, most.results).map((text) => cut(text, most.text))
})

/** Copied, for a slice would hold on to the whole text, and so to megabytes. */
const cut = (text: string, most: number): string =>
  text.length <= most ? text : Buffer.from(text.slice(0, most)).toString()
