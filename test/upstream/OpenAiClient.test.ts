import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Metric, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Socket } from "node:net"
import {
  AccessRejected,
  type CallFailure,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import type { OpenAiProvider } from "../../src/domain/Provider.ts"
import { TokenId } from "../../src/domain/Token.ts"
import type { Answer, ModelCall, ModelClient, StreamedAnswer } from "../../src/upstream/ModelClient.ts"
import { OpenAiClient } from "../../src/upstream/OpenAiClient.ts"
import { version } from "../../src/version.ts"
import * as Upstream from "./openai/upstreams.ts"

const secret = "synthetic-key"
const token = { id: TokenId.make("token-1"), access: Redacted.make(secret) }

const timeouts = {
  connect: Duration.seconds(10),
  headers: Duration.seconds(120),
  firstToken: Duration.seconds(90),
  idle: Duration.seconds(60),
  total: Duration.seconds(600)
}

const providerAt = (baseUrl: string): OpenAiProvider => ({
  kind: "openai",
  name: "p",
  baseUrl,
  keys: [],
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  timeouts,
  models: undefined
})

const clientAt = (baseUrl: string) => Effect.map(OpenAiClient, (openai) => openai.of(providerAt(baseUrl)))

const bodyOf = (text: string) => ({ bytes: new TextEncoder().encode(text), json: JSON.parse(text) })

const whole: ModelCall = {
  endpoint: "/chat/completions",
  body: bodyOf('{ "model":"auto", "messages":[], "n": 1.0 }'),
  model: "meta/llama",
  publicModel: "auto",
  stream: false,
  token,
  timeouts,
  deadline: Number.MAX_SAFE_INTEGER,
  sent: () => undefined
}
const streaming: ModelCall = { ...whole, stream: true }

/** Counts when the request begins to leave. */
const counting = (call: ModelCall) => {
  const counted = { sent: 0 }
  return { counted, call: { ...call, sent: () => void counted.sent++ } }
}

const failureOf = <A>(effect: Effect.Effect<A, CallFailure, Scope.Scope>): Effect.Effect<CallFailure> =>
  Effect.flip(Effect.scoped(effect)).pipe(
    Effect.catch((answer) => Effect.die(new Error(`it was answered: ${JSON.stringify(answer)}`)))
  )

const unavailable = (reason: UpstreamUnavailable["reason"], detail: string) =>
  new UpstreamUnavailable({ provider: "p", reason, detail })

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

const streamed = (answer: Answer): StreamedAnswer =>
  answer._tag === "Streamed" ? answer : assert.fail(`it came whole: ${text(answer.body)}`)

/** All that comes, and how it ends. */
const drained = Effect.fnUntraced(function* (answer: StreamedAnswer) {
  const pieces = [text(answer.first)]
  while (true) {
    const next = yield* Effect.result(answer.next)
    if (next._tag === "Success") {
      pieces.push(text(next.success))
      continue
    }
    return { text: pieces.join(""), pieces, end: Cause.isDone(next.failure) ? "done" : next.failure }
  }
})

/** A whole call to an upstream that does as the script says. */
const told = (script: Upstream.Script, call: ModelCall = whole) =>
  Effect.gen(function* () {
    const server = yield* Upstream.upstream(script)
    const client = yield* clientAt(server.url)
    const { call: asked, counted } = counting(call)
    return { failure: yield* failureOf(client.call(asked)), counted }
  })

const chunkOf = (piece: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [{ index: 0, delta: piece, finish_reason: finish }] })}\n\n`
const role = chunkOf({ role: "assistant", content: "" })
const hello = chunkOf({ content: "héllo 世界 🌍" })
const world = chunkOf({ content: " world" })
const stop = chunkOf({}, "stop")
const usage = `data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n`
const done = "data: [DONE]\n\n"

const completion = {
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 4 }
}

/** Each with connections, clock and metrics of its own. */
const test = <E>(name: string, body: () => Effect.Effect<void, E, OpenAiClient | Scope.Scope>) =>
  it.effect(name, () =>
    body().pipe(Effect.provide(OpenAiClient.layer), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

/** What has come over the sockets of this process by now is seen to. */
const turns = Effect.forEach([1, 2, 3], () =>
  Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  })
)

/** Lets the test's time pass, in steps, until the fiber has ended; fails after so many. */
const timePasses = <A, E>(fiber: Fiber.Fiber<A, E>, step: Duration.Input, most: number) =>
  Effect.gen(function* () {
    for (let n = 0; fiber.pollUnsafe() === undefined; n++) {
      assert.isBelow(n, most, "it is still waiting")
      yield* turns
      yield* TestClock.adjust(step)
    }
  })

const firstBytes = Effect.map(Metric.snapshot, (all) =>
  all.find(({ id }) => id === "weirgate_upstream_first_byte_seconds")
)

const unused: Upstream.Request = { connection: 0, line: "", headers: {}, body: "" }

describe("OpenAiClient", () => {
  describe("sends", () => {
    test("the request as it came but for its model, and no header that is not its own", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.json(completion), Upstream.stream(hello, stop, done))
        const client = yield* clientAt(`${server.url}/`)
        const { call, counted } = counting(whole)
        yield* Effect.scoped(client.call(call))
        yield* Effect.scoped(Effect.flatMap(client.call({ ...streaming, endpoint: "/completions" }), () => Effect.void))
        const [first = unused, second = unused] = server.requests
        assert.strictEqual(counted.sent, 1)
        assert.strictEqual(first.line, "POST /v1/chat/completions HTTP/1.1")
        assert.strictEqual(first.body, '{ "model":"meta/llama", "messages":[], "n": 1.0 }')
        assert.deepStrictEqual(first.headers, {
          host: `127.0.0.1:${server.port}`,
          connection: "keep-alive",
          "content-type": "application/json",
          "accept-encoding": "identity",
          "user-agent": `weirgate/${version}`,
          accept: "application/json",
          authorization: `Bearer ${secret}`,
          "content-length": `${Buffer.byteLength(first.body)}`
        })
        assert.strictEqual(second.line, "POST /v1/completions HTTP/1.1")
        assert.strictEqual(second.headers["accept"], "text/event-stream, application/json")
      }))

    test("no authorization when there is no secret, and what follows a question mark after the path", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.json(completion))
        const client = yield* clientAt(`${server.url}?api-version=1`)
        yield* Effect.scoped(client.call({ ...whole, token: { ...token, access: Redacted.make("") } }))
        const [request = unused] = server.requests
        assert.strictEqual(request.line, "POST /v1/chat/completions?api-version=1 HTTP/1.1")
        assert.notProperty(request.headers, "authorization")
      }))

    test("nothing for a request whose time is over", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.silence)
        const client = yield* clientAt(server.url)
        const { call, counted } = counting({ ...whole, deadline: 0 })
        assert.deepStrictEqual(
          yield* failureOf(client.call(call)),
          unavailable("timeout", "the request's own time was over")
        )
        assert.strictEqual(counted.sent, 0)
        assert.strictEqual(server.connections.opened, 0)
      }))

    test("nothing with a key that no header can hold", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.silence)
        const client = yield* clientAt(server.url)
        const failure = yield* failureOf(
          client.call({ ...whole, token: { ...token, access: Redacted.make("synthetic\nkey") } })
        )
        assert.deepInclude(failure, { _tag: "UpstreamUnavailable", reason: "internal" })
        assert.notInclude(failure.message, "synthetic")
        assert.strictEqual(server.requests.length, 0)
      }))
  })

  describe("gives a whole answer", () => {
    test("in the bytes in which it came, with what was used", () =>
      Effect.gen(function* () {
        const body = JSON.stringify(completion, undefined, 3)
        const server = yield* Upstream.upstream(Upstream.answer(200, body, { "content-type": "application/json; x=1" }))
        const client = yield* clientAt(server.url)
        const answer = yield* Effect.scoped(client.call(whole))
        assert.strictEqual(answer._tag, "Whole")
        if (answer._tag !== "Whole") return
        assert.strictEqual(text(answer.body), body)
        assert.strictEqual(answer.contentType, "application/json; x=1")
        assert.deepStrictEqual(answer.usage, { prompt: 3, completion: 4 })
      }))

    test("that comes byte by byte, after an early hint", () =>
      Effect.gen(function* () {
        const body = JSON.stringify({ ...completion, text: "héllo 世界" })
        const server = yield* Upstream.upstream((socket) => {
          socket.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
          const bytes = Buffer.from(body)
          const pieces = [...bytes].map((byte) =>
            Buffer.concat([Buffer.from("1\r\n"), Buffer.from([byte]), Buffer.from("\r\n")])
          )
          socket.write(Upstream.head(200, { "transfer-encoding": "chunked" }))
          socket.write(Buffer.concat([...pieces, Buffer.from(Upstream.lastChunk)]))
        })
        const client = yield* clientAt(server.url)
        const answer = yield* Effect.scoped(client.call(whole))
        assert.strictEqual(answer._tag === "Whole" && text(answer.body), body)
        assert.strictEqual(answer._tag === "Whole" && answer.contentType, "application/json")
        assert.deepInclude((yield* firstBytes)?.state, { count: 1 })
      }))

    test("of an embedding, and of a response, counted by their own names", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(
          Upstream.json({ object: "list", data: [{ embedding: [0.1] }], usage: { prompt_tokens: 8, total_tokens: 8 } }),
          Upstream.json({ object: "response", error: null, output: [], usage: { input_tokens: 2, output_tokens: 9 } })
        )
        const client = yield* clientAt(server.url)
        const embedding = yield* Effect.scoped(client.call({ ...whole, endpoint: "/embeddings" }))
        const response = yield* Effect.scoped(client.call({ ...whole, endpoint: "/responses" }))
        assert.deepStrictEqual(embedding._tag === "Whole" && embedding.usage, { prompt: 8, completion: 0 })
        assert.deepStrictEqual(response._tag === "Whole" && response.usage, { prompt: 2, completion: 9 })
        assert.deepStrictEqual(
          server.requests.map(({ line }) => line),
          ["POST /v1/embeddings HTTP/1.1", "POST /v1/responses HTTP/1.1"]
        )
      }))

    test("to a request for a stream, when the upstream takes no notice of that", () =>
      Effect.gen(function* () {
        for (const type of ["application/json", "text/event-stream", "text/plain"]) {
          const body = ` \n${JSON.stringify(completion)}`
          const server = yield* Upstream.upstream(
            Upstream.answer(200, body, { "content-type": type }),
            Upstream.stream(" ", "\n", body.trim())
          )
          const client = yield* clientAt(server.url)
          const answer = yield* Effect.scoped(client.call(streaming))
          assert.strictEqual(answer._tag === "Whole" && text(answer.body), body)
          const inPieces = yield* Effect.scoped(client.call(streaming))
          assert.strictEqual(inPieces._tag === "Whole" && text(inPieces.body), body.trim())
        }
      }))
  })

  describe("takes for no answer", () => {
    const rows: ReadonlyArray<readonly [why: string, script: Upstream.Script, reason: UpstreamUnavailable["reason"]]> =
      [
        ["an empty body", Upstream.answer(200, ""), "malformed"],
        ["a 204", (socket) => void socket.write(Upstream.head(204, {})), "malformed"],
        ["a page", Upstream.answer(200, "<html>sign in</html>", { "content-type": "text/html" }), "malformed"],
        ["text", Upstream.answer(200, "hello"), "malformed"],
        ["a list", Upstream.answer(200, "[1]"), "malformed"],
        ["half of a JSON object", Upstream.answer(200, '{"choices":['), "malformed"],
        ["a stream that was not asked for", Upstream.stream(hello, stop, done), "malformed"],
        ["a redirect", Upstream.answer(302, "", { location: "http://127.0.0.1:1/" }), "status"],
        [
          "a reason to finish that is a failure",
          Upstream.json({ choices: [{ finish_reason: "network_error" }] }),
          "internal"
        ],
        [
          "more than it may be",
          (socket) => void socket.write(Upstream.head(200, { "content-length": `${64 * 1024 * 1024 + 1}` })),
          "malformed"
        ],
        ["something that is no HTTP", Upstream.writeAndClose("SSH-2.0-synthetic\r\n"), "malformed"],
        ["headers without an end", Upstream.writeAndClose(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`), "malformed"],
        [
          "a chunk that is none",
          Upstream.writeAndClose(`${Upstream.head(200, { "transfer-encoding": "chunked" })}zz\r\n{}\r\n`),
          "malformed"
        ],
        ["a connection that is reset before it", Upstream.reset, "connection"],
        ["a connection that is closed before it", (socket) => void socket.end(), "connection"],
        [
          "a connection that is reset after its headers",
          (socket) => void socket.write(Upstream.head(200, { "content-length": "10" }), () => socket.resetAndDestroy()),
          "cut"
        ],
        [
          "less than the length it states",
          Upstream.writeAndClose(`${Upstream.head(200, { "content-length": "100" })}{"a":1}`),
          "cut"
        ],
        [
          "less than the length it states, on a connection to be closed",
          Upstream.writeAndClose(`${Upstream.head(200, { "content-length": "100", connection: "close" })}{"a":1}`),
          "cut"
        ],
        [
          "chunks without their end",
          Upstream.writeAndClose(
            `${Upstream.head(200, { "transfer-encoding": "chunked" })}${Upstream.chunk('{"a":1}')}`
          ),
          "cut"
        ],
        [
          "chunks without their end, on a connection to be closed",
          Upstream.writeAndClose(
            `${Upstream.head(200, { "transfer-encoding": "chunked", connection: "close" })}${Upstream.chunk('{"a":1}')}`
          ),
          "cut"
        ]
      ]
    for (const [why, script, reason] of rows) {
      test(why, () =>
        Effect.gen(function* () {
          const { counted, failure } = yield* told(script)
          assert.deepInclude(failure, { _tag: "UpstreamUnavailable", provider: "p", reason })
          assert.strictEqual(counted.sent, 1)
        })
      )
    }

    test("a connection that is refused, for which nothing has left", () =>
      Effect.gen(function* () {
        const server = yield* Effect.scoped(Upstream.upstream(Upstream.silence))
        const client = yield* clientAt(server.url)
        const { call, counted } = counting(whole)
        assert.deepStrictEqual(
          yield* failureOf(client.call(call)),
          unavailable("connection", "no connection could be made (ECONNREFUSED)")
        )
        assert.strictEqual(counted.sent, 0)
      }))
  })

  describe("tells of a refusal", () => {
    test("by what it means, with the wait it states", () =>
      Effect.gen(function* () {
        const error = { message: "Rate limit reached", type: "requests", code: "rate_limit_exceeded" }
        const { failure } = yield* told(Upstream.json({ error }, 429, { "retry-after": "7" }))
        assert.deepStrictEqual(
          failure,
          new Throttled({
            provider: "p",
            retryAfter: Duration.seconds(7),
            signature: "429 rate_limit_exceeded rate limit reached"
          })
        )
      }))

    test("that comes with a status of success, whole or for a stream", () =>
      Effect.gen(function* () {
        const error = { message: "You exceeded your current quota", type: "insufficient_quota" }
        const expected = new QuotaExhausted({ provider: "p", token: token.id })
        for (const body of [{ error }, [{ error }]]) {
          assert.deepStrictEqual((yield* told(Upstream.json(body))).failure, expected)
          assert.deepStrictEqual((yield* told(Upstream.json(body), streaming)).failure, expected)
        }
        const asStream = Upstream.json({ error }, 200, { "content-type": "text/event-stream" })
        assert.deepStrictEqual((yield* told(asStream, streaming)).failure, expected)
      }))

    test("without the key that it quotes", () =>
      Effect.gen(function* () {
        const { failure } = yield* told(Upstream.json({ error: { message: `what is ${secret}?` } }, 400))
        assert.deepStrictEqual(
          failure,
          new RequestRejected({ provider: "p", status: 400, code: null, reason: "what is …?" })
        )
      }))

    test("though its reason breaks off, or is endless", () =>
      Effect.gen(function* () {
        const cut = Upstream.writeAndClose(`${Upstream.head(401, { "content-length": "100" })}{"er`)
        assert.deepStrictEqual((yield* told(cut)).failure, new AccessRejected({ provider: "p" }))
        const endless: Upstream.Script = (socket) => {
          socket.write(Upstream.head(401, { "transfer-encoding": "chunked" }))
          for (let n = 0; n < 20; n++) socket.write(Upstream.chunk("x".repeat(10_000)))
        }
        assert.deepStrictEqual((yield* told(endless)).failure, new AccessRejected({ provider: "p" }))
      }))

    test("though its reason does not come, long before the answer would have been late", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream((socket) => {
          socket.write(Upstream.head(401, { "content-length": "100" }))
        })
        const client = yield* clientAt(server.url)
        const call = yield* Effect.forkChild(failureOf(client.call(whole)), { startImmediately: true })
        yield* server.when(({ requests }) => requests.length === 1)
        yield* timePasses(call, "1 second", 30)
        assert.deepStrictEqual(yield* Fiber.join(call), new AccessRejected({ provider: "p" }))
        yield* server.when(({ connections }) => connections.closed === 1)
      }))
  })

  describe("gives a streamed answer", () => {
    test("from its first content on, in the bytes in which it came, to its end", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(": hello\n\n", role, hello))
        const client = yield* clientAt(server.url)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const answer = streamed(yield* client.call(streaming))
            assert.strictEqual(text(answer.first), `: hello\n\n${role}${hello}`)
            const socket = server.sockets[0]
            socket?.write(Upstream.chunk(world))
            assert.strictEqual(text(yield* answer.next), world)
            assert.isUndefined(answer.usage())
            socket?.write(Upstream.chunk(stop + usage) + Upstream.chunk(done) + Upstream.lastChunk)
            const rest = yield* drained({ ...answer, first: new Uint8Array() })
            assert.strictEqual(rest.text, stop + usage + done)
            assert.strictEqual(rest.end, "done")
            assert.deepStrictEqual(answer.usage(), { prompt: 5, completion: 7 })
          })
        )
      }))

    test("of which all that the socket brought at once is one piece", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        server.sockets[0]?.write([world, world, stop, done].map(Upstream.chunk).join("") + Upstream.lastChunk)
        assert.strictEqual(text(yield* answer.next), world + world + stop + done)
        assert.strictEqual((yield* drained(answer)).end, "done")
      }))

    test("whose events are cut anywhere, in any of the forms of the format", () =>
      Effect.gen(function* () {
        const body = [role, hello, world, stop, done].join("").replaceAll("\n", "\r\n")
        for (const length of [1, 7, 100]) {
          const bytes = Buffer.from(body)
          const server = yield* Upstream.upstream((socket) => {
            socket.write(Upstream.streamHead)
            for (let at = 0; at < bytes.length; at += length) {
              const piece = bytes.subarray(at, at + length)
              socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]))
            }
            socket.write(Upstream.lastChunk)
          })
          const client = yield* clientAt(server.url)
          const all = yield* Effect.scoped(
            Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer)))
          )
          assert.strictEqual(all.end, "done")
          // The line feed that follows the return which ended the last event may not have been waited for.
          assert.strictEqual(all.text.trimEnd(), body.trimEnd())
        }
      }))

    test("with the end that a client waits for, when the upstream leaves that out", () =>
      Effect.gen(function* () {
        for (const script of [
          Upstream.stream(hello, stop),
          Upstream.writeAndClose(Upstream.head(200, { "content-type": "text/event-stream" }) + hello + stop),
          Upstream.writeAndClose(Upstream.streamHead + Upstream.chunk(hello + stop)),
          Upstream.stream(hello, stop.slice(0, -1))
        ]) {
          const server = yield* Upstream.upstream(script)
          const client = yield* clientAt(server.url)
          const all = yield* Effect.scoped(
            Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer)))
          )
          assert.deepStrictEqual([all.text, all.end], [hello + stop + done, "done"])
        }
      }))

    test("of a response, whose end is an event of its own", () =>
      Effect.gen(function* () {
        const event = (type: string, more: object = {}) =>
          `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
        const body = [
          event("response.created", { response: { error: null } }),
          event("response.output_text.delta", { delta: "x" }),
          event("response.completed", { response: { usage: { input_tokens: 1, output_tokens: 2 } } })
        ]
        const server = yield* Upstream.upstream(Upstream.open(...body))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call({ ...streaming, endpoint: "/responses" }))
        const all = yield* drained(answer)
        assert.deepStrictEqual([all.text, all.end], [body.join(""), "done"])
        assert.deepStrictEqual(answer.usage(), { prompt: 1, completion: 2 })
      }))

    test("that says it is something else", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(
          Upstream.answer(200, `\n${hello}${stop}${done}`, { "content-type": "text/plain" })
        )
        const client = yield* clientAt(server.url)
        assert.strictEqual(text(streamed(yield* client.call(streaming)).first), `\n${hello}${stop}${done}`)
      }))

    test("to who gave up waiting for a piece, and asks again", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        const impatient = yield* Effect.forkChild(Effect.exit(answer.next), { startImmediately: true })
        yield* Fiber.interrupt(impatient)
        server.sockets[0]?.write(Upstream.chunk(world))
        assert.strictEqual(text(yield* answer.next), world)
        assert.strictEqual(server.connections.closed, 0)
      }))

    test("no faster than it is taken, which is not taken for silence", () =>
      Effect.gen(function* () {
        const piece = chunkOf({ content: "x".repeat(10_000) })
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        const [socket] = server.sockets
        let written = 0
        const hasLeft = () => socket?.writableLength === 0
        // The buffers of the system are full as well when nothing more has left for a while.
        for (let idle = 0; idle < 20 && written < 3_000; idle++) {
          while (written < 3_000 && hasLeft()) {
            socket?.write(Upstream.chunk(piece))
            written++
            idle = 0
          }
          yield* turns
        }
        assert.isBelow(written, 3_000, "30 MB were taken that nobody asked for")
        // It is we who do not read: that is no silence of the upstream.
        yield* TestClock.adjust("5 minutes")
        socket?.write(Upstream.chunk(world))
        let taken = answer.first.length
        while (taken < Buffer.byteLength(hello) + piece.length * written + world.length) {
          taken += (yield* answer.next).length
        }
        // Now that all is read, it is.
        const next = yield* Effect.forkChild(Effect.flip(answer.next), { startImmediately: true })
        yield* TestClock.adjust("59999 millis")
        assert.isUndefined(next.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(next), unavailable("timeout", "idle: the answer fell silent"))
      }))
  })

  describe("fails a streamed answer, after all that came before,", () => {
    const other = chunkOf({ content: "c" }).replace('"index":0', '"index":1')
    const { chunk, lastChunk } = Upstream
    const rows: ReadonlyArray<
      readonly [why: string, goesOn: (socket: Socket) => unknown, reason: UpstreamUnavailable["reason"]]
    > = [
      ["that is reset", (socket) => socket.resetAndDestroy(), "cut"],
      ["that is closed in the middle", (socket) => socket.end(chunk(world) + chunk(world.slice(0, 30))), "cut"],
      ["that ends without having finished", (socket) => socket.write(chunk(world) + lastChunk), "cut"],
      ["that ends in the middle of an event", (socket) => socket.write(chunk(stop.slice(0, 20)) + lastChunk), "cut"],
      ["one choice of which has not finished", (socket) => socket.write(chunk(other + stop + done)), "cut"],
      ["whose event is no JSON", (socket) => socket.write(chunk(`data: {nonsense}\n\n${stop}${done}`)), "malformed"],
      ["whose chunk is none", (socket) => socket.write(`zz\r\n${world}\r\n`), "malformed"],
      [
        "whose event does not end",
        (socket) => socket.write(chunk(`data: ${"x".repeat(8 * 1024 * 1024)}`)),
        "malformed"
      ],
      ["that gives up", (socket) => socket.write(chunk(chunkOf({}, "network_error") + done)), "internal"],
      ["that tells of an error", (socket) => socket.write(chunk('data: {"error":{"message":"x"}}\n\n')), "internal"],
      [
        "that tells of an error in an event of that name",
        (socket) => socket.write(chunk('event: error\ndata: {"code":500,"message":"x"}\n\n')),
        "status"
      ]
    ]
    for (const [why, goesOn, reason] of rows) {
      test(why, () =>
        Effect.gen(function* () {
          const server = yield* Upstream.upstream(Upstream.open(role, hello))
          const client = yield* clientAt(server.url)
          const answer = streamed(yield* client.call(streaming))
          server.sockets.forEach(goesOn)
          const all = yield* drained(answer)
          assert.isTrue(all.text.startsWith(role + hello))
          assert.isTrue(
            (role + hello + world + other + stop).startsWith(all.text) || all.text === role + hello + other + stop
          )
          assert.deepInclude(all.end, { _tag: "UpstreamUnavailable", provider: "p", reason })
        })
      )
    }

    test("whose quota ends in the middle", () =>
      Effect.gen(function* () {
        const error = {
          message: "You exceeded your current quota",
          type: "insufficient_quota",
          code: "insufficient_quota"
        }
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        server.sockets[0]?.write(Upstream.chunk(`${world}data: ${JSON.stringify({ error })}\n\n${done}`))
        const all = yield* drained(answer)
        assert.deepStrictEqual(
          [all.text, all.end],
          [hello + world, new QuotaExhausted({ provider: "p", token: token.id })]
        )
      }))
  })

  describe("fails a call for a stream", () => {
    const rows: ReadonlyArray<readonly [why: string, script: Upstream.Script, expected: Partial<CallFailure>]> = [
      ["that ends before it begins", Upstream.stream(), { _tag: "UpstreamUnavailable", reason: "cut" }],
      ["that has nothing but a role", Upstream.stream(role, done), { _tag: "UpstreamUnavailable", reason: "cut" }],
      ["that has nothing but its end", Upstream.stream(done), { _tag: "UpstreamUnavailable", reason: "cut" }],
      ["that is a page", Upstream.stream("<html></html>"), { _tag: "UpstreamUnavailable", reason: "malformed" }],
      [
        "that begins with an error",
        Upstream.stream(role, `data: {"error":{"code":429,"message":"slow down"}}\n\n`),
        { _tag: "Throttled" }
      ],
      [
        "that begins with the end of a quota",
        Upstream.stream(`data: {"error":{"code":"1113","message":"x"}}\n\n`),
        { _tag: "QuotaExhausted" }
      ],
      [
        "that finds the question too long",
        Upstream.stream(`event: error\ndata: {"message":"maximum context length is 8192 tokens"}\n\n`),
        { _tag: "RequestRejected", code: "context_length_exceeded" }
      ],
      [
        "whose error comes together with the first content: nobody has been given that yet",
        Upstream.stream(role + hello + `data: {"error":{"code":503,"message":"x"}}\n\n`),
        { _tag: "UpstreamUnavailable", reason: "status" }
      ],
      [
        "that says too much before it begins",
        Upstream.open(...Array.from({ length: 90 }, () => `: ${"x".repeat(100_000)}\n\n`)),
        { _tag: "UpstreamUnavailable", reason: "malformed" }
      ]
    ]
    for (const [why, script, expected] of rows) {
      test(why, () =>
        Effect.gen(function* () {
          const { failure } = yield* told(script, streaming)
          assert.deepInclude(failure, expected)
        })
      )
    }
  })

  describe("is not held up", () => {
    test("by a connection that goes on after the answer has ended, and takes it back when that ends too", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello, stop, done))
        const client = yield* clientAt(server.url)
        for (const n of [1, 2, 3]) {
          const all = yield* Effect.scoped(
            Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer)))
          )
          assert.deepStrictEqual([all.text, all.end], [hello + stop + done, "done"])
          server.sockets[0]?.write(`${Upstream.chunk("\n: and so on\n\n")}${Upstream.lastChunk}`)
          yield* turns
          assert.strictEqual(server.requests.length, n)
        }
        assert.strictEqual(server.connections.opened, 1)
      }))

    test("by one that does not end, which it gives up soon", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello, stop, done))
        const client = yield* clientAt(server.url)
        yield* Effect.scoped(Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer))))
        yield* TestClock.adjust("249 millis")
        yield* turns
        assert.strictEqual(server.connections.closed, 0)
        yield* TestClock.adjust("1 millis")
        yield* server.when(({ connections }) => connections.closed === 1)
      }))

    test("by an answer that has finished and does not say that it has ended", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello, stop))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        const rest = yield* Effect.forkChild(drained(answer), { startImmediately: true })
        yield* timePasses(rest, "10 seconds", 7)
        const all = yield* Fiber.join(rest)
        assert.deepStrictEqual([all.text, all.end], [hello + stop + done, "done"])
        yield* server.when(({ connections }) => connections.closed === 1)
      }))
  })

  describe("keeps its connections", () => {
    test("for the next call, whatever the call before was", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(
          Upstream.json(completion),
          Upstream.stream(hello, stop, done),
          Upstream.json({ error: { message: "no" } }, 400),
          Upstream.json(completion)
        )
        const client = yield* clientAt(server.url)
        yield* Effect.scoped(client.call(whole))
        yield* Effect.scoped(Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer))))
        yield* failureOf(client.call(whole))
        yield* Effect.scoped(client.call(whole))
        assert.deepStrictEqual(
          server.requests.map(({ connection }) => connection),
          [0, 0, 0, 0]
        )
      }))

    test("one for each call at work, and takes the one that was used last first", () =>
      Effect.gen(function* () {
        const waiting: Array<Socket> = []
        const server = yield* Upstream.upstream((socket) => void waiting.push(socket))
        const client = yield* clientAt(server.url)
        const calls = yield* Effect.forEach([0, 1, 2], () =>
          Effect.forkChild(Effect.scoped(client.call(whole)), { startImmediately: true })
        )
        yield* server.when(({ requests }) => requests.length === 3)
        assert.strictEqual(server.connections.opened, 3)
        for (const [index, socket] of waiting.entries()) {
          Upstream.json(completion)(socket, unused)
          yield* Fiber.join(calls[index] ?? assert.fail())
        }
        const last = waiting.at(-1)
        const next = yield* Effect.forkChild(Effect.scoped(client.call(whole)), { startImmediately: true })
        yield* server.when(({ requests }) => requests.length === 4)
        assert.strictEqual(waiting.at(-1), last)
        if (last !== undefined) Upstream.json(completion)(last, unused)
        yield* Fiber.join(next)
      }))

    test("unless the upstream closes them, or sends what nobody asked for", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(
          Upstream.json(completion, 200, { connection: "close" }),
          (socket, request) => {
            Upstream.json(completion)(socket, request)
            socket.end()
          },
          (socket, request) => {
            Upstream.json(completion)(socket, request)
            socket.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ngarbage")
          },
          Upstream.json(completion)
        )
        const client = yield* clientAt(server.url)
        for (const closed of [1, 2, 3]) {
          yield* Effect.scoped(client.call(whole))
          yield* server.when(({ connections }) => connections.closed === closed)
        }
        yield* Effect.scoped(client.call(whole))
        assert.deepStrictEqual(
          server.requests.map(({ connection }) => connection),
          [0, 1, 2, 3]
        )
      }))

    it.effect("until its layer is closed, which also ends the calls that are at work", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello), Upstream.silence, Upstream.json(completion))
        const layer = yield* Scope.make()
        const services = yield* Layer.buildWithScope(OpenAiClient.layer, layer)
        const client = yield* Effect.provideContext(clientAt(server.url), services)
        const answer = streamed(yield* client.call(streaming))
        const waiting = yield* Effect.forkChild(failureOf(client.call(whole)), { startImmediately: true })
        yield* server.when(({ requests }) => requests.length === 2)
        yield* Effect.scoped(client.call(whole))
        yield* Scope.close(layer, Exit.void)
        yield* server.when(({ connections }) => connections.closed === 3)
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "UpstreamUnavailable", reason: "connection" })
        assert.deepInclude((yield* drained(answer)).end, { _tag: "UpstreamUnavailable", reason: "cut" })
      })
    )
  })

  describe("gives a call up", () => {
    test("when no connection stands in time, though a listener is there", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.silence)
        // Nothing answers the greeting of TLS.
        const client = yield* clientAt(server.url.replace("http:", "https:"))
        const { call, counted } = counting(whole)
        const calling = yield* Effect.forkChild(failureOf(client.call(call)), { startImmediately: true })
        yield* server.when(({ connections }) => connections.opened === 1)
        yield* TestClock.adjust("9999 millis")
        assert.isUndefined(calling.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(calling), unavailable("timeout", "connect: no connection stood"))
        assert.strictEqual(counted.sent, 0)
        yield* server.when(({ connections }) => connections.closed === 1)
      }))

    const lateness = (script: Upstream.Script, call: ModelCall, after: Duration.Input, detail: string) =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(script)
        const client = yield* clientAt(server.url)
        const calling = yield* Effect.forkChild(failureOf(client.call(call)), { startImmediately: true })
        yield* server.when(({ requests }) => requests.length === 1)
        yield* TestClock.adjust(Duration.subtract(Duration.fromInputUnsafe(after), Duration.millis(1)))
        yield* turns
        assert.isUndefined(calling.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(calling), unavailable("timeout", detail))
        yield* server.when(({ connections }) => connections.closed === 1)
      })

    test("when no headers come in time", () =>
      lateness(Upstream.silence, whole, "2 minutes", "headers: no answer began"))
    test("when no content comes in time, be there headers or not", () =>
      Effect.gen(function* () {
        yield* lateness(Upstream.silence, streaming, "90 seconds", "firstToken: no content came")
      }))
    test("when the request's own time is over", () =>
      lateness(Upstream.silence, { ...whole, deadline: 30_000 }, "30 seconds", "the request's own time was over"))
    test("when it takes too long in all", () => {
      const short = { ...whole, timeouts: { ...timeouts, total: Duration.seconds(20) } }
      return lateness(Upstream.silence, short, "20 seconds", "total: the answer was not complete")
    })

    test("when its answer falls silent, and not while anything comes", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        for (let n = 0; n < 3; n++) {
          yield* TestClock.adjust("59 seconds")
          server.sockets[0]?.write(Upstream.chunk(": still here\n\n"))
          yield* answer.next
        }
        const next = yield* Effect.forkChild(Effect.flip(answer.next), { startImmediately: true })
        yield* TestClock.adjust("59999 millis")
        assert.isUndefined(next.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(next), unavailable("timeout", "idle: the answer fell silent"))
        yield* server.when(({ connections }) => connections.closed === 1)
      }))

    test("of many, each at its own time", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.silence)
        const client = yield* clientAt(server.url)
        const deadlines = [20_000, 40_000, 10_000, 30_000]
        const calls = yield* Effect.forEach(deadlines, (deadline) =>
          Effect.forkChild(failureOf(client.call({ ...whole, deadline })), { startImmediately: true })
        )
        yield* server.when(({ requests }) => requests.length === 4)
        for (const now of [10_000, 20_000, 30_000, 40_000]) {
          yield* TestClock.adjust("10 seconds")
          yield* server.when(({ connections }) => connections.closed === now / 10_000)
          assert.deepStrictEqual(
            calls.map((call) => call.pollUnsafe() !== undefined),
            deadlines.map((deadline) => deadline <= now)
          )
        }
      }))
  })

  describe("leaves nothing at the upstream", () => {
    const leaving = (client: ModelClient, server: Upstream.Upstream, call: ModelCall) =>
      Effect.gen(function* () {
        const calling = yield* Effect.forkChild(Effect.scoped(client.call(call)), { startImmediately: true })
        yield* server.when(
          ({ connections, requests }) => connections.opened === 1 && (call === hidden || requests.length === 1)
        )
        yield* turns
        yield* Fiber.interrupt(calling)
        yield* server.when(({ connections }) => connections.closed === 1)
      })
    const hidden = { ...whole }

    test("when it is interrupted while connecting", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.silence)
        yield* leaving(yield* clientAt(server.url.replace("http:", "https:")), server, hidden)
      }))
    for (const [where, script, call] of [
      ["while it waits for headers", Upstream.silence, whole],
      ["while it waits for the rest", Upstream.writeAndWait('{"choices":'), whole],
      ["while it waits for the first content", Upstream.open(role), streaming]
    ] as const) {
      test(`when it is interrupted ${where}`, () =>
        Effect.gen(function* () {
          const server = yield* Upstream.upstream(script)
          yield* leaving(yield* clientAt(server.url), server, call)
        }))
    }

    test("when its scope is closed in the middle of a stream", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        yield* Effect.scoped(client.call(streaming))
        yield* server.when(({ connections }) => connections.closed === 1)
      }))

    test("when it is interrupted before the connection that it was given is known to be alive", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.json(completion))
        const client = yield* clientAt(server.url)
        yield* Effect.scoped(client.call(whole))
        const { call, counted } = counting(whole)
        const calling = yield* Effect.forkChild(Effect.scoped(client.call(call)), { startImmediately: true })
        yield* Fiber.interrupt(calling)
        yield* server.when(({ connections }) => connections.closed === 1)
        assert.strictEqual(counted.sent, 0)
        assert.strictEqual(server.requests.length, 1)
      }))

    test("when a stream is ended here, of which nothing more is given", () =>
      Effect.gen(function* () {
        const server = yield* Upstream.upstream(Upstream.open(hello))
        const client = yield* clientAt(server.url)
        const answer = streamed(yield* client.call(streaming))
        const waiting = yield* Effect.forkChild(Effect.flip(answer.next), { startImmediately: true })
        answer.cut()
        const ended = unavailable("internal", "the answer was ended here")
        assert.deepStrictEqual(yield* Fiber.join(waiting), ended)
        assert.deepStrictEqual(yield* Effect.flip(answer.next), ended)
        yield* server.when(({ connections }) => connections.closed === 1)
      }))
  })

  it.effect("has no connection left, and none too many, whatever becomes of many calls at once", () =>
    Effect.gen(function* () {
      const scripts = [
        Upstream.json(completion),
        Upstream.stream(role, hello, stop, done),
        Upstream.silence,
        Upstream.reset,
        Upstream.open(hello),
        Upstream.json({}, 500),
        Upstream.stream(hello),
        Upstream.open(hello, stop, done)
      ]
      let turn = 0
      const server = yield* Upstream.upstream((socket, request) => scripts[turn++ % scripts.length]?.(socket, request))
      const layer = yield* Scope.make()
      const services = yield* Layer.buildWithScope(OpenAiClient.layer, layer)
      const client = yield* Effect.provideContext(clientAt(server.url), services)
      const one = (call: ModelCall) =>
        Effect.scoped(
          Effect.flatMap(client.call(call), (answer) => (answer._tag === "Whole" ? Effect.void : drained(answer)))
        )
      for (let round = 0; round < 5; round++) {
        const calls = yield* Effect.forEach(Array.from({ length: 40 }), (_, n) =>
          Effect.forkChild(Effect.exit(one(n % 3 === 0 ? whole : streaming)), { startImmediately: true })
        )
        yield* server.when(({ requests }) => requests.length === (round + 1) * 40)
        yield* turns
        yield* Fiber.interruptAll(calls)
      }
      const { connections } = server
      assert.isAtMost(connections.opened, 200)
      yield* Scope.close(layer, Exit.void)
      yield* server.when(() => connections.closed === connections.opened)
      assert.deepInclude(yield* failureOf(client.call(whole)), { reason: "connection" })
    })
  )

  test("counts each call once, by how it ended, and how long its answer took to begin", () =>
    Effect.gen(function* () {
      const server = yield* Upstream.upstream(
        Upstream.json(completion),
        Upstream.json({}, 500),
        Upstream.stream(hello, stop, done),
        Upstream.stream(hello),
        Upstream.open(hello)
      )
      const client = yield* clientAt(server.url)
      yield* Effect.scoped(client.call(whole))
      yield* failureOf(client.call(whole))
      yield* Effect.scoped(Effect.flatMap(client.call(streaming), (answer) => drained(streamed(answer))))
      yield* failureOf(client.call(streaming))
      yield* Effect.scoped(client.call(streaming))
      const snapshot = yield* Metric.snapshot
      const calls = snapshot
        .filter(({ id }) => id === "weirgate_upstream_calls_total")
        .map(({ attributes, state }) => [attributes?.["call"], attributes?.["result"], "count" in state && state.count])
      assert.sameDeepMembers(calls, [
        ["chat/completions", "ok", 2],
        ["chat/completions", "UpstreamUnavailable", 2],
        ["chat/completions", "Throttled", 0],
        ["chat/completions", "interrupted", 1]
      ])
      const first = yield* firstBytes
      assert.deepInclude(first?.state, { count: 5 })
      assert.deepStrictEqual(first?.attributes, { provider: "p" })
    }))
})
