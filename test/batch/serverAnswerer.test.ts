import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Answerer } from "../../src/batch/Answerer.ts"
import * as Lines from "../../src/batch/lines.ts"
import * as RequestLine from "../../src/batch/requestLine.ts"
import * as ServerAnswerer from "../../src/batch/serverAnswerer.ts"
import { line } from "./batches.ts"

const performance = {
  traffic: {
    providers: [
      {
        name: "a",
        limits: { concurrency: 5, rpm: "unknown", tpm: "unlimited" },
        allowed: { concurrency: 5, rpm: 10 },
        in_use: 2,
        last_minute: 7,
        waiting: 1,
        held_until: null,
        targets: [{ model: "small", circuit: "open", until: 9_000, source: "guessed" }]
      }
    ],
    more: "than we read"
  }
}

interface Told {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A server of one answer, or of none; it remembers what it was sent. */
const server = (answer: Told | "nothing", look: Told = { status: 200, body: JSON.stringify(performance) }) => {
  const sent: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) => {
    sent.push(request)
    const told = request.method === "GET" ? look : answer
    return told === "nothing"
      ? Effect.fail(new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) }))
      : Effect.succeed(
          HttpClientResponse.fromWeb(
            request,
            new Response(told.body, {
              status: told.status,
              headers: { "content-type": "application/json", ...told.headers }
            })
          )
        )
  })
  const apiKey = Redacted.make("synthetic-key")
  const layer = ServerAnswerer.layer({ url: "http://127.0.0.1:9/", apiKey }).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
  )
  return { sent, layer }
}

const [question] = Lines.make(10_000)
  .push(Buffer.from(`${line("q1")}\n`))
  .map((one) => RequestLine.read(one))

const ask = Effect.gen(function* () {
  const answerer = yield* Answerer
  if (question?._tag !== "Question") return assert.fail("no question")
  return yield* answerer.ask(question.question, { priority: 3, timeout: Duration.minutes(10), client: "batch" }).asked
})

const error = (code: string, message = "synthetic") =>
  JSON.stringify({ error: { message, type: "t", param: null, code } })
const told = (answer: Told | "nothing") => Effect.provide(ask, server(answer).layer)

describe("a batch through a server", () => {
  it.effect("sends each request as it is, with its priority, its time and the key", () => {
    const body = JSON.stringify({ id: "x", usage: { prompt_tokens: 3, completion_tokens: 4 } })
    const { layer, sent } = server({ status: 200, body, headers: { "x-request-id": "req-1" } })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask, {
        _tag: "Answered",
        status: 200,
        requestId: "req-1",
        body,
        usage: { prompt: 3, completion: 4 }
      })
      const request = sent.at(-1)
      assert.strictEqual(request?.url, "http://127.0.0.1:9/v1/chat/completions")
      assert.deepInclude(request?.headers, {
        authorization: "Bearer synthetic-key",
        "content-type": "application/json",
        "x-weirgate-client": "batch",
        "x-weirgate-priority": "3",
        "x-weirgate-timeout": "600000ms"
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("takes what the caller must mend as final, and nothing else", () =>
    Effect.gen(function* () {
      for (const status of [400, 404, 413, 422]) {
        const body = error("context_length_exceeded")
        assert.deepStrictEqual(yield* told({ status, body, headers: { "x-request-id": "req-1" } }), {
          _tag: "Refused",
          status,
          requestId: "req-1",
          body,
          code: "context_length_exceeded"
        })
      }
      for (const status of [401, 403, 408, 429, 500, 502, 503, 504]) {
        const asked = yield* told({ status, body: error("x", "why not"), headers: { "retry-after": "7" } })
        assert.deepStrictEqual(asked, {
          _tag: "Unanswered",
          reason: "why not",
          retryAfter: Duration.seconds(7),
          wasCalled: false
        })
      }
      const failed = { status: 502, body: error("x"), headers: { "x-weirgate-attempts": "2" } }
      assert.deepInclude(yield* told(failed), { _tag: "Unanswered", wasCalled: true })
      assert.deepInclude(yield* told({ status: 200, body: "<html>" }), { _tag: "Unanswered" })
      assert.deepInclude(yield* told("nothing"), { _tag: "Unanswered", wasCalled: false })
    })
  )

  it.effect("knows what the server's providers can do, and nothing of a server that is away", () => {
    let isAway = false
    const client = HttpClient.make((request) =>
      Effect.succeed(
        HttpClientResponse.fromWeb(request, new Response(isAway ? "bad gateway" : JSON.stringify(performance)))
      )
    )
    return Effect.gen(function* () {
      const { standings } = yield* Answerer
      const [a] = yield* standings
      assert.deepInclude(a, { name: "a", inUse: 2, lastMinute: 7, heldUntil: undefined })
      assert.deepStrictEqual(a?.targets, [{ model: "small", circuit: "open", until: 9_000, source: "guessed" }])
      isAway = true
      yield* TestClock.adjust("2 seconds")
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, standings), { until: (seen) => seen.length === 0 })
    }).pipe(
      Effect.provide(
        ServerAnswerer.layer({ url: "http://127.0.0.1:9" }).pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
        )
      )
    )
  })

  it.effect("does not begin without a server, with a key it does not know, or at another kind of server", () =>
    Effect.gen(function* () {
      const messageOf = (look: Told) =>
        Effect.map(Effect.flip(Layer.build(server("nothing", look).layer)), ({ message }) => message)
      assert.include(yield* messageOf({ status: 401, body: error("invalid_api_key") }), "WEIRGATE_API_KEY")
      assert.include(yield* messageOf({ status: 200, body: "{}" }), "it is no Weirgate")
    })
  )

  it.effect("gives a request up that the server lets hang, some seconds after its time", () => {
    const client = HttpClient.make((request) =>
      request.method === "GET"
        ? Effect.succeed(HttpClientResponse.fromWeb(request, new Response(JSON.stringify(performance))))
        : Effect.never
    )
    return Effect.gen(function* () {
      const asked = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(asked.pollUnsafe())
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(asked), { _tag: "Unanswered", reason: "the server gave no answer" })
    }).pipe(
      Effect.provide(
        ServerAnswerer.layer({ url: "http://127.0.0.1:9" }).pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
        )
      )
    )
  })
})
