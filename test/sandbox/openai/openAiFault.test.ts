import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { frame } from "../../../src/sandbox/openai/framing.ts"
import {
  ask,
  at,
  call,
  chat,
  chunksIn,
  dataIn,
  eventually,
  get,
  modelOf,
  open,
  outline,
  postJson,
  read,
  remove,
  setFault,
  sound,
  stats,
  withSandbox,
  wordsIn
} from "./caller.ts"

const provider = "hunyuan"

/** Sets one fault on a provider's chat and asks it. */
const struck = Effect.fnUntraced(function* (fault: object, more: object = {}, at: string = provider) {
  yield* setFault({ provider: at, ...fault })
  return yield* chat(at, "hi", more)
})

const streamed = (fault: object) => struck(fault, { stream: true })

/** What arrives before an answer breaks or falls silent, and how it ends. */
const arriving = (response: Response) => {
  const received: Array<string> = []
  const decoder = new TextDecoder()
  const all = Effect.tryPromise(async () => {
    if (response.body === null) return
    for await (const bytes of response.body) received.push(decoder.decode(bytes, { stream: true }))
  })
  return { all, text: () => received.join("") }
}

const isBroken = (exit: Exit.Exit<unknown, unknown>) => exit._tag === "Failure"

const quiet = eventually(stats, (counted) => at(counted, "openai", provider, "chat", "open") === 0)

