/** Who may do what, over sockets: every route of the contract, asked with every kind of key. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Answer, get, post, running } from "../support/running.ts"

const administrator = Effect.fnUntraced(function* (server: { readonly url: string; readonly folder: string }) {
  const password = readFileSync(join(server.folder, "console-password"), "utf8").trim()
  const login = yield* post(`${server.url}/api/admin/login`, { password })
  assert.strictEqual(login.status, 200)
  const cookie = (login.headers.get("set-cookie") ?? "").split(";")[0] ?? ""
  return { cookie, csrf: String(login.json.csrf), login, password }
})

const send = (
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: unknown
): Effect.Effect<Pick<Answer, "status" | "text" | "json" | "headers">> =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const isEndless = response.headers.get("content-type")?.startsWith("text/event-stream") === true
    if (isEndless) await response.body?.cancel()
    const text = isEndless ? "" : await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
  })

const roles = ["inference", "token", "admin"] as const
const everyone = ["none", "wrong", ...roles, "expired", "revoked"] as const

/** Who may reach which group of routes. */
const may = {
  open: everyone,
  models: ["inference", "admin"],
  tokens: ["token", "admin"],
  drive: ["inference", "token", "admin"],
  admin: ["admin"]
} as const

/** Every route of the contract: who may reach it, and a request that changes nothing. */
const routes: Readonly<Record<string, readonly [keyof typeof may, body?: object]>> = {
  "POST /v1/chat/completions": ["models", {}],
  "POST /v1/completions": ["models", {}],
  "POST /v1/embeddings": ["models", {}],
  "POST /v1/responses": ["models", {}],
  "GET /v1/models": ["models"],
  "GET /v1/performance": ["models"],
  "GET /api/token/get": ["tokens"],
  "POST /api/token/add": ["tokens", {}],
  "DELETE /api/token/remove": ["tokens", {}],
  "POST /api/token/report": ["tokens", {}],
  "GET /api/token/stats": ["tokens"],
  "GET /api/folders": ["drive"],
  "GET /api/files": ["drive"],
  "GET /api/download/": ["drive"],
  "POST /api/admin/login": ["open", {}],
  "GET /api/admin/session": ["open"],
  "POST /api/admin/logout": ["admin"],
  "PUT /api/admin/password": ["admin", {}],
  "GET /api/admin/keys": ["admin"],
  "POST /api/admin/keys": ["admin", {}],
  "DELETE /api/admin/keys/{id}": ["admin"],
  "GET /api/admin/alerts": ["admin"],
  "GET /api/admin/audit": ["admin"],
  "GET /api/admin/checks": ["admin"],
  "POST /api/admin/tokens/{id}/check": ["admin"],
  "POST /api/admin/tokens/{id}/disable": ["admin"],
  "POST /api/admin/tokens/{id}/enable": ["admin"],
  "POST /api/admin/tokens/{id}/reset": ["admin"],
  "GET /api/admin/providers": ["admin"],
  "GET /api/admin/routes": ["admin"],
  "POST /api/admin/providers/{name}/pause": ["admin"],
  "POST /api/admin/providers/{name}/resume": ["admin"],
  "POST /api/admin/providers/{name}/reset": ["admin"],
  "GET /api/admin/requests/{id}": ["models"],
  "GET /api/admin/overview": ["admin"],
  "GET /api/admin/events": ["admin"],
  "GET /api/admin/tokens": ["admin"],
  "POST /api/admin/tokens": ["admin", {}],
  "POST /api/admin/tokens/import": ["admin", {}],
  "DELETE /api/admin/tokens/{id}": ["admin"],
  "GET /api/admin/decisions": ["admin"],
  "GET /api/admin/requests": ["admin"],
  "GET /health": ["open"],
  "GET /healthz": ["open"],
  "GET /readyz": ["open"]
}

