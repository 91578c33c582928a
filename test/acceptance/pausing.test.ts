/** Pausing a provider, over sockets and from the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { get, post, running, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const login = Effect.fnUntraced(function* ({ folder, url }: { readonly folder: string; readonly url: string }) {
  const password = readFileSync(join(folder, "console-password"), "utf8").trim()
  const { headers, json } = yield* post(`${url}/api/admin/login`, { password })
  const session = {
    cookie: (headers.get("set-cookie") ?? "").split(";")[0] ?? "",
    "x-csrf-token": String(json.csrf)
  }
  return {
    get: (path: string) => get(`${url}/api/admin${path}`, session),
    post: (path: string) => post(`${url}/api/admin${path}`, {}, session)
  }
})

const chat = (url: string, timeout: string) =>
  post(
    `${url}/v1/chat/completions`,
    { model: "auto", messages: [{ role: "user", content: "hi" }] },
    { "x-weirgate-timeout": timeout }
  )

/** The sandbox plays Warp: the one provider there is. */
const name = "warp"

describe("pausing a provider", () => {
  it.live("keeps its requests in line, which grows, until it is resumed; then all are answered", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const admin = yield* login(server)
      const view = Effect.map(admin.get("/providers"), ({ json }) => json.providers[0])
      const metric = Effect.map(get(`${server.url}/metrics`), ({ text }) =>
        text.split("\n").find((line) => line.startsWith(`weirgate_provider_paused{provider="${name}"}`))
      )
      assert.deepInclude(yield* view, { name, kind: "warp", paused: false, paused_since: null, waiting: 0, in_use: 0 })
      assert.strictEqual((yield* chat(server.url, "20s")).status, 200)
      const answered = (yield* server.stats).json

      const paused = yield* admin.post(`/providers/${name}/pause`)
      assert.strictEqual(paused.status, 200)
      assert.deepInclude(paused.json, { name, paused: true })
      assert.isNumber(paused.json.paused_since)
      assert.match((yield* metric) ?? "", / 1$/)
      const asking = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () => chat(server.url, "20s"), { concurrency: "unbounded" })
      )
      const grown = yield* Effect.repeat(view, {
        until: ({ waiting }) => waiting === 4,
        schedule: Schedule.spaced("20 millis")
      })
      assert.deepInclude(grown, { in_use: 0, paused: true })
      const routes = (yield* admin.get("/routes")).json.routes
      const auto = routes.find(({ model }: { model: string }) => model === "auto")
      assert.deepStrictEqual(auto.targets, [{ provider: name, model: "auto", state: "paused", until: null }])
      const late = yield* chat(server.url, "200ms")
      assert.deepStrictEqual([late.status, late.json.error.code], [503, "no_target"], late.text)
      assert.include(late.json.error.message, `${name} is paused`)
      assert.strictEqual(late.headers.get("retry-after"), "10")
      assert.deepStrictEqual((yield* server.stats).json, answered)

      assert.strictEqual((yield* admin.post(`/providers/${name}/resume`)).status, 200)
      assert.deepStrictEqual(
        (yield* Fiber.join(asking)).map(({ status }) => status),
        [200, 200, 200, 200]
      )
      assert.deepInclude(yield* view, { paused: false, paused_since: null, waiting: 0, in_use: 0 })
      assert.match((yield* metric) ?? "", / 0$/)

      assert.strictEqual((yield* admin.post(`/providers/${name}/reset`)).status, 200)
      const unknown = yield* admin.post("/providers/nobody/pause")
      assert.deepStrictEqual([unknown.status, unknown.json.error.code], [404, "provider_unknown"])
      assert.include(unknown.json.error.message, `there is no nobody; there are ${name}`)
      const audit = (yield* admin.get("/audit")).json.entries.map(
        ({ action, result, subject }: Record<string, string>) => `${action} ${subject} ${result}`
      )
      assert.deepStrictEqual(audit.slice(0, 4), [
        "provider.pause nobody refused",
        `provider.reset ${name} done`,
        `provider.resume ${name} done`,
        `provider.pause ${name} done`
      ])
    })
  )

  it.live(
    "from the command line is taken over by a server that runs, and kept by one that is killed",
    () =>
      Effect.gen(function* () {
        const env = {
          WEIRGATE_DATA: yield* temporaryFolder,
          WEIRGATE_PORT: String(yield* freePort),
          WEIRGATE_SANDBOX_PORT: String(yield* freePort)
        }
        const url = `http://127.0.0.1:${env.WEIRGATE_PORT}`
        const command = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const child = yield* started(["provider", ...args], env)
          const code = yield* child.exited
          return { code, output: child.output() }
        })
        const serving = Effect.tap(started(["serve"], env), (server) => ready(server, `${url}/readyz`))
        const server = yield* serving
        assert.strictEqual((yield* chat(url, "20s")).status, 200)
        const paused = yield* command("pause", name)
        assert.strictEqual(paused.code, 0, paused.output)
        assert.include(paused.output, "warp: paused")
        assert.strictEqual((yield* chat(url, "100ms")).json.error.code, "no_target")
        yield* server.signal("SIGKILL")
        yield* serving
        assert.strictEqual((yield* chat(url, "100ms")).json.error.code, "no_target")
        assert.match((yield* command("list")).output, /warp +warp +paused \d+s ago +unlimited/)
        assert.strictEqual((yield* command("resume", name)).output, "warp: resumed\n")
        assert.strictEqual((yield* chat(url, "20s")).status, 200)
        const unknown = yield* command("pause", "nobody")
        assert.deepStrictEqual(unknown, {
          code: 1,
          output: "weirgate: provider: there is no nobody; there are warp\n"
        })
      }),
    60_000
  )
})