describe("openAiFault: an answer in place of the real one", () => {
  const answers = [
    ["nvidia1", "rate_limit", 429, { status: 429, title: "Too Many Requests" }],
    ["zhipu", "rate_limit", 429, { error: { code: "1303" } }],
    ["hunyuan", "rate_limit", 429, { error: { code: "rate_limit_exceeded" } }],
    ["siliconflow", "rate_limit", 429, { data: null }],
    ["nvidia1", "quota", 429, { error: { code: "insufficient_quota", type: "insufficient_quota" } }],
    ["zhipu", "quota", 429, { error: { code: "1113" } }],
    ["hunyuan", "quota", 429, { error: { code: "insufficient_quota" } }],
    ["siliconflow", "quota", 429, { error: { code: "insufficient_quota" } }],
    ["nvidia1", "insufficient_balance", 402, { status: 402, title: "Payment Required" }],
    ["zhipu", "insufficient_balance", 402, { error: { code: "1113" } }],
    ["hunyuan", "insufficient_balance", 402, { error: { code: "insufficient_balance" } }],
    ["siliconflow", "insufficient_balance", 402, { code: 30001 }],
    ["nvidia1", "unauthorized", 401, { status: 401 }],
    ["siliconflow", "unauthorized", 401, "Invalid token"],
    ["nvidia1", "blocked", 403, { status: 403, detail: "Authorization failed" }],
    ["zhipu", "blocked", 403, { error: { code: "1112" } }],
    ["hunyuan", "blocked", 403, { error: { code: "account_disabled" } }],
    ["siliconflow", "blocked", 403, "Forbidden"],
    ["nvidia1", "server_error", 500, { status: 500 }],
    ["zhipu", "server_error", 500, { error: { code: "1234" } }],
    ["hunyuan", "server_error", 500, { error: { code: "server_error" } }],
    ["siliconflow", "server_error", 500, { code: 50505 }],
    ["nvidia1", "context_exceeded", 400, { error: { code: 400 } }],
    ["zhipu", "context_exceeded", 400, { error: { code: "1261" } }],
    ["hunyuan", "context_exceeded", 400, { error: { code: "context_length_exceeded" } }],
    ["siliconflow", "context_exceeded", 400, { code: 20015 }],
    ["zhipu", "content_filter", 400, { error: { code: "1301" } }],
    ["hunyuan", "content_filter", 400, { error: { code: "content_filter" } }],
    ["zhipu", "model_not_found", 404, { error: { code: "1211" } }],
    ["siliconflow", "model_not_found", 404, { code: 20012 }],
    ["hunyuan", "error_in_body", 200, { error: { type: "server_error", code: null } }]
  ] as const

  const includes = (actual: unknown, expected: unknown): void => {
    if (typeof expected !== "object" || expected === null) return assert.strictEqual(actual, expected)
    for (const [key, value] of Object.entries(expected)) includes(at(actual, key), value)
  }

  for (const [name, kind, status, body] of answers) {
    it.effect(`${kind} at ${name} answers ${status} in its words, once, streamed or not`, () =>
      Effect.gen(function* () {
        for (const stream of [false, true]) {
          const answer = yield* struck({ kind }, { stream }, name)
          assert.strictEqual(answer.status, status)
          assert.strictEqual(answer.headers.get("content-type"), "application/json")
          includes(answer.json, body)
        }
        assert.strictEqual((yield* chat(name)).status, 200)
      }).pipe(withSandbox())
    )
  }

  it.effect("answers with the words and the status it is given, where a provider may differ", () =>
    Effect.gen(function* () {
      const balance = yield* struck({ kind: "insufficient_balance", status: 403 }, {}, "siliconflow")
      assert.deepStrictEqual([balance.status, at(balance.json, "code")], [403, 30001])
      const overloaded = yield* struck({ kind: "server_error", status: 503, message: "out of luck" }, {}, "nvidia1")
      assert.deepInclude(overloaded.json, { status: 503, detail: "out of luck" })
      const unknown = yield* struck({ kind: "model_not_found", status: 400 }, {}, "zhipu")
      assert.strictEqual(unknown.status, 400)
    }).pipe(withSandbox())
  )

  it.effect("sends Retry-After as it was given, any other header, or none", () =>
    Effect.gen(function* () {
      for (const [retryAfter, sent] of [
        [30, "30"],
        [0.25, "0.25"],
        ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"],
        ["soon", "soon"]
      ] as const) {
        for (const kind of ["rate_limit", "quota", "server_error", "bad_gateway_html"]) {
          assert.strictEqual((yield* struck({ kind, retryAfter })).headers.get("retry-after"), sent)
        }
      }
      const { headers } = yield* struck({
        kind: "rate_limit",
        headers: { "retry-after-ms": "1500", "x-ratelimit-reset-requests": "6m0s" }
      })
      assert.strictEqual(headers.get("retry-after-ms"), "1500")
      assert.strictEqual(headers.get("x-ratelimit-reset-requests"), "6m0s")
      assert.isNull(headers.get("retry-after"))
    }).pipe(withSandbox())
  )

  it.effect("bad_gateway_html answers a page that is not the provider's", () =>
    Effect.gen(function* () {
      const answer = yield* struck({ kind: "bad_gateway_html" })
      assert.deepStrictEqual([answer.status, answer.headers.get("content-type")], [502, "text/html"])
      assert.include(answer.text, "502 Bad Gateway")
      assert.strictEqual((yield* struck({ kind: "bad_gateway_html", status: 504 })).status, 504)
    }).pipe(withSandbox())
  )

  it.effect("redirect points to where nothing is", () =>
    Effect.gen(function* () {
      const answer = yield* struck({ kind: "redirect" })
      assert.deepStrictEqual([answer.status, answer.headers.get("location")], [307, "/hunyuan/v1/moved"])
      assert.strictEqual((yield* get("/hunyuan/v1/moved")).status, 404)
      assert.strictEqual((yield* struck({ kind: "redirect", status: 302 })).status, 302)
    }).pipe(withSandbox())
  )

  it.effect("empty answers 200 and nothing, by the type that was asked for", () =>
    Effect.gen(function* () {
      for (const [stream, type] of [
        [false, "application/json"],
        [true, "text/event-stream"]
      ] as const) {
        const answer = yield* struck({ kind: "empty" }, { stream })
        assert.deepStrictEqual([answer.status, answer.text, answer.headers.get("content-type")], [200, "", type])
      }
    }).pipe(withSandbox())
  )

  it.effect("error_in_body carries the code and the message it is given", () =>
    Effect.gen(function* () {
      const { json } = yield* struck({ kind: "error_in_body", code: "rate_limit_exceeded", message: "slow down" })
      assert.deepInclude(at(json, "error"), { code: "rate_limit_exceeded", message: "slow down" })
    }).pipe(withSandbox())
  )

  it.effect("strikes the other calls as well, and only those it names", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider: "nvidia1", call: "embeddings", kind: "server_error" },
        { provider: "nvidia1", call: "completions", kind: "quota" },
        { provider: "nvidia1", call: "models", kind: "unauthorized" },
        { provider: "hunyuan", call: "responses", kind: "rate_limit" }
      ])
      const statuses = [
        (yield* chat("nvidia1")).status,
        (yield* chat("nvidia2")).status,
        (yield* call("nvidia1", { model: "nv-embed-v1", input: "hi" }, { path: "embeddings" })).status,
        (yield* call("nvidia1", { model: "llama-3.3-70b", prompt: "hi" }, { path: "completions" })).status,
        (yield* call("nvidia1", undefined, { path: "models" })).status,
        (yield* call("hunyuan", { model: "hunyuan-turbo", input: "hi" }, { path: "responses" })).status
      ]
      assert.deepStrictEqual(statuses, [200, 200, 500, 429, 401, 429])
    }).pipe(withSandbox())
  )

  it.effect("strikes only the model and the account it names: a quota of a key's own", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider, kind: "server_error", model: "llama-3.3-70b", times: null },
        { provider, kind: "quota", account: "hunyuan-b", skip: 2, times: null }
      ])
      const b = { key: "sandbox-hunyuan-b" }
      const statuses = [
        (yield* chat(provider)).status,
        (yield* chat(provider, "hi", { model: "llama-3.3-70b" })).status,
        (yield* chat(provider, "hi", {}, b)).status,
        (yield* chat(provider, "hi", {}, b)).status,
        (yield* chat(provider, "hi", {}, b)).status,
        (yield* chat(provider)).status
      ]
      assert.deepStrictEqual(statuses, [200, 500, 200, 200, 429, 200])
    }).pipe(withSandbox())
  )

  it.effect("is an outage as long as it is told to last", () =>
    Effect.gen(function* () {
      yield* setFault({ provider, kind: "server_error", status: 503, for: "60 seconds" })
      assert.strictEqual((yield* chat(provider)).status, 503)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* chat(provider)).status, 503)
      assert.lengthOf(at((yield* get("/_sandbox/faults")).json, "faults") as ReadonlyArray<unknown>, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* chat(provider)).status, 200)
      assert.deepStrictEqual((yield* get("/_sandbox/faults")).json, { faults: [] })
    }).pipe(withSandbox())
  )

  it.effect("json_instead_of_stream and stream_instead_of_json answer the other way, and wait for their chance", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider, kind: "json_instead_of_stream" },
        { provider, kind: "stream_instead_of_json" }
      ])
      const json = yield* chat(provider, "hi", { stream: true })
      assert.strictEqual(json.headers.get("content-type"), "application/json")
      assert.strictEqual(at(json.json, "choices", 0, "message", "content"), `You said: "hi"`)
      const stream = yield* chat(provider)
      assert.strictEqual(stream.headers.get("content-type"), "text/event-stream")
      assert.deepStrictEqual(outline(stream.text), sound)
      assert.strictEqual((yield* chat(provider)).headers.get("content-type"), "application/json")
    }).pipe(withSandbox())
  )

  it.effect("a fault of the answer waits for a call that is accepted", () =>
    Effect.gen(function* () {
      yield* setFault({ provider, kind: "content_filter_finish" })
      assert.strictEqual((yield* chat(provider, "hi", { model: "gpt-99" })).status, 404)
      const { json } = yield* chat(provider)
      assert.strictEqual(at(json, "choices", 0, "finish_reason"), "content_filter")
      assert.strictEqual(at(json, "choices", 0, "message", "content"), `You said: "hi"`)
      const again = yield* streamed({ kind: "content_filter_finish" })
      assert.deepStrictEqual(outline(again.text), [...sound.slice(0, 4), "content_filter", "[DONE]"])
      yield* setFault({ provider, kind: "content_filter_finish", call: "responses" })
      const response = yield* call(provider, { model: "hunyuan-turbo", input: "hi" }, { path: "responses" })
      assert.deepInclude(response.json, { status: "incomplete", incomplete_details: { reason: "content_filter" } })
    }).pipe(withSandbox())
  )
})