const headersOf = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` }

describe("access", () => {
  it.live(
    "each route lets in those who may, and refuses all others with 401 or 403",
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const { cookie, csrf } = yield* administrator(server)
        const session = { cookie, "x-csrf-token": csrf }
        const make = (body: object) =>
          Effect.map(send(`${server.url}/api/admin/keys`, "POST", session, body), ({ json, status }) => {
            assert.strictEqual(status, 200, JSON.stringify(json))
            return { key: String(json.key), id: String(json.id) }
          })
        const keys: Record<string, string | undefined> = { wrong: `wg-${"synthetic".repeat(5)}` }
        for (const role of roles) keys[role] = (yield* make({ name: role, role })).key
        const soon = Date.now() + 300
        keys["expired"] = (yield* make({ name: "expired", role: "admin", expires_at: soon })).key
        const revoked = yield* make({ name: "revoked", role: "admin" })
        keys["revoked"] = revoked.key
        assert.strictEqual((yield* send(`${server.url}/api/admin/keys/${revoked.id}`, "DELETE", session)).status, 200)
        yield* Effect.sleep("400 millis")

        const { json } = yield* get(`${server.url}/openapi.json`)
        const described = Object.entries<object>(json.paths).flatMap(([path, methods]) =>
          Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
        )
        assert.sameMembers(described, Object.keys(routes), "a route is missing in this table, or in the contract")

        for (const [route, [group, body]] of Object.entries(routes)) {
          const [method = "", path = ""] = route.split(" ")
          const url = `${server.url}${path.replace(/\{\w+\}/u, "synthetic")}`
          for (const who of everyone) {
            const { json, status } = yield* send(url, method, headersOf(keys[who]), body)
            const told = `${who} at ${route}: ${status} ${JSON.stringify(json)}`
            const isKnown = roles.some((role) => role === who)
            if (may[group].some((allowed) => allowed === who)) assert.notInclude([401, 403], status, told)
            else assert.strictEqual(status, isKnown ? 403 : 401, told)
            if (status >= 400) assert.isNotEmpty(json?.error?.message ?? json?.error, told)
            assert.isBelow(status, 500, told)
          }
          const foreign = yield* send(url, method, { cookie }, body)
          if (method !== "GET" && group !== "open" && group !== "models") {
            assert.strictEqual(foreign.status, 403, `${route} without the session's token`)
          }
        }
      }),
    60_000
  )

  it.live(
    "nothing but the page of the documentation may be kept by a browser or a proxy, however its path is spelled",
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const { cookie } = yield* administrator(server)
        for (const path of ["/api/token/get", "/API/token/get", "//api/token/get", "/%61pi/token/get", "/v1/models"]) {
          const { headers, status } = yield* get(`${server.url}${path}`, { cookie })
          assert.strictEqual(status, 200, path)
          assert.strictEqual(headers.get("cache-control"), "no-store", path)
        }
        assert.isNull((yield* get(`${server.url}/docs`)).headers.get("cache-control"))
      })
  )

  it.live("asking models needs no key until the first one is made, and ever after", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf } = yield* administrator(server)
      assert.strictEqual((yield* server.chat("hi")).status, 200)
      const session = { cookie, "x-csrf-token": csrf }
      const made = yield* send(`${server.url}/api/admin/keys`, "POST", session, { name: "alice", role: "inference" })
      assert.match(made.json.key, /^wg-[A-Za-z0-9]{40,}$/)
      assert.strictEqual((yield* server.chat("hi")).status, 401)
      const chat = { model: "auto", messages: [{ role: "user", content: "hi" }] }
      const asAlice = headersOf(made.json.key)
      assert.strictEqual((yield* post(`${server.url}/v1/chat/completions`, chat, asAlice)).status, 200)
      assert.strictEqual((yield* send(`${server.url}/api/admin/keys/alice`, "DELETE", session)).status, 200)
      const { json, status } = yield* post(`${server.url}/v1/chat/completions`, chat, asAlice)
      assert.strictEqual(status, 401)
      assert.strictEqual(json.error.message, "this API key was revoked")
      assert.strictEqual((yield* server.chat("hi")).status, 401)
    })
  )

  it.live("a key is made to expire at a time to come that a date can tell", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf } = yield* administrator(server)
      const make = (name: string, expires_at: number) =>
        send(
          `${server.url}/api/admin/keys`,
          "POST",
          { cookie, "x-csrf-token": csrf },
          { name, role: "token", expires_at }
        )
      for (const wrong of [1, Date.now() - 1_000, 1e300, 8.64e15 + 1, Date.now() + 100_000.5]) {
        const { json, status } = yield* make("ada", wrong)
        assert.strictEqual(status, 400, String(wrong))
        assert.strictEqual(json.error.param, "expires_at")
      }
      assert.strictEqual((yield* make("ada", 8.64e15)).status, 200)
    })
  )

  it.live("a key is held to its models and to its requests a minute", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf } = yield* administrator(server)
      const narrow = { name: "narrow", role: "inference", models: ["claude-4-sonnet"], rpm: 3 }
      const { json: made } = yield* send(
        `${server.url}/api/admin/keys`,
        "POST",
        { cookie, "x-csrf-token": csrf },
        narrow
      )
      const headers = headersOf(made.key)
      const ask = (model: string) =>
        post(`${server.url}/v1/chat/completions`, { model, messages: [{ role: "user", content: "hi" }] }, headers)
      const other = yield* ask("gpt-5")
      assert.strictEqual(other.status, 403)
      assert.strictEqual(other.json.error.code, "model_not_allowed")
      const { json: list } = yield* get(`${server.url}/v1/models`, headers)
      assert.deepStrictEqual(
        list.data.map(({ id }: { id: string }) => id),
        ["claude-4-sonnet"]
      )
      assert.strictEqual((yield* ask("claude-4-sonnet")).status, 200)
      const limited = yield* ask("claude-4-sonnet")
      assert.strictEqual(limited.status, 429)
      assert.strictEqual(limited.json.error.code, "key_rate_limited")
      assert.isAtMost(Number(limited.headers.get("retry-after")), 60)
    })
  )

  it.live("a session is a cookie that scripts and other sites cannot use", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf, login } = yield* administrator(server)
      const set = login.headers.get("set-cookie") ?? ""
      for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/"]) assert.include(set, attribute)
      assert.notInclude(login.text, cookie.split("=")[1] ?? "")
      const url = `${server.url}/api/admin/keys`
      const body = { name: "alice", role: "inference" }
      const posted = (headers: Record<string, string>) =>
        Effect.map(send(url, "POST", headers, body), ({ status }) => status)
      assert.strictEqual(yield* posted({ cookie }), 403)
      assert.strictEqual(yield* posted({ cookie, "x-csrf-token": csrf, origin: "https://evil.example" }), 403)
      assert.strictEqual(yield* posted({ cookie, "x-csrf-token": csrf, "sec-fetch-site": "cross-site" }), 403)
      assert.strictEqual(yield* posted({ cookie, "x-csrf-token": csrf, origin: "null" }), 403)
      assert.strictEqual(yield* posted({ cookie, "x-csrf-token": csrf, origin: server.url }), 200)
      const form = yield* Effect.promise(() =>
        fetch(`${server.url}/api/admin/login`, { method: "POST", body: new URLSearchParams({ password: "synthetic" }) })
      )
      assert.strictEqual(form.status, 415)
      for (const type of ["application/json-patch", "application/vnd.synthetic+json", "application/jsonx"]) {
        const other = yield* post(url, body, { cookie, "x-csrf-token": csrf, "content-type": type })
        assert.strictEqual(other.status, 415, type)
        assert.strictEqual(other.json?.error.message, "the body must be application/json", type)
      }
      assert.strictEqual(
        (yield* send(`${server.url}/api/admin/logout`, "POST", { cookie, "x-csrf-token": csrf })).status,
        200
      )
      assert.strictEqual((yield* get(`${server.url}/api/admin/keys`, { cookie })).status, 401)
      assert.isNull((yield* get(`${server.url}/api/admin/session`, { cookie })).json)
    })
  )

  it.live("guessing the password is slowed, and kept in the audit log with its address, which it cannot fill", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, password } = yield* administrator(server)
      const statuses: Array<number> = []
      for (let n = 0; n < 12; n++) {
        const { headers, status } = yield* post(`${server.url}/api/admin/login`, { password: `synthetic guess ${n}` })
        statuses.push(status)
        if (status === 429) assert.isAtLeast(Number(headers.get("retry-after")), 1)
      }
      assert.deepStrictEqual([...new Set(statuses)], [401, 429])
      assert.isAtMost(statuses.filter((status) => status === 401).length, 7)
      // Not even the right one, until the wait is over.
      statuses.push((yield* post(`${server.url}/api/admin/login`, { password })).status)
      assert.strictEqual(statuses.at(-1), 429)
      const { json } = yield* get(`${server.url}/api/admin/audit`, { cookie })
      const refused = json.entries.filter(({ result }: { result: string }) => result === "refused")
      // Each guess that was compared, and of those that were not the first in a row.
      const kept = statuses.filter((status, i) => status === 401 || statuses[i - 1] === 401)
      assert.strictEqual(refused.length, kept.length)
      assert.deepInclude(refused[0], { actor: "console", action: "login", address: "127.0.0.1" })
      assert.notInclude(JSON.stringify(json), "synthetic guess")
    })
  )

  it.live("the audit log holds no key, also when one is revoked by showing it", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf } = yield* administrator(server)
      const session = { cookie, "x-csrf-token": csrf }
      const { json: made } = yield* send(`${server.url}/api/admin/keys`, "POST", session, {
        name: "alice",
        role: "inference"
      })
      const strange = `wg-synthetc${"x".repeat(40)}`
      assert.strictEqual((yield* send(`${server.url}/api/admin/keys/${strange}`, "DELETE", session)).status, 404)
      assert.strictEqual((yield* send(`${server.url}/api/admin/keys/${made.key}`, "DELETE", session)).status, 200)
      const { json, text } = yield* get(`${server.url}/api/admin/audit`, { cookie })
      assert.deepInclude(json.entries[0], { action: "key.revoke", subject: `alice (${made.id})`, result: "done" })
      assert.notInclude(text, made.key)
      assert.notInclude(text, strange)
    })
  )

  it.live("changing the password ends all sessions, and needs the old one", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const { cookie, csrf, password } = yield* administrator(server)
      const change = (current: string, next: string) =>
        send(`${server.url}/api/admin/password`, "PUT", { cookie, "x-csrf-token": csrf }, { current, password: next })
      assert.strictEqual((yield* change("synthetic wrong", "synthetic new password")).status, 401)
      assert.strictEqual((yield* change(password, "short")).status, 400)
      assert.strictEqual((yield* change(password, "synthetic new password")).status, 200)
      assert.strictEqual((yield* get(`${server.url}/api/admin/keys`, { cookie })).status, 401)
      assert.isNull((yield* get(`${server.url}/api/admin/session`, { cookie })).json)
      const again = yield* post(`${server.url}/api/admin/login`, { password: "synthetic new password" })
      assert.strictEqual(again.status, 200)
    })
  )
})
