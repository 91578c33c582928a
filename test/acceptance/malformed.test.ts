/** Nonsense, thousands of times, at every route: refused with a clean error, and nothing breaks or leaks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { Agent, request } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { get, post, running } from "../support/running.ts"

/** The same nonsense each time (mulberry32). */
const chance = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

const requests = 10_000
const atOnce = 25

const ask = (
  agent: Agent,
  port: string,
  { body, headers, method, path }: { method: string; path: string; headers: Record<string, string>; body: Buffer }
) =>
  new Promise<{ status: number; text: string }>((resolve) => {
    // Node would send the body of a GET without saying how long it is.
    const framed = { ...headers, "content-length": String(body.length) }
    const sent = request({ agent, host: "127.0.0.1", port, method, path, headers: framed }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part
        // It has no end.
        if (path.startsWith("/api/admin/events")) response.destroy()
      })
      response.on("close", () => resolve({ status: response.statusCode ?? 0, text }))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }))
      response.on("error", () => resolve({ status: 0, text }))
    })
    // What Node's own client refuses to send is sent by hand below.
    sent.on("error", () => resolve({ status: 0, text: "" }))
    sent.end(body)
  })

const raw = (port: string, bytes: string) =>
  new Promise<string>((resolve) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes))
    let text = ""
    socket.on("data", (part) => (text += part.toString()))
    socket.on("error", () => resolve(text))
    socket.on("close", () => resolve(text))
    socket.setTimeout(15_000, () => socket.destroy())
  })