describe("openAiFault: the connection", () => {
  it.effect("reset breaks it before any header, which is nobody's leaving", () =>
    Effect.gen(function* () {
      assert.isTrue(isBroken(yield* Effect.exit(struck({ kind: "reset" }))))
      const counted = at(yield* quiet, "openai", provider, "chat")
      assert.deepStrictEqual(counted, { total: 1, byStatus: { none: 1 }, aborted: 0, open: 0 })
    }).pipe(withSandbox())
  )

  it.effect("silence never answers", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkScoped(struck({ kind: "silence" }))
      yield* eventually(stats, (counted) => at(counted, "openai", provider, "chat", "open") === 1)
      yield* TestClock.adjust("1 day")
      yield* stats
      assert.isUndefined(waiting.pollUnsafe())
      assert.isNull(at((yield* get("/_sandbox/requests")).json, "requests", 0, "status"))
    }).pipe(Effect.scoped, withSandbox())
  )

  for (const stream of [false, true]) {
    it.effect(`slow answers at the instant it names and not a millisecond before (stream: ${stream})`, () =>
      Effect.gen(function* () {
        yield* setFault({ provider, kind: "slow", delay: "3 seconds" })
        const response = yield* Effect.forkScoped(open(provider, ask(provider, "hi", { stream })))
        yield* eventually(get("/_sandbox/requests"), ({ json }) => at(json, "requests", 0) !== undefined)
        yield* TestClock.adjust("2999 millis")
        yield* stats
        assert.isUndefined(response.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(response)).status, 200)
      }).pipe(Effect.scoped, withSandbox())
    )

    it.effect(`slow_first sends the headers at once and the content later (stream: ${stream})`, () =>
      Effect.gen(function* () {
        yield* setFault({ provider, kind: "slow_first", delay: 2_000 })
        const response = yield* open(provider, ask(provider, "hi", { stream }))
        assert.strictEqual(response.status, 200)
        const body = yield* Effect.forkScoped(read(response))
        yield* TestClock.adjust("1999 millis")
        yield* stats
        assert.isUndefined(body.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.include((yield* Fiber.join(body)).text, "said")
      }).pipe(Effect.scoped, withSandbox())
    )

    it.effect(`cut closes the connection in the middle, which is nobody's leaving (stream: ${stream})`, () =>
      Effect.gen(function* () {
        yield* setFault({ provider, kind: "cut" })
        const { all, text } = arriving(yield* open(provider, ask(provider, "hi", { stream })))
        assert.isTrue(isBroken(yield* Effect.exit(all)))
        if (stream) assert.deepStrictEqual(outline(text()), sound.slice(0, 2))
        else assert.match(text(), /^\{"id":"chatcmpl-[^}]*$/)
        assert.deepInclude(at(yield* quiet, "openai", provider, "chat"), { total: 1, aborted: 0 })
      }).pipe(withSandbox())
    )

    it.effect(`stall falls silent in the middle, without end or for as long as it says (stream: ${stream})`, () =>
      Effect.gen(function* () {
        yield* setFault({ provider, kind: "stall", delay: "10 seconds" })
        const response = yield* open(provider, ask(provider, "hi", { stream }))
        const { all, text } = arriving(response)
        const body = yield* Effect.forkScoped(all)
        yield* eventually(stats, () => text().length > 100)
        yield* TestClock.adjust("9999 millis")
        yield* stats
        if (stream) assert.deepStrictEqual(outline(text()), sound.slice(0, 2))
        assert.isUndefined(body.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(body)
        if (stream) assert.deepStrictEqual(outline(text()), sound)
        else assert.include(text(), "said")

        yield* setFault({ provider, kind: "stall" })
        const endless = yield* Effect.forkScoped(chat(provider, "hi", { stream }))
        yield* eventually(stats, (counted) => at(counted, "openai", provider, "chat", "open") === 1)
        yield* TestClock.adjust("1 day")
        yield* stats
        assert.isUndefined(endless.pollUnsafe())
      }).pipe(Effect.scoped, withSandbox())
    )
  }
})

describe("openAiFault: the stream", () => {
  it.effect("cut and truncated end it after the events they name, and never after its end", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(outline((yield* streamed({ kind: "truncated" })).text), sound.slice(0, 2))
      assert.strictEqual((yield* streamed({ kind: "truncated", afterEvents: 0 })).text, "")
      assert.deepStrictEqual(outline((yield* streamed({ kind: "truncated", afterEvents: 99 })).text), sound.slice(0, 4))
      yield* setFault({ provider, kind: "cut", afterEvents: 3 })
      const { all, text } = arriving(yield* open(provider, ask(provider, "hi", { stream: true })))
      assert.isTrue(isBroken(yield* Effect.exit(all)))
      assert.deepStrictEqual(outline(text()), sound.slice(0, 3))
    }).pipe(withSandbox())
  )

  it.effect("no_done leaves out [DONE], no_finish the reason it ended", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(outline((yield* streamed({ kind: "no_done" })).text), sound.slice(0, 5))
      assert.deepStrictEqual(outline((yield* streamed({ kind: "no_finish" })).text), [...sound.slice(0, 4), "[DONE]"])
    }).pipe(withSandbox())
  )

  it.effect("error_in_stream and quota_in_stream end a 200 with an error, at first or after some events", () =>
    Effect.gen(function* () {
      const first = yield* streamed({ kind: "error_in_stream", code: 429, message: "slow down" })
      assert.strictEqual(first.status, 200)
      assert.deepStrictEqual(chunksIn(first.text), [
        { error: { message: "slow down", type: "server_error", param: null, code: 429 } }
      ])
      const later = yield* streamed({ kind: "error_in_stream", afterEvents: 3 })
      assert.deepStrictEqual(outline(later.text), [...sound.slice(0, 3), "error"])
      const quota = yield* streamed({ kind: "quota_in_stream", afterEvents: 1 })
      assert.deepStrictEqual(outline(quota.text), ["role", "error"])
      assert.strictEqual(at(chunksIn(quota.text)[1], "error", "code"), "insufficient_quota")
      yield* setFault({ provider, kind: "error_in_stream", call: "responses" })
      const response = yield* call(
        provider,
        { model: "hunyuan-turbo", input: "hi", stream: true },
        { path: "responses" }
      )
      assert.match(response.text, /^event: error\ndata: /)
      assert.deepInclude(chunksIn(response.text)[0], { type: "error", param: null })
    }).pipe(withSandbox())
  )

  it.effect("malformed sends what is no JSON, and then goes on; a whole answer is none at all", () =>
    Effect.gen(function* () {
      const data = dataIn((yield* streamed({ kind: "malformed", afterEvents: 2 })).text)
      assert.lengthOf(data, sound.length + 1)
      assert.strictEqual(data[2], "%%% this is no JSON %%%")
      assert.strictEqual(dataIn((yield* streamed({ kind: "malformed", message: "{]" })).text)[2], "{]")
      const whole = yield* struck({ kind: "malformed" })
      assert.deepStrictEqual([whole.status, whole.text], [200, "%%% this is no JSON %%%"])
    }).pipe(withSandbox())
  )

  it.effect("huge_event is as large as it is told, in one event or in a whole answer", () =>
    Effect.gen(function* () {
      const stream = yield* streamed({ kind: "huge_event" })
      assert.deepStrictEqual(outline(stream.text), ["role", "content", "stop", "[DONE]"])
      assert.lengthOf(wordsIn(stream.text), 2 * 1024 * 1024)
      const { json } = yield* struck({ kind: "huge_event", bytes: 1_000_000 })
      assert.lengthOf(`${at(json, "choices", 0, "message", "content")}`, 1_000_000)
    }).pipe(withSandbox())
  )

  const framings = [
    ["crlf", /^data: \{.+\}\r\n\r\n/],
    ["multi_line", /^data: \{\ndata:  "id": "chatcmpl-[0-9a-f]+",\n/],
    ["comments", /^: keep-alive\n\nid: 1\nretry: 3000\ndata: \{.+\}\n: done\n\n/],
    ["split", /^data: \{.+\}\n\n/]
  ] as const
  for (const [kind, pattern] of framings) {
    it.effect(`${kind} frames the same events in another way`, () =>
      Effect.gen(function* () {
        const answer = yield* streamed({ kind })
        assert.match(answer.text, pattern)
        assert.deepStrictEqual(outline(answer.text), sound)
        yield* setFault({ provider, kind, call: "responses" })
        const body = { model: "hunyuan-turbo", input: "hi", stream: true }
        const response = yield* call(provider, body, { path: "responses" })
        assert.strictEqual(at(chunksIn(response.text).at(-1), "type"), "response.completed")
      }).pipe(withSandbox())
    )
  }

  it.effect("split cuts the same bytes into pieces that end inside a line and inside a character", () =>
    Effect.gen(function* () {
      const pieces = frame({ part: "content", raw: "äöü" }, "split").map((piece) => Buffer.from(piece))
      assert.deepStrictEqual(
        pieces.map((piece) => piece.length),
        [7, 7]
      )
      assert.strictEqual(Buffer.concat(pieces).toString(), "data: äöü\n\n")
      assert.notStrictEqual(pieces.map((piece) => piece.toString()).join(""), "data: äöü\n\n")
      yield* setFault({ provider, kind: "split" })
      const response = yield* open(provider, ask(provider, "äöü", { stream: true }))
      const { all, text } = arriving(response)
      yield* all
      assert.strictEqual(wordsIn(text()), `You said: "äöü"`)
      assert.strictEqual(at((yield* struck({ kind: "split" })).json, "object"), "chat.completion")
    }).pipe(withSandbox())
  )

  it.effect("no_content_type leaves that header out and the answer whole", () =>
    Effect.gen(function* () {
      const stream = yield* streamed({ kind: "no_content_type" })
      assert.isNull(stream.headers.get("content-type"))
      assert.deepStrictEqual(outline(stream.text), sound)
      const whole = yield* struck({ kind: "no_content_type" })
      assert.isNull(whole.headers.get("content-type"))
      assert.strictEqual(at(whole.json, "object"), "chat.completion")
    }).pipe(withSandbox())
  )

  it.effect("strikes whole answers of every other call too", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider: "nvidia1", call: "embeddings", kind: "cut" },
        { provider: "nvidia1", call: "models", kind: "malformed" }
      ])
      const embedded = yield* Effect.exit(
        call("nvidia1", { model: "nv-embed-v1", input: "hi" }, { path: "embeddings" })
      )
      assert.isTrue(isBroken(embedded))
      assert.isUndefined((yield* call("nvidia1", undefined, { path: "models" })).json)
    }).pipe(withSandbox())
  )

  it.effect("strikes the streams of completions and responses by their own events", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider: "nvidia1", call: "completions", kind: "truncated" },
        { provider, call: "responses", kind: "truncated" }
      ])
      const completion = yield* call(
        "nvidia1",
        { model: modelOf("nvidia1"), prompt: "hi", stream: true },
        { path: "completions" }
      )
      assert.strictEqual(wordsIn(completion.text), "You")
      const response = yield* call(
        provider,
        { model: "hunyuan-turbo", input: "hi", stream: true },
        { path: "responses" }
      )
      assert.strictEqual(at(chunksIn(response.text).at(-1), "delta"), "You")
    }).pipe(withSandbox())
  )
})

