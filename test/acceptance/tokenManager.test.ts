/** D4's token manager as its users call it, over sockets, and over restarts of the process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Answer, get, running } from "../support/running.ts"
import { eventually, keyOf, sandboxAt, send, staged } from "../support/staged.ts"

/** The routes, as a client with that key calls them. */
const managerAt = (server: string, headers: Readonly<Record<string, string>>) => {
  const url = `${server}/api/token`
  return {
    get: (query = "") => get(`${url}/get${query}`, headers),
    add: (body: unknown) => send(`${url}/add`, "POST", headers, body),
    remove: (body: unknown) => send(`${url}/remove`, "DELETE", headers, body),
    report: (body: unknown) => send(`${url}/report`, "POST", headers, body),
    stats: Effect.map(get(`${url}/stats`, headers), ({ json }) => json.data),
    /** Of the token of that name. */
    of: (name: string) =>
      Effect.map(get(`${url}/stats`, headers), ({ json }) =>
        json.data.tokens.find((token: { name: string }) => token.name === name)
      )
  }
}
type Manager = ReturnType<typeof managerAt>

const manager = Effect.fnUntraced(function* (role: "token" | "admin" = "token") {
  const server = yield* running()
  return { ...managerAt(server.url, yield* keyOf(server, role)), server, sandbox: sandboxAt(server.sandbox) }
})

const told = ({ json, status }: Answer) => `${status} ${JSON.stringify(json)}`

/** D4's frame around an error: its code is the status. */
const refused = (answer: Answer, status: number, type: string, param: string | null) => {
  assert.strictEqual(answer.status, status, told(answer))
  assert.deepInclude(answer.json, { code: status, success: false, type, param }, told(answer))
  assert.isNotEmpty(answer.json.error)
}

const done = (answer: Answer) => {
  assert.strictEqual(answer.status, 200, told(answer))
  assert.deepInclude(answer.json, { code: 200, success: true })
  return answer.json.data
}

/** Lends until it is that one. */
const lendOf = (tokens: Pick<Manager, "get">, name: string) =>
  Effect.map(
    eventually(tokens.get(), ({ json }) => json.data.name === name, `never ${name}`),
    ({ json }) => json.data
  )

