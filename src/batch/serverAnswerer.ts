/** Sends a batch through a server that runs already: its limits, its line and its keys are those that hold. */
import { Clock, Duration, Effect, Layer, Schedule, Schema } from "effect"
import type { Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import type { ProviderStanding } from "../traffic/Governor.ts"
import { usageOf } from "../upstream/openai/usage.ts"
import * as RetryAfter from "../upstream/RetryAfter.ts"
import { Answerer, type Asked, type Treatment } from "./Answerer.ts"
import { isObject, parsed, type Question } from "./requestLine.ts"

export interface ServerOptions {
  /** Such as `http://127.0.0.1:28889`. */
  readonly url: string
  /** One of the server's, when it asks for one. Its holder's priority is the most that the batch may have. */
  readonly apiKey?: Redacted.Redacted | undefined
}

/** Nothing was sent through it. */
export class ServerUnusable extends Schema.TaggedError<ServerUnusable>()("ServerUnusable", {
  url: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.url}: ${this.reason}`
  }
}

const Allowed = Schema.Union([Schema.Finite, Schema.Literal("unlimited")])
const Limit = Schema.Union([Schema.Finite, Schema.Literals(["unlimited", "unknown"])])

/** What we need of `GET /v1/performance`. */
const Report = Schema.Struct({
  traffic: Schema.Struct({
    providers: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        limits: Schema.Struct({ concurrency: Limit, rpm: Limit, tpm: Limit }),
        allowed: Schema.Struct({ concurrency: Allowed, rpm: Allowed }),
        in_use: Schema.Int,
        last_minute: Schema.Int,
        waiting: Schema.Int,
        held_until: Schema.NullOr(Schema.Finite),
        /** Of a server that can be told to pause one. */
        paused: Schema.optionalKey(Schema.Boolean),
        targets: Schema.Array(
          Schema.Struct({
            model: Schema.String,
            circuit: Schema.Literals(["closed", "open", "half_open", "returning"]),
            until: Schema.NullOr(Schema.Finite),
            source: Schema.NullOr(Schema.Literals(["stated", "guessed"]))
          })
        )
      })
    )
  })
})

const standingsOf = ({ traffic }: typeof Report.Type): ReadonlyArray<ProviderStanding> =>
  traffic.providers.map(({ held_until, in_use, last_minute, paused = false, targets, ...rest }) => ({
    ...rest,
    paused,
    inUse: in_use,
    lastMinute: last_minute,
    heldUntil: held_until ?? undefined,
    targets: targets.map(({ circuit, model, source, until }) => ({
      model,
      circuit,
      until: until ?? undefined,
      source: source ?? undefined
    }))
  }))

/** How often the server is asked what its providers can do. */
const lookAgain = "2 seconds"

/** Fails when no Weirgate answers there, or it wants another key. Later, a server that is away is waited for. */
export const layer = ({ apiKey, url }: ServerOptions): Layer.Layer<Answerer, ServerUnusable, HttpClient.HttpClient> =>
  Layer.effect(
    Answerer,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const base = url.replace(/\/+$/, "")
      const unusable = (reason: string) => new ServerUnusable({ url: base, reason })
      const signed = apiKey === undefined ? <A>(request: A) => request : HttpClientRequest.bearerToken(apiKey)

      const look = client.execute(signed(HttpClientRequest.get(`${base}/v1/performance`))).pipe(
        Effect.timeout("5 seconds"),
        Effect.mapError(() => unusable("no server answers there")),
        Effect.filterOrFail(
          ({ status }) => status !== 401,
          () => unusable("it asks for one of its keys, in WEIRGATE_API_KEY")
        ),
        Effect.flatMap((response) =>
          Effect.mapError(HttpClientResponse.schemaBodyJson(Report)(response), () => unusable("it is no Weirgate"))
        ),
        Effect.map(standingsOf)
      )
      let standings = yield* look
      yield* Effect.forkScoped(
        Effect.schedule(
          // With nobody there, nothing is known of any provider.
          Effect.map(
            Effect.orElseSucceed(look, () => []),
            (seen) => void (standings = seen)
          ),
          Schedule.spaced(lookAgain)
        )
      )

      const send = ({ body, endpoint }: Question, { client: name, priority, timeout }: Treatment) =>
        client
          .execute(
            HttpClientRequest.post(`${base}/v1${endpoint}`).pipe(
              HttpClientRequest.bodyUint8Array(body.bytes, "application/json"),
              HttpClientRequest.setHeaders({
                "x-weirgate-priority": String(priority),
                "x-weirgate-timeout": `${Duration.toMillis(timeout)}ms`,
                "x-weirgate-client": name
              }),
              signed
            )
          )
          .pipe(
            Effect.flatMap((response) => Effect.map(response.text, (text) => ({ response, text }))),
            Effect.timeout(Duration.sum(timeout, grace)),
            Effect.result
          )

      return Answerer.of({
        standings: Effect.sync(() => standings),
        ask: (question, treatment) => ({
          // The line is the server's: nobody here knows who is in it.
          isAtWork: () => true,
          asked: Effect.gen(function* () {
            const sent = yield* send(question, treatment)
            if (sent._tag === "Failure") {
              const reason =
                sent.failure._tag === "TimeoutError" ? "the server gave no answer" : "the server cannot be reached"
              return { _tag: "Unanswered", reason, retryAfter: soon, wasCalled: false }
            }
            const { response, text } = sent.success
            return askedOf(response.status, response.headers, text, yield* Clock.currentTimeMillis)
          })
        })
      })
    })
  )

/** The server keeps to the timeout by itself, and says so. */
const grace = Duration.seconds(10)

/** How long a server may take to be started again. */
const soon = Duration.seconds(5)

/** Statuses of the four hundreds that say nothing of the request itself. */
const ofTheMoment = new Set([401, 403, 408, 409, 425, 429])

const askedOf = (
  status: number,
  headers: Readonly<Record<string, string | undefined>>,
  body: string,
  now: number
): Asked => {
  const requestId = headers["x-request-id"] ?? ""
  const json = parsed(body)
  if (!isObject(json)) {
    return { _tag: "Unanswered", reason: `it answered ${status} without JSON`, retryAfter: undefined, wasCalled: true }
  }
  if (status >= 200 && status < 300) return { _tag: "Answered", status, requestId, body, usage: usageOf(json) }
  const { error } = json
  const { code, message } = isObject(error) ? error : {}
  if (status >= 400 && status < 500 && !ofTheMoment.has(status)) {
    return { _tag: "Refused", status, requestId, body, code: typeof code === "string" ? code : null }
  }
  return {
    _tag: "Unanswered",
    reason: typeof message === "string" ? message : `it answered ${status}`,
    retryAfter: RetryAfter.parse(headers, now),
    wasCalled: status >= 500 && Number(headers["x-weirgate-attempts"] ?? 0) > 0
  }
}