describe("malformed requests", () => {
  it.live(
    `${requests} of them get no 5xx, break nothing and leak nothing`,
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const port = new URL(server.url).port
        const password = readFileSync(join(server.folder, "console-password"), "utf8").trim()
        const login = yield* post(`${server.url}/api/admin/login`, { password })
        const cookie = (login.headers.get("set-cookie") ?? "").split(";")[0] ?? ""
        const session = { cookie, "x-csrf-token": String(login.json.csrf) }
        const { json: made } = yield* post(`${server.url}/api/admin/keys`, { name: "fuzz", role: "admin" }, session)
        const { json: api } = yield* get(`${server.url}/openapi.json`)
        const routes = Object.entries<object>(api.paths).flatMap(([path, methods]) =>
          Object.keys(methods).map((method) => [method.toUpperCase(), path] as const)
        )
        const secrets = [made.key, password, cookie.split("=")[1] ?? "", String(login.json.csrf)]

        const random = chance(20_261_121)
        const one = <A>(list: ReadonlyArray<A>): A => list[Math.floor(random() * list.length)] as A
        const bytes = (most: number) =>
          Buffer.from(Array.from({ length: Math.floor(random() * most) }, () => random() * 256))
        const junk: ReadonlyArray<unknown> = [
          null,
          true,
          false,
          0,
          -1,
          1e308,
          1.5,
          "",
          " ",
          "\u0000",
          "../../etc/passwd",
          "a".repeat(5_000),
          "💥",
          "\ud800",
          [],
          [[]],
          {},
          { a: { b: [1] } },
          { __proto__: null, constructor: 1 },
          "' OR 1=1 --",
          "<script>",
          "\r\nx: y"
        ]
        const fields = [
          "token",
          "name",
          "provider",
          "lease",
          "success",
          "outcome",
          "error",
          "id",
          "role",
          "models",
          "rpm",
          "priority",
          "expires_at",
          "password",
          "current",
          "model",
          "messages",
          "stream",
          "input",
          "kind",
          "refresh_token",
          "__proto__"
        ]
        const body = (): Buffer => {
          switch (Math.floor(random() * 6)) {
            case 0:
              return bytes(400)
            case 1:
              return Buffer.from(JSON.stringify(one(junk)))
            case 2:
              return Buffer.from(JSON.stringify({ model: "auto" }).slice(0, Math.floor(random() * 16)))
            case 3:
              return Buffer.from("[".repeat(Math.floor(random() * 20_000)))
            case 4:
              return Buffer.alloc(0)
            default:
              return Buffer.from(
                JSON.stringify(Object.fromEntries(Array.from({ length: 4 }, () => [one(fields), one(junk)])))
              )
          }
        }
        const query = () => {
          const values = [
            "",
            "..%2f..%2fetc%2fpasswd",
            "%00",
            "%",
            "%zz",
            "a/../b",
            "//",
            "%ff%fe",
            "x".repeat(3_000),
            "true",
            "best"
          ]
          const names = ["strategy", "provider", "folder", "realtime", "url", "account", "limit", "token"]
          const parts = Array.from({ length: Math.floor(random() * 3) }, () => `${one(names)}=${one(values)}`)
          return parts.length === 0 ? "" : `?${parts.join("&")}`
        }
        const ids = ["..", "%2e%2e%2f", "synthetic", "%00", "%", "a%2fb", "🙂".repeat(3), "-1", "x".repeat(2_000)]
        const next = () => {
          const [method, path] = one(routes)
          const filled = encodeURI(path.replace("{id}", () => one(ids))).replaceAll("%25", "%")
          return {
            method:
              random() < 0.9 ? method : one(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]),
            path: `${random() < 0.95 ? filled : `${filled}/../${one(ids)}`.replace(/[^\x21-\x7e]/g, "")}${query()}`,
            headers: {
              "content-type":
                random() < 0.8
                  ? "application/json"
                  : one(["text/plain", "multipart/form-data", "", "application/json;charset=utf-16"]),
              ...(random() < 0.95 && {
                authorization:
                  random() < 0.85
                    ? `Bearer ${made.key}`
                    : one(["Bearer", "Bearer  ", "Basic YTpi", `Bearer ${"x".repeat(3_000)}`])
              }),
              ...(random() < 0.2 && { cookie: one([cookie, "weirgate_session=%%%", "a=b; ;;=", "weirgate_session="]) }),
              ...(random() < 0.1 && { "x-weirgate-priority": one(["10", "-1", "NaN", ""]) }),
              ...(random() < 0.1 && { "x-weirgate-timeout": one(["-1", "1e99", "soon", "0"]) }),
              ...(random() < 0.1 && { origin: one(["null", "https://evil.example", "http://"]) }),
              ...(random() < 0.05 && { host: one(["evil.example", "", "127.0.0.1:99999", "[::1"]) })
            },
            body: body()
          }
        }

        const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
        const statuses = new Map<number, number>()
        yield* Effect.forEach(
          Array.from({ length: requests }, next),
          (wrong) =>
            Effect.promise(async () => {
              const { status, text } = await ask(agent, port, wrong)
              statuses.set(status, (statuses.get(status) ?? 0) + 1)
              const told = `${wrong.method} ${wrong.path.slice(0, 200)} ${wrong.body.toString("latin1").slice(0, 200)}`
              assert.isBelow(status, 500, `${told} → ${text.slice(0, 300)}`)
              assert.notMatch(text, /\n\s+at |node_modules|node:internal/, told)
              for (const secret of secrets) assert.isFalse(text.includes(secret) && !text.includes('"csrf"'), told)
            }),
          { concurrency: atOnce, discard: true }
        )
        agent.destroy()
        assert.isAtLeast(statuses.get(400) ?? 0, 1_000, JSON.stringify([...statuses]))
        // Only what Node's own client would not send.
        assert.isBelow(statuses.get(0) ?? 0, requests / 10, JSON.stringify([...statuses]))

        for (const nonsense of [
          "\0\0\0\r\n\r\n",
          "GET\r\n\r\n",
          "GET / HTTP/9.9\r\n\r\n",
          "GET /api/files HTTP/1.1\r\nhost: 127.0.0.1\r\nx: \u0000\r\n\r\n",
          `GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
          "POST /api/token/add HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
          "POST /api/token/add HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
          "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
          "GET http://evil.example/api/token/get HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
        ]) {
          const text = yield* Effect.promise(() => raw(port, nonsense))
          assert.match(text, /^HTTP\/1\.1 4\d\d /, JSON.stringify(nonsense.slice(0, 80)))
        }

        const large = yield* post(
          `${server.url}/api/token/add`,
          { token: "x".repeat(2_000_000) },
          { authorization: `Bearer ${made.key}` }
        )
        assert.strictEqual(large.status, 413)
        assert.strictEqual((yield* get(`${server.url}/healthz`)).status, 200)
        const chat = yield* post(
          `${server.url}/v1/chat/completions`,
          { model: "auto", messages: [{ role: "user", content: "hi" }] },
          { authorization: `Bearer ${made.key}` }
        )
        assert.strictEqual(chat.status, 200)
      }),
    120_000
  )
})