describe("openAiFault: what can be set", () => {
  const good = { provider: "nvidia1", kind: "cut" }

  it.effect("shows what is left of each fault, beside Warp's", () =>
    Effect.gen(function* () {
      yield* setFault([
        { ...good, delay: "2 seconds", for: "1 minute", skip: 1 },
        { call: "ai", kind: "quota", for: 500 }
      ])
      assert.deepStrictEqual((yield* get("/_sandbox/faults")).json, {
        faults: [
          { ...good, delay: "2000 millis", for: "60000 millis", skip: 1, times: null },
          { call: "ai", kind: "quota", for: 500, skip: 0, times: null }
        ]
      })
      yield* remove("/_sandbox/faults")
      assert.strictEqual((yield* chat("nvidia1", "hi", { stream: true })).status, 200)
    }).pipe(withSandbox())
  )

  const bad: ReadonlyArray<readonly [string, object]> = [
    ["provider", { ...good, provider: "nvidia3" }],
    ["kind", { ...good, kind: "explode" }],
    ["kind", { ...good, kind: "out_of_credits" }],
    ["kind", { call: "ai", kind: "no_done" }],
    ["kind", { ...good, call: "embeddings", kind: "truncated" }],
    ["kind", { ...good, call: "models", kind: "context_exceeded" }],
    ["kind", { provider: "hunyuan", call: "responses", kind: "no_done" }],
    ["call", { ...good, call: "ai" }],
    ["model", { ...good, call: "models", kind: "server_error", model: "x" }],
    ["account", { ...good, account: "nvidia2-a" }],
    ["account", { ...good, account: "somebody" }],
    ["times", { ...good, times: 0 }],
    ["for", { ...good, for: 0 }],
    ["for", { ...good, for: "a while" }],
    ["for", { call: "ai", kind: "cut", for: -1 }],
    ["status", { ...good, kind: "server_error", status: 404 }],
    ["status", { ...good, kind: "redirect", status: 500 }],
    ["status", { ...good, kind: "rate_limit", status: 429 }],
    ["status", { ...good, status: 500 }],
    ["afterEvents", { ...good, kind: "no_done", afterEvents: 2 }],
    ["delay", { ...good, kind: "silence", delay: 5 }],
    ["bytes", { ...good, bytes: 5 }],
    ["bytes", { ...good, kind: "huge_event", bytes: 0 }],
    ["code", { ...good, kind: "quota", code: "x" }],
    ["retryAfter", { ...good, kind: "rate_limit", retryAfter: "1\r\nx-injected: 1" }],
    ["headers.X-Upper", { ...good, kind: "rate_limit", headers: { "X-Upper": "1" } }],
    ["headers.x-ok", { ...good, kind: "rate_limit", headers: { "x-ok": "1\n2" } }],
    ["retry_after", { ...good, retry_after: 5 }]
  ]
  for (const [field, fault] of bad) {
    it.effect(`refuses ${JSON.stringify(fault)} and names ${field}`, () =>
      Effect.gen(function* () {
        const { json, status } = yield* postJson("/_sandbox/faults", fault)
        assert.deepStrictEqual([status, at(json, "error", "field")], [400, field])
        assert.deepStrictEqual((yield* get("/_sandbox/faults")).json, { faults: [] })
      }).pipe(withSandbox())
    )
  }
})
