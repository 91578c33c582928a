/** Keys, sessions, passwords and the drive's tokens: they are where they are meant to be, and nowhere else. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { type Answer, get, post, temporaryFolder } from "../support/running.ts"
import { eventually, login, sandboxAt, send } from "../support/staged.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const imported = {
  tokens: [
    { token: "synthetic-imported-token-A", name: "imported-a", is_active: true },
    { token: "synthetic-imported-token-B", name: "imported-b", is_active: false }
  ]
}

describe("secrets of the services", () => {
  it.live(
    "are in no log, metric, error, answer or file but those that are meant to hold them",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const outside = yield* temporaryFolder
        const [port, sandboxPort] = [yield* freePort, yield* freePort]
        const [url, sandboxUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sandboxPort}`]
        const env = { WEIRGATE_DATA: folder, WEIRGATE_PORT: String(port), WEIRGATE_SANDBOX_PORT: String(sandboxPort) }
        const server = yield* started(["serve", "--log-level", "all"], env)
        yield* ready(server, `${url}/readyz`)
        yield* eventually(Effect.sync(server.output), (output) => /Self-test . Server/.test(output), "the self-test")
        const sandbox = sandboxAt(sandboxUrl)
        /** By what they are called here; no test prints one whole. */
        const secrets = new Map<string, string>()
        const answers: Array<string> = []
        const printed: Array<string> = []
        const hear = (answer: Answer) => {
          answers.push([...answer.headers, answer.text].join("\n"))
          return answer
        }
        const heard = (asked: Effect.Effect<Answer>) => Effect.map(asked, hear)
        const weirgate = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const child = yield* started(args, env)
          const code = yield* child.exited
          return { code, stdout: child.stdout(), output: child.output() }
        })

        // The console: its password, a wrong one, its sessions, and another password.
        const session = yield* login({ url, folder })
        secrets.set("console password", session.password)
        secrets.set("session", session.cookie.split("=")[1] ?? "")
        secrets.set("csrf token", session.csrf)
        secrets.set("wrong password", "synthetic-wrong-password")
        yield* heard(post(`${url}/api/admin/login`, { password: secrets.get("wrong password") }))
        yield* heard(send(`${url}/api/admin/keys`, "POST", { cookie: session.cookie }, { name: "x", role: "admin" }))
        const forged = { cookie: session.cookie, "x-csrf-token": `${session.csrf}x` }
        yield* heard(send(`${url}/api/admin/keys`, "POST", forged, { name: "x", role: "admin" }))

        // Keys: one made over HTTP, one by the command, one that is wrong.
        const make = { name: "made", role: "admin" }
        const made = yield* send(`${url}/api/admin/keys`, "POST", session.headers, make)
        secrets.set("key", made.json.key)
        const command = yield* weirgate("key", "create", "--name", "commanded", "--role", "token")
        assert.strictEqual(command.code, 0, command.output)
        secrets.set("key of the command", command.stdout.trim())
        secrets.set("unknown key", `wg-${"synthetic".repeat(5)}`)
        const admin = { authorization: `Bearer ${made.json.key}` }
        yield* heard(get(`${url}/api/admin/keys`, { authorization: `Bearer ${secrets.get("unknown key")}` }))
        yield* heard(get(`${url}/api/admin/keys`, admin))
        printed.push((yield* weirgate("key", "list")).output)

        // The drive's tokens, renewed once each, imported, added, reported, removed.
        const { clientSecret, iv, tokens } = (yield* sandbox.credentials).wopan
        secrets.set("client secret", clientSecret)
        secrets.set("iv", iv)
        tokens.forEach(({ accessToken, refreshToken }: Record<string, string>, i: number) => {
          secrets.set(`access secret ${i}`, accessToken ?? "")
          secrets.set(`refresh secret ${i}`, refreshToken ?? "")
        })
        for (const { name, token } of imported.tokens) secrets.set(name, token)
        writeFileSync(join(outside, "tokens.json"), JSON.stringify(imported))
        printed.push((yield* weirgate("token", "import", join(outside, "tokens.json"))).output)
        assert.include(printed.at(-1), "2")
        printed.push((yield* weirgate("token", "import", join(outside, "tokens.json"))).output)
        writeFileSync(join(outside, "bad.json"), JSON.stringify(imported).replace(/"name/, '"nome'))
        printed.push((yield* weirgate("token", "import", join(outside, "bad.json"))).output)
        const own = { token: "synthetic-added-token", refresh_token: "synthetic-added-refresh", name: "added" }
        secrets.set("added", own.token).set("added refresh", own.refresh_token)
        const tokenApi = (method: string, path: string, body: unknown) =>
          heard(send(`${url}/api/token/${path}`, method, admin, body))
        yield* tokenApi("POST", "add", own)
        yield* tokenApi("POST", "add", own)
        yield* tokenApi("POST", "add", { ...own, expires_at: own.token })
        yield* tokenApi("POST", "add", JSON.stringify(own).slice(0, -1))
        for (const account of ["account-1", "account-2"]) {
          yield* sandbox.expire(account)
          const name = account.replace("account", "sandbox")
          const { status } = yield* heard(get(`${url}/api/files?realtime=true&account=${name}`, admin))
          assert.strictEqual(status, 200)
        }
        const faults = [
          "server_error",
          "html",
          "malformed",
          "bad_cipher",
          "not_logged_in",
          "rsp_code",
          "rate_limit",
          "reset"
        ]
        for (const kind of faults) {
          yield* sandbox.faults(
            ...["list", "user", "download"].map((call) => ({ provider: "wopan", call, kind, times: 2 }))
          )
          yield* heard(get(`${url}/api/files?folder=empty&realtime=true`, admin))
          yield* heard(get(`${url}/api/download/?url=documents/nothing`, admin))
        }
        yield* sandbox.faults()
        // What the faults have taken out of use comes back: a person says so.
        const { tokens: held } = (yield* get(`${url}/api/token/stats`, admin)).json.data
        for (const { token: id } of held) yield* heard(send(`${url}/api/admin/tokens/${id}/reset`, "POST", admin, {}))
        const lent: Array<{ readonly lease: string; readonly token: string; readonly name: string }> = []
        for (let n = 0; n < 6; n++) {
          const { json, status } = yield* get(`${url}/api/token/get`, admin)
          if (status === 200) lent.push(json.data)
        }
        assert.isNotEmpty(lent)
        for (const { lease, name, token } of lent) {
          secrets.set(`lease of ${name}`, lease).set(`token of ${name}`, token)
          const error = `401 with Accesstoken ${token}, authorization ${admin.authorization}`
          yield* tokenApi("POST", "report", { lease, success: false, error })
          yield* tokenApi("POST", "report", { token, success: false, error })
        }
        const download = yield* get(`${url}/api/download/?url=readme.txt`, admin)
        assert.strictEqual(download.status, 200, download.text)
        secrets.set("signed address", new URL(download.json.url).searchParams.get("fid") ?? "")

        // All that may be looked at, and some that is not there.
        for (const path of [
          "/metrics",
          "/readyz",
          "/health",
          "/openapi.json",
          "/v1/performance",
          "/v1/models",
          "/api/token/stats",
          "/api/admin/audit?limit=1000",
          "/api/admin/checks?limit=1000",
          "/api/admin/session",
          "/api/folders",
          `/api/token/get?strategy=${own.token}`
        ])
          yield* heard(get(url + path, admin))
        yield* tokenApi("DELETE", "remove", { token: own.token })
        yield* tokenApi("DELETE", "remove", { token: own.token })
        const changed = { current: session.password, password: "synthetic-new-password" }
        secrets.set("new password", changed.password)
        yield* heard(
          send(`${url}/api/admin/password`, "PUT", session.headers, { ...changed, current: "synthetic-old" })
        )
        const { status } = yield* heard(send(`${url}/api/admin/password`, "PUT", session.headers, changed))
        assert.strictEqual(status, 200)
        printed.push((yield* weirgate("status")).output)
        // While it runs there is a log of what is not in the database yet.
        const running = filesIn(folder)
        yield* server.signal("SIGTERM")
        secrets.set("master key", readFileSync(join(folder, "master.key"), "utf8").trim())

        const places: ReadonlyArray<readonly [name: string, text: string]> = [
          ["the log", server.output()],
          ["the answers", answers.join("\n")],
          ["the commands", printed.join("\n")],
          ...running,
          ...filesIn(folder)
        ]
        for (const service of ["TokenPool", "Audit", "DEBUG"]) assert.include(server.output(), service)
        assert.isTrue(places.some(([place]) => place === "sandbox.db"))
        for (const [called, secret] of secrets) {
          assert.isAtLeast(secret.length, 12, called)
          for (const [place, text] of places) {
            if (meant[place]?.includes(called) === true) continue
            assert.isFalse(text.includes(secret), `the ${called} is in ${place}`)
          }
        }
      }),
    60_000
  )
})

/** Which file holds which secret, because that is what it is for. */
const meant: Readonly<Record<string, ReadonlyArray<string>>> = {
  "console-password": ["console password"],
  "master.key": ["master key"]
}

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((name) => statSync(name).isFile())
    .map((name) => [basename(name), readFileSync(name, "latin1")] as const)
