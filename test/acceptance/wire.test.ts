import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { request as httpRequest } from "node:http"
import { connect } from "node:net"
import { get, post, running } from "../support/running.ts"

/** Sends what `fetch` will not: a `Host` of its own, or bytes as they are. */
const raw = (url: string, options: { method?: string; headers?: Record<string, string> }, body = "") =>
  Effect.callback<{ status: number | undefined; text: string }>((resume) => {
    const request = httpRequest(url, options, (response) => {
      let text = ""
      response.on("data", (data) => (text += String(data)))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode, text })))
    })
    request.end(body)
  })

/** The statuses that come back for these bytes on one connection, in their order. */
const statusesFor = (url: string, bytes: string, wanted: number) =>
  Effect.callback<ReadonlyArray<number>>((resume) => {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    let text = ""
    socket.on("data", (data) => {
      text += data.toString("latin1")
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
      if (statuses.length >= wanted) resume(Effect.succeed(statuses))
    })
    return Effect.sync(() => socket.destroy())
  })

const eventually = <A>(check: Effect.Effect<A>, holds: (a: A) => boolean) =>
  check.pipe(
    Effect.filterOrFail(holds),
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 250 }),
    Effect.orDie
  )

describe("the HTTP surface", () => {
  it.live("answers the first request of the README", () =>
    Effect.gen(function* () {
      const { chat } = yield* running()
      const { status, json } = yield* chat("hi")
      assert.strictEqual(status, 200)
      assert.strictEqual(json.object, "chat.completion")
      assert.strictEqual(json.model, "auto")
      assert.isString(json.choices[0].message.content)
    })
  )

  it.live(
    "answers calls as they come on a connection: in a row, in chunks, after an Expect, under other spellings",
    () =>
      Effect.gen(function* () {
        const { url } = yield* running()
        const body = JSON.stringify({ model: "auto", messages: [{ role: "user", content: "hi" }] })
        const call = (headers: string, path = "/v1/chat/completions") =>
          `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`
        const sized = `content-length: ${body.length}`
        const whole = call(sized) + body
        assert.deepStrictEqual(yield* statusesFor(url, whole + whole, 2), [200, 200])
        const chunked = `${call("transfer-encoding: chunked")}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
        assert.deepStrictEqual(yield* statusesFor(url, chunked, 1), [200])
        const expecting = `${call(`expect: 100-continue\r\n${sized}`)}${body}`
        assert.deepStrictEqual(yield* statusesFor(url, expecting, 2), [100, 200])
        for (const path of ["/v1/chat/completions?a=1", "/v1/chat/completions/"]) {
          assert.deepStrictEqual(yield* statusesFor(url, call(sized, path) + body, 1), [200], path)
        }
        const tooLong = call(`content-length: ${20 * 1024 * 1024}`)
        assert.deepStrictEqual(yield* statusesFor(url, tooLong, 1), [413])
      })
  )

  it.live("has models, health, readiness, metrics, its contract and its documentation", () =>
    Effect.gen(function* () {
      const { url, chat } = yield* running()
      yield* chat("hi")
      const models = yield* get(`${url}/v1/models`)
      assert.include(
        models.json.data.map((model: { id: string }) => model.id),
        "auto"
      )
      assert.deepStrictEqual((yield* get(`${url}/healthz`)).json, { status: "ok" })
      assert.strictEqual((yield* get(`${url}/readyz`)).status, 200)
      assert.include((yield* get(`${url}/metrics`)).text, "weirgate_first_event_ms")
      const contract = (yield* get(`${url}/openapi.json`)).json
      assert.includeMembers(Object.keys(contract.paths), ["/v1/chat/completions", "/v1/models", "/v1/performance"])
      const docs = yield* get(`${url}/docs`)
      assert.strictEqual(docs.status, 200)
      assert.notMatch(docs.text.slice(0, 2_000), /<(script|link)[^>]+(src|href)="https?:/)
    })
  )

  it.live("answers what it does not have with a JSON error", () =>
    Effect.gen(function* () {
      const { url } = yield* running()
      const { status, json } = yield* get(`${url}/v1/nothing?secret=1`)
      assert.strictEqual(status, 404)
      assert.deepStrictEqual(json.error, {
        message: "there is nothing at GET /v1/nothing",
        type: "invalid_request_error",
        param: null,
        code: "not_found"
      })
    })
  )

  it.live("answers a path that cannot be decoded as one that is not there", () =>
    Effect.gen(function* () {
      const { url } = yield* running()
      assert.strictEqual((yield* raw(`${url}/%E0%A4%A`, {})).status, 404)
    })
  )

  it.live("names the field that is wrong, and takes what it does not know", () =>
    Effect.gen(function* () {
      const { url, chat } = yield* running()
      const bad = (body: unknown, headers = {}) => post(`${url}/v1/chat/completions`, body, headers)
      const cases: ReadonlyArray<readonly [unknown, string | null]> = [
        [{ messages: [{ role: "user", content: "hi" }] }, "model"],
        [{ model: "auto", messages: [] }, "messages"],
        [{ model: "auto", messages: [{ role: "user" }] }, "messages[0].content"],
        [{ model: "auto", messages: [{ role: "nobody", content: "hi" }] }, "messages[0].role"],
        [
          { model: "auto", messages: [{ role: "user", content: [{ type: "image_url" }] }] },
          "messages[0].content[0].type"
        ],
        [{ model: "auto", messages: [{ role: "user", content: "hi" }], stream: "yes" }, "stream"],
        [{ model: "auto", messages: [{ role: "user", content: "hi" }], n: 2 }, "n"],
        [{ model: "auto", messages: [{ role: "system", content: "only" }] }, "messages"],
        ["{nope", null],
        ["[]", null]
      ]
      for (const [body, param] of cases) {
        const { status, json } = yield* bad(body)
        assert.strictEqual(status, 400, JSON.stringify(body))
        assert.strictEqual(json.error.type, "invalid_request_error")
        assert.strictEqual(json.error.param, param, JSON.stringify(body))
      }
      assert.strictEqual((yield* bad("hi", { "content-type": "text/plain" })).status, 415)
      assert.strictEqual((yield* chat("hi", { temperature: 0.1, made_up: { deeply: true } })).status, 200)
    })
  )

  it.live("refuses a body that is too large", () =>
    Effect.gen(function* () {
      const { chat } = yield* running()
      const { status, json } = yield* chat("x".repeat(11 * 1024 * 1024))
      assert.strictEqual(status, 413)
      assert.strictEqual(json.error.type, "invalid_request_error")
    })
  )

  it.live("answers only to local host names while it is open", () =>
    Effect.gen(function* () {
      const { url } = yield* running()
      const asked = (host: string) => Effect.map(raw(`${url}/v1/models`, { headers: { host } }), ({ status }) => status)
      assert.strictEqual(yield* asked("evil.example"), 403)
      assert.strictEqual(yield* asked("127.0.0.1.evil.example"), 403)
      assert.strictEqual(yield* asked("localhost:1234"), 200)
      assert.strictEqual(yield* asked("[::1]:1234"), 200)
    })
  )

  it.live("aborts the upstream's call when the client leaves, before the answer and in it", () =>
    Effect.gen(function* () {
      const { url, sandbox, faults } = yield* running()
      const stats = Effect.map(
        get(`${sandbox}/_sandbox/stats`),
        ({ json }) => json as { aborted: number; open: number }
      )
      const leaving = (body: object) =>
        Effect.tryPromise((signal) =>
          fetch(`${url}/v1/chat/completions`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
            signal
          }).then((response) => response.text())
        )
      const hi = { model: "auto", messages: [{ role: "user", content: "hi" }] }
      for (const [n, stream] of [false, true].entries()) {
        yield* faults({ call: "ai", kind: "stall", afterEvents: stream ? 4 : 0 })
        const client = yield* Effect.forkChild(leaving({ ...hi, stream }))
        yield* eventually(stats, ({ open }) => open === 1)
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(client)
        const after = yield* eventually(stats, ({ open }) => open === 0)
        assert.strictEqual(after.aborted, n + 1)
      }
      const pool = Effect.map(get(`${url}/v1/performance`), ({ json }) => json.pool)
      const { tokens } = yield* eventually(pool, ({ tokens }) =>
        tokens.every((token: { leased: number }) => token.leased === 0)
      )
      assert.lengthOf(tokens, 2)
    })
  )

  it.live("never mixes two callers' conversations", () =>
    Effect.gen(function* () {
      const { chat, sandbox } = yield* running()
      const asked = yield* Effect.forEach(Array.from({ length: 8 }), (_, i) => chat(`only mine ${i}`), {
        concurrency: 8
      })
      for (const [i, { json }] of asked.entries()) assert.include(json.choices[0].message.content, `only mine ${i}`)
      const { requests } = (yield* get(`${sandbox}/_sandbox/requests`)).json
      const conversations = requests.map((request: { conversationId: string }) => request.conversationId)
      const named = conversations.filter((id: string) => id !== "")
      assert.strictEqual(new Set(named).size, named.length)
    })
  )

  it.live("moves on when the upstream fails before it answers, and tells a failure by its own status", () =>
    Effect.gen(function* () {
      const { chat, faults } = yield* running()
      yield* faults({ call: "ai", kind: "server_error" })
      const survived = yield* chat("hi")
      assert.strictEqual(survived.status, 200)
      assert.strictEqual(survived.headers.get("x-weirgate-attempts"), "2")
      yield* faults({ call: "ai", kind: "server_error", times: null })
      const failed = yield* chat("hi")
      assert.strictEqual(failed.status, 502)
      assert.strictEqual(failed.json.error.code, "upstream_status")
      assert.notMatch(failed.text, /<html|stack|at /i)
    })
  )

  it.live("never gives an upstream's error out as an answer", () =>
    Effect.gen(function* () {
      for (const kind of ["quota_in_stream", "internal_error_in_stream", "malformed", "truncated"]) {
        const { faults, chat } = yield* running()
        yield* faults({ call: "ai", kind, times: null, afterEvents: 3 })
        const { status, json } = yield* chat("hi")
        assert.isAtLeast(status, 429, kind)
        assert.isString(json.error.message)
      }
    })
  )
})