describe("the token manager", () => {
  it.live("get lends in turn, or the better one, with the fields that D4 names and a lease", () =>
    Effect.gen(function* () {
      const { get, report, sandbox } = yield* manager()
      const { tokens } = (yield* sandbox.credentials).wopan
      const secretOf: Record<string, string> = {
        "sandbox-1": tokens[0].accessToken,
        "sandbox-2": tokens[1].accessToken
      }
      const lent = []
      for (const query of ["", "?strategy=round_robin", "?provider=wopan", "?strategy=round_robin&provider=wopan"]) {
        const data = done(yield* get(query))
        assert.hasAllKeys(data, ["token", "name", "id", "provider", "lease", "lease_expires_at", "expires_at"])
        assert.strictEqual(data.token, secretOf[data.name])
        assert.strictEqual(data.provider, "wopan")
        assert.isAbove(Date.parse(data.lease_expires_at), Date.now())
        assert.isAbove(Date.parse(data.expires_at), Date.now())
        lent.push(data)
      }
      const [first, second] = lent.map(({ name }) => name)
      assert.sameMembers([first, second], ["sandbox-1", "sandbox-2"])
      assert.deepStrictEqual(
        lent.map(({ name }) => name),
        [first, second, first, second]
      )
      assert.strictEqual(new Set(lent.map(({ lease }) => lease)).size, 4)

      for (const { lease, name } of lent) done(yield* report({ lease, success: name === "sandbox-2" }))
      for (let n = 0; n < 4; n++) {
        const { lease, name } = done(yield* get("?strategy=best"))
        assert.strictEqual(name, "sandbox-2", "the one that fails is the worse one")
        done(yield* report({ lease, success: true }))
      }

      refused(yield* get("?strategy=random"), 400, "invalid_request_error", "strategy")
      refused(yield* get("?provider=nowhere"), 404, "provider_unknown", "provider")
      refused(yield* get("?provider=NO%20NAME"), 400, "invalid_request_error", "provider")
    })
  )

  it.live("add takes a token once, remove takes it away once, and what is wrong is named by its field", () =>
    Effect.gen(function* () {
      const { add, get, of, remove, report, stats } = yield* manager()
      const token = "synthetic-token-of-a-third-account"
      const added = done(yield* add({ token, name: "账号 三" }))
      assert.deepInclude(added, { name: "账号 三", provider: "wopan" })
      assert.isString(added.id)
      refused(yield* add({ token, name: "another name" }), 409, "token_held", "token")
      refused(yield* add({ token: `${token}-too`, name: "账号 三" }), 409, "name_taken", "name")
      assert.match(done(yield* add({ token: `${token}-too` })).name, /^Token-\d+$/)
      assert.deepInclude(yield* stats, { total_tokens: 4, active_tokens: 4 })
      assert.deepInclude(yield* of("账号 三"), { is_active: true, success_rate: 100, success_count: 0, error_count: 0 })

      const bad: ReadonlyArray<readonly [body: unknown, param: string | null]> = [
        [{}, "token"],
        [{ token: "" }, "token"],
        [{ token: 17 }, "token"],
        [{ token: "with a space" }, "token"],
        [{ token: "synthetic\r\nx-injected: 1" }, "token"],
        [{ token: "synthetic-x", name: "" }, "name"],
        [{ token: "synthetic-x", name: "a\u0000b" }, "name"],
        [{ token: "synthetic-x", kind: "stolen" }, "kind"],
        [{ token: "synthetic-x", provider: "../etc" }, "provider"],
        [{ token: "synthetic-x", refresh_token: "" }, "refresh_token"],
        [{ token: "synthetic-x", expires_at: "tomorrow" }, "expires_at"],
        ["{", null]
      ]
      for (const [body, param] of bad) {
        const answer = yield* add(body)
        refused(answer, 400, "invalid_request_error", param)
        if (param !== null) assert.include(answer.json.error, param)
      }
      refused(yield* add({ token: "synthetic-x", provider: "nowhere" }), 404, "provider_unknown", "provider")
      assert.strictEqual((yield* stats).total_tokens, 4, "nothing of what was refused is held")

      assert.deepInclude(done(yield* remove({ token })), { name: "账号 三", provider: "wopan" })
      refused(yield* remove({ token }), 404, "token_unknown", null)
      refused(yield* remove({ name: "账号 三" }), 404, "token_unknown", null)
      refused(yield* remove({}), 400, "invalid_request_error", "token")
      refused(yield* remove({ token, name: "sandbox-1" }), 400, "invalid_request_error", "token")
      const lent = done(yield* get())
      for (const { name, token: id } of (yield* stats).tokens)
        assert.strictEqual(done(yield* remove({ id })).name, name)
      assert.deepInclude(yield* stats, { total_tokens: 0, active_tokens: 0, overall_success_rate: 100, tokens: [] })
      refused(yield* get(), 404, "no_token", null)
      refused(yield* report({ lease: lent.lease, success: true }), 404, "token_unknown", null)
    })
  )

  it.live("report counts a lease once, and finds it by its token for clients that know nothing of leases", () =>
    Effect.gen(function* () {
      const { get, of, report, server, stats } = yield* manager()
      const before = yield* stats
      const a = done(yield* get())
      assert.deepInclude(yield* of(a.name), { leased: 1 })
      const taken = done(yield* report({ lease: a.lease, success: true }))
      assert.deepInclude(taken, { name: a.name, id: a.id, provider: "wopan", state: "active" })
      refused(yield* report({ lease: a.lease, success: true }), 409, "lease_reported", "lease")
      refused(yield* report({ token: a.token, success: true }), 409, "lease_none", "token")

      // As D4's clients do it.
      const b = done(yield* get())
      done(yield* report({ token: b.token, success: false, error: `it answered 500 to ${b.token}` }))
      refused(yield* report({ lease: b.lease, success: true }), 409, "lease_reported", "lease")
      refused(yield* report({ token: b.token, success: false, error: null }), 409, "lease_none", "token")

      const c = done(yield* get())
      const other = managerAt(server.url, yield* keyOf(server, "token", "someone-else"))
      refused(yield* other.report({ lease: c.lease, success: false }), 404, "lease_unknown", "lease")
      refused(yield* other.report({ token: c.token, success: false }), 409, "lease_none", "token")
      refused(yield* report({ lease: `${c.lease}x`, success: true }), 404, "lease_unknown", "lease")
      refused(yield* report({ lease: "synthetic", success: true }), 404, "lease_unknown", "lease")
      refused(yield* report({ token: "synthetic-unknown", success: true }), 404, "token_unknown", null)
      refused(yield* report({ success: true }), 400, "invalid_request_error", "lease")
      refused(yield* report({ lease: c.lease }), 400, "invalid_request_error", "success")
      refused(yield* report({ lease: c.lease, success: "yes" }), 400, "invalid_request_error", "success")
      const outcome = "rate_limited"
      refused(yield* report({ lease: c.lease, success: true, outcome }), 400, "invalid_request_error", "outcome")
      refused(
        yield* report({ lease: c.lease, success: false, outcome, retry_after: -1 }),
        400,
        "invalid_request_error",
        "retry_after"
      )
      const limited = done(yield* report({ lease: c.lease, success: false, outcome, retry_after: 600 }))
      assert.deepInclude(limited, { name: c.name, state: "cooling" })
      assert.deepInclude(yield* of(c.name), { is_active: false, state: "cooling" })
      assert.notStrictEqual(done(yield* get()).name, c.name)

      const after = yield* stats
      assert.deepInclude(after, {
        total_requests: before.total_requests + 3,
        total_success: before.total_success + 1,
        total_errors: before.total_errors + 2,
        active_tokens: 1
      })
      const rate = (100 * after.total_success) / after.total_requests
      assert.approximately(after.overall_success_rate, rate, 0.01)
      const failed = yield* of(b.name)
      assert.match(failed.last_error, /^withheld/, "what quotes the token is not kept")
      assert.isAtLeast(Date.parse(failed.last_used), Date.now() - 60_000)
    })
  )

  it.live("a lease counts once also when it is reported ten times at the same time", () =>
    Effect.gen(function* () {
      const { get, report, stats } = yield* manager()
      const before = yield* stats
      const { lease } = done(yield* get())
      const answers = yield* Effect.all(
        Array.from({ length: 10 }, () => report({ lease, success: false })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array<number>(9).fill(409)])
      assert.strictEqual((yield* stats).total_errors, before.total_errors + 1)
    })
  )

  it.live("no answer but that of get ever holds a secret", () =>
    Effect.gen(function* () {
      const { add, get: lend, remove, report, sandbox, server } = yield* manager("admin")
      const credentials = yield* sandbox.credentials
      const secrets: Array<string> = credentials.wopan.tokens.flatMap(
        ({ accessToken, refreshToken }: { accessToken: string; refreshToken: string }) => [accessToken, refreshToken]
      )
      const { clientSecret, iv } = credentials.wopan
      const own = { token: "synthetic-token-of-a-third-account", refresh_token: "synthetic-refresh-of-a-third-account" }
      secrets.push(clientSecret, iv, ...Object.values(own))
      for (const secret of secrets) assert.isAtLeast(secret.length, 16)
      const headers = yield* keyOf(server, "admin", "reader")

      const answers: Array<Answer> = []
      const heard = (answer: Answer) => (answers.push(answer), answer)
      heard(yield* add(own))
      heard(yield* add(own))
      heard(yield* add({ ...own, expires_at: own.token }))
      heard(yield* add({ ...own, kind: own.token }))
      heard(yield* add(JSON.stringify(own).slice(0, -1)))
      const lent = []
      for (let n = 0; n < 6; n++) lent.push(done(yield* lend()))
      for (const { lease, token } of lent) {
        heard(yield* report({ lease, success: false, error: `Accesstoken: ${token}; secret ${own.refresh_token}` }))
        heard(yield* report({ token, success: false, outcome: token, error: token }))
      }
      for (const path of [
        "/api/token/stats",
        "/api/admin/audit",
        "/api/admin/checks",
        "/api/folders",
        "/api/files?realtime=true",
        "/metrics",
        "/readyz",
        "/health",
        `/api/token/get?strategy=${own.token}`
      ])
        heard(yield* get(server.url + path, headers))
      heard(yield* remove({ token: own.token }))
      heard(yield* remove({ token: own.token }))
      for (const { status, text } of answers) {
        assert.isBelow(status, 500, text)
        for (const secret of secrets) assert.isFalse(text.includes(secret), `${secret.slice(0, 4)}… in ${text}`)
      }
    })
  )

  it.live(
    "statistics, states and leases survive a restart, and a kill",
    () =>
      Effect.gen(function* () {
        const { folder, server } = yield* staged({ pool: { disableFor: { base: "1 hour", max: "1 hour" } } })
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const { signal, ...at } = yield* server
            const headers = yield* keyOf(at, "admin")
            const tokens = managerAt(at.url, headers)
            for (let n = 0; n < 3; n++) {
              done(yield* tokens.report({ lease: (yield* lendOf(tokens, "sandbox-2")).lease, success: true }))
            }
            const open = yield* lendOf(tokens, "sandbox-2")
            const reported = yield* lendOf(tokens, "sandbox-2")
            done(yield* tokens.report({ lease: reported.lease, success: true }))
            const left = yield* tokens.of("sandbox-2")
            assert.deepInclude(left, { success_count: 4, error_count: 0, state: "active" })
            assert.strictEqual(yield* signal("SIGTERM"), 0)
            return { headers, open, reported, left }
          })
        )
        const second = yield* Effect.scoped(
          Effect.gen(function* () {
            const { signal, url } = yield* server
            const tokens = managerAt(url, first.headers)
            const found = yield* tokens.of("sandbox-2")
            assert.deepEqual(lasting(found), lasting(first.left))
            assert.isAtLeast(Date.parse(found.last_used), Date.parse(first.left.last_used))
            const { lease } = first.reported
            refused(yield* tokens.report({ lease, success: true }), 409, "lease_reported", "lease")
            done(yield* tokens.report({ lease: first.open.lease, success: true }))
            refused(yield* tokens.report({ lease: first.open.lease, success: true }), 409, "lease_reported", "lease")
            assert.deepInclude(yield* tokens.of("sandbox-2"), { success_count: 5 })
            const open = yield* lendOf(tokens, "sandbox-1")
            for (let errors = 0; (yield* tokens.of("sandbox-2")).state === "active"; errors++) {
              assert.isBelow(errors, 8, "it is never disabled")
              const { lease } = yield* lendOf(tokens, "sandbox-2")
              done(yield* tokens.report({ lease, success: false, error: "it answered 500" }))
            }
            const left = yield* tokens.of("sandbox-2")
            assert.deepInclude(left, { is_active: false, state: "disabled", last_error: "it answered 500" })
            // Written as soon as the store takes it, for which the report does not wait.
            const isDisabled = (records: ReadonlyArray<string>) => records.some((text) => text.includes('"disabled"'))
            yield* eventually(stored(folder), isDisabled, "what is stored")
            yield* signal("SIGKILL")
            return { open, left }
          })
        )
        const { url } = yield* server
        const tokens = managerAt(url, first.headers)
        assert.deepEqual(lasting(yield* tokens.of("sandbox-2")), lasting(second.left))
        for (let n = 0; n < 4; n++) assert.strictEqual(done(yield* tokens.get()).name, "sandbox-1")
        refused(yield* tokens.report({ lease: first.open.lease, success: true }), 409, "lease_reported", "lease")
        const before = yield* tokens.of("sandbox-1")
        done(yield* tokens.report({ lease: second.open.lease, success: false }))
        assert.strictEqual((yield* tokens.of("sandbox-1")).error_count, before.error_count + 1)
        refused(yield* tokens.report({ lease: second.open.lease, success: false }), 409, "lease_reported", "lease")
      }),
    60_000
  )
})

/** Of a token's statistics, what neither the checks of a new process nor what it gives back of the old one's may change. */
const lasting = ({ error_count, is_active, last_error, state, success_count, success_rate, token }: Token) => {
  return { error_count, is_active, last_error, state, success_count, success_rate, token }
}
type Token = Record<
  "error_count" | "is_active" | "last_error" | "state" | "success_count" | "success_rate" | "token",
  unknown
>

/** The records of the tokens, as they are on the disk. */
const stored = (folder: string) =>
  Effect.sync(() => {
    const db = new DatabaseSync(join(folder, "sandbox.db"), { readOnly: true })
    const rows = db.prepare("SELECT value FROM record WHERE collection = 'token'").all()
    db.close()
    return rows.map(({ value }) => String(value))
  })
