/**
 * Sends requests and reads answers, each within a bound of time and size. A transport's failure is told as what a caller
 * can act on, and never with the request in it, whose address and headers hold secrets.
 */
import { Duration, Effect, Option, Stream } from "effect"
import type { Scope } from "effect"
import { Headers, HttpClient, HttpClientRequest, type HttpClientError, type HttpClientResponse } from "effect/http"
import { UpstreamUnavailable } from "../domain/Failure.ts"

/** An HTTP answer whose body has been read as far as it is worth reading. Header names are in lower case. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

export interface Transport {
  /** Waits for the headers. The connection is held until the scope closes, and the call aborted then. */
  open(
    request: HttpClientRequest.HttpClientRequest,
    within: Duration.Duration
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, UpstreamUnavailable, Scope.Scope>
  /** Waits for the whole answer. */
  ask(
    request: HttpClientRequest.HttpClientRequest,
    within: Duration.Duration
  ): Effect.Effect<Answer, UpstreamUnavailable>
  /** Reads the answer to an opened call. Of one that is no success, as much as comes in 2 seconds. */
  read(response: HttpClientResponse.HttpClientResponse): Effect.Effect<Answer, UpstreamUnavailable>
}

export interface TransportOptions {
  readonly provider: string
  /** Of every request. */
  readonly headers: Readonly<Record<string, string>>
  /** Names, in lower case, of headers that hold secrets, beside those that are known to. */
  readonly secretHeaders?: ReadonlyArray<string>
  /** More of an answer, in characters, is not read (default 64 Ki). */
  readonly largestAnswer?: number
}

/** What most upstreams answer, and what tells one failure from another, is far shorter. */
const usualLargest = 64 * 1024

/** The status says most of a failure, so its words are not worth a long wait. */
const patienceWithFailure = Duration.seconds(2)

export const make = (client: HttpClient.HttpClient, options: TransportOptions): Transport => {
  const { headers, largestAnswer = usualLargest, provider, secretHeaders = [] } = options
  const scoped = client.pipe(HttpClient.mapRequest(HttpClientRequest.setHeaders(headers)), HttpClient.withScope)
  const unavailable = (reason: "connection" | "timeout" | "cut", detail: string) =>
    new UpstreamUnavailable({ provider, reason, detail })
  const silent = (within: Duration.Duration) => () =>
    Effect.fail(unavailable("timeout", `no answer within ${Duration.format(within)}`))

  const execute = (request: HttpClientRequest.HttpClientRequest) =>
    scoped.execute(request).pipe(
      // Our trace is nobody else's business.
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, ...secretHeaders]),
      Effect.mapError((error) => unavailable("connection", connectionFault(error)))
    )

  const read = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
    const decoder = new TextDecoder()
    let body = ""
    const failed = response.status >= 300
    const reading = response.stream.pipe(
      Stream.takeUntil((chunk) => {
        body += decoder.decode(chunk, { stream: true })
        return body.length >= largestAnswer
      }),
      Stream.runDrain
    )
    yield* failed
      ? reading.pipe(Effect.timeoutOption(patienceWithFailure), Effect.ignore)
      : Effect.mapError(reading, () => unavailable("cut", "the answer broke off"))
    return { status: response.status, headers: response.headers, body: body.slice(0, largestAnswer) }
  })

  return {
    open: (request, within) => Effect.timeoutOrElse(execute(request), { duration: within, orElse: silent(within) }),
    ask: (request, within) =>
      execute(request).pipe(
        // What has failed is told even when its words do not come in time; a success is worth nothing without them.
        Effect.flatMap((response) =>
          response.status >= 300 ? Effect.succeed(read(response)) : Effect.map(read(response), Effect.succeed)
        ),
        Effect.timeoutOrElse({ duration: within, orElse: silent(within) }),
        Effect.flatten,
        Effect.scoped
      ),
    read
  }
}

/** The system's own name for what happened, such as `ECONNREFUSED`, where there is one. */
const connectionFault = ({ reason }: HttpClientError.HttpClientError): string => {
  if (reason._tag === "InvalidUrlError") return "its address is not a URL"
  const cause = "cause" in reason ? reason.cause : undefined
  return Option.match(codeOf(cause), {
    onNone: () => "the connection failed",
    onSome: (code) => `the connection failed (${code})`
  })
}

/** Clients wrap the system's error in errors of their own. */
const codeOf = (cause: unknown, depth = 0): Option.Option<string> => {
  if (typeof cause !== "object" || cause === null || depth > 4) return Option.none()
  if ("code" in cause && typeof cause.code === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(cause.code)) {
    return Option.some(cause.code)
  }
  return "cause" in cause ? codeOf(cause.cause, depth + 1) : Option.none()
}
