import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { get, post, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

/** Runs to its end. */
const ran = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const child = yield* started(args, env)
    const code = yield* child.exited
    return { code, output: child.output() }
  })

const stage = Effect.gen(function* () {
  const env = {
    WEIRGATE_DATA: yield* temporaryFolder,
    WEIRGATE_PORT: String(yield* freePort),
    WEIRGATE_SANDBOX_PORT: String(yield* freePort)
  }
  return { env, url: `http://127.0.0.1:${env.WEIRGATE_PORT}`, sandbox: `http://127.0.0.1:${env.WEIRGATE_SANDBOX_PORT}` }
})

describe("the command line", () => {
  it.live(
    "replays the incident: 97 demands, at most 3 acquisitions in any hour, every demand accounted for",
    () =>
      Effect.gen(function* () {
        const { code, output } = yield* ran(["replay", "scripts/incident-2025.csv"])
        assert.strictEqual(code, 0, output)
        assert.match(output, /asked +97 \(/)
        for (const cause of ["manual 59", "retry 30", "restart 8"]) assert.include(output, cause)
        const [, acquired, busiest] = /acquired +(\d+), at most (\d+) in any hour/.exec(output) ?? []
        assert.isAtLeast(Number(acquired), 1)
        assert.isAtMost(Number(busiest), 3)
        assert.include(output, "accounted for 97 of 97 demands")
      }),
    30_000
  )

  it.live(
    "names the row and field of a demand that it cannot read",
    () =>
      Effect.gen(function* () {
        const file = join(yield* temporaryFolder, "demands.csv")
        writeFileSync(file, "at,cause,caller,error\n2025-10-13T14:36:06.582Z,manual,me,why\nyesterday,manual,me,why\n")
        const { code, output } = yield* ran(["replay", file])
        assert.strictEqual(code, 1)
        assert.include(output, file)
        assert.match(output, /\[3\]\["at"\]/)
        writeFileSync(file, "at,cause,caller,error\n")
        assert.include((yield* ran(["replay", file])).output, "there is no demand in it")
        writeFileSync(file, "at,cause,caller,error\n1969-01-01T00:00:00Z,a,b,c\n2025-01-01T00:00:00Z,a,b,c\n")
        assert.include((yield* ran(["replay", file])).output, "31 days")
      }),
    30_000
  )

  it.live(
    "acquires through the same seven steps, and shows tokens, budget and decisions",
    () =>
      Effect.gen(function* () {
        const { env } = yield* stage
        const none = { ...env, WEIRGATE_SANDBOX_TOKENS: "none" }
        const first = yield* ran(["acquire", "--why", "No remaining quota"], none)
        assert.strictEqual(first.code, 0, first.output)
        assert.match(first.output, /anonymous token warp-anonymous-/)
        const status = yield* ran(["status"], none)
        assert.strictEqual(status.code, 0, status.output)
        assert.match(status.output, /warp +1 of 3 +1 of 20 +0 +in /)
        assert.match(status.output, /command line +upstream +token/)
      }),
    60_000
  )

  it.live(
    "keeps a configured upstream's tokens from the sandbox, and lets a person disable, reset and remove one",
    () =>
      Effect.gen(function* () {
        const { env, sandbox } = yield* stage
        const upstream = yield* started(["sandbox"], { ...env, WEIRGATE_SANDBOX_SEED: "the real one" })
        yield* ready(upstream, `${sandbox}/_sandbox/credentials`)
        const { firebaseApiKey, refreshToken } = (yield* get(`${sandbox}/_sandbox/credentials`)).json
        const file = join(env.WEIRGATE_DATA, "config.json")
        const urls = { baseUrl: sandbox, identityUrl: sandbox, tokenUrl: sandbox }
        const mine = { name: "mine", provider: "warp", kind: "personal", refreshToken: { env: "MINE" } }
        writeFileSync(file, JSON.stringify({ warp: { ...urls, firebaseApiKey: { env: "KEY" } }, tokens: [mine] }))
        const configured = { ...env, WEIRGATE_CONFIG: file, KEY: firebaseApiKey, MINE: refreshToken }
        const served = (extra: Record<string, string>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const url = `http://127.0.0.1:${extra["WEIRGATE_PORT"]}`
              const server = yield* started(["serve"], extra)
              yield* ready(server, `${url}/readyz`)
              const body = { model: "auto", messages: [{ role: "user", content: "hi" }] }
              assert.strictEqual((yield* post(`${url}/v1/chat/completions`, body)).status, 200)
              yield* server.signal("SIGTERM")
            })
          )
        yield* served(configured)
        yield* served({ ...env, WEIRGATE_SANDBOX_PORT: String(yield* freePort) })
        const status = (yield* ran(["status"], configured)).output
        assert.match(status, /mine +warp +personal +active +1 /)
        assert.notInclude(status, "sandbox-")

        assert.strictEqual((yield* ran(["token", "disable", "mine"], configured)).code, 0)
        assert.match(
          (yield* ran(["status"], configured)).output,
          /mine +warp +personal +disabled: disabled by a person/
        )
        assert.strictEqual((yield* ran(["token", "reset", "mine"], configured)).code, 0)
        assert.match((yield* ran(["status"], configured)).output, /mine +warp +personal +active/)
        assert.strictEqual((yield* ran(["token", "remove", "mine"], configured)).code, 0)
        const gone = yield* ran(["token", "remove", "mine"], configured)
        assert.strictEqual(gone.code, 1)
        assert.include(gone.output, "there is no token mine; there is none")
        yield* upstream.signal("SIGTERM")
      }),
    60_000
  )

  it.live(
    "refuses a wrong setting by its name, and the network without keys",
    () =>
      Effect.gen(function* () {
        const { env } = yield* stage
        const file = join(env.WEIRGATE_DATA, "config.json")
        const refused = (extra: Record<string, string>, ...says: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            const { code, output } = yield* ran(["serve"], { ...env, ...extra })
            assert.strictEqual(code, 1, output)
            for (const text of says) assert.include(output, text)
            assert.notInclude(output, "    at ")
          })
        yield* refused({ WEIRGATE_PORT: "many" }, "WEIRGATE_PORT")
        yield* refused({ WEIRGATE_HOST: "0.0.0.0" }, "WEIRGATE_HOST", "server.apiKeys")
        yield* refused({ WEIRGATE_MASTER_KEY: "short" }, "WEIRGATE_MASTER_KEY")
        yield* refused({ WEIRGATE_CONFIG: file }, "WEIRGATE_CONFIG", file)
        writeFileSync(file, JSON.stringify({ acquisition: { preset: "loose" } }))
        yield* refused({ WEIRGATE_CONFIG: file }, file, "acquisition.preset")
        writeFileSync(file, JSON.stringify({ server: { apiKeys: [{ env: "NO_SUCH_KEY" }] } }))
        yield* refused({ WEIRGATE_CONFIG: file }, "server.apiKeys[0].env", "NO_SUCH_KEY")
        writeFileSync(join(env.WEIRGATE_DATA, "sandbox.db"), "no database".repeat(1_000))
        yield* refused({}, "sandbox.db", "left untouched")
      }),
    60_000
  )

  it.live(
    "says who is in the way when its port is taken",
    () =>
      Effect.gen(function* () {
        const { env, url } = yield* stage
        const server = yield* started(["serve"], env)
        yield* ready(server, `${url}/readyz`)
        const { code, output } = yield* ran(["serve"], env)
        assert.strictEqual(code, 1)
        assert.match(output, new RegExp(`cannot listen on 127.0.0.1:${env.WEIRGATE_PORT} .*WEIRGATE_PORT.*EADDRINUSE`))
      }),
    60_000
  )

  it.live(
    "with keys, serves only who shows one",
    () =>
      Effect.gen(function* () {
        const { env, url } = yield* stage
        const file = join(env.WEIRGATE_DATA, "config.json")
        writeFileSync(
          file,
          JSON.stringify({ server: { apiKeys: [{ env: "KEY_A" }, { env: "KEY_B" }, { env: "KEY_C", role: "admin" }] } })
        )
        const server = yield* started(["serve"], {
          ...env,
          WEIRGATE_CONFIG: file,
          WEIRGATE_HOST: "0.0.0.0",
          KEY_A: "synthetic-key-a",
          KEY_B: "synthetic-key-b",
          KEY_C: "synthetic-key-c"
        })
        yield* ready(server, `${url}/readyz`)
        const asked = (authorization?: string) =>
          Effect.map(
            get(`${url}/v1/models`, authorization === undefined ? {} : { authorization }),
            ({ status }) => status
          )
        assert.strictEqual(yield* asked(), 401)
        assert.strictEqual(yield* asked("Bearer synthetic-key"), 401)
        assert.strictEqual(yield* asked("Bearer "), 401)
        assert.strictEqual(yield* asked("Bearer synthetic-key-a"), 200)
        assert.strictEqual(yield* asked("bearer synthetic-key-b"), 200)
        for (const [path, key, status] of [
          ["metrics", undefined, 401],
          ["METRICS/", undefined, 401],
          ["metrics", "synthetic-key-a", 403],
          ["metrics", "synthetic-key-c", 200],
          ["healthz", undefined, 200]
        ] as const) {
          const { text, ...answer } = yield* get(
            `${url}/${path}`,
            key === undefined ? {} : { authorization: `Bearer ${key}` }
          )
          assert.strictEqual(answer.status, status, `${path} ${key}`)
          assert.strictEqual(text.includes("weirgate_tokens{"), status === 200 && path === "metrics")
        }
      }),
    60_000
  )

  it.live(
    "on SIGTERM finishes what is under way, takes nothing new, and exits with 0",
    () =>
      Effect.gen(function* () {
        const { env, url, sandbox } = yield* stage
        const server = yield* started(["serve"], env)
        yield* ready(server, `${url}/readyz`)
        yield* post(`${sandbox}/_sandbox/faults`, { call: "ai", kind: "slow", delay: "1 second" })
        const body = { model: "auto", messages: [{ role: "user", content: "hi" }] }
        const underWay = yield* Effect.forkChild(post(`${url}/v1/chat/completions`, body), { startImmediately: true })
        yield* Effect.sleep("300 millis")
        const exited = yield* Effect.forkChild(server.signal("SIGTERM"), { startImmediately: true })
        yield* Effect.sleep("100 millis")
        const late = yield* Effect.exit(Effect.tryPromise(() => fetch(`${url}/healthz`)))
        assert.strictEqual(late._tag, "Failure")
        assert.strictEqual((yield* Fiber.join(underWay)).status, 200)
        assert.strictEqual(yield* Fiber.join(exited), 0)
      }),
    60_000
  )

  it.live(
    "tells those that are still under way when the drain is over, before and in their stream",
    () =>
      Effect.gen(function* () {
        const { env, url, sandbox } = yield* stage
        const file = join(env.WEIRGATE_DATA, "config.json")
        writeFileSync(file, JSON.stringify({ server: { drain: "1 second" } }))
        const server = yield* started(["serve"], { ...env, WEIRGATE_CONFIG: file })
        yield* ready(server, `${url}/readyz`)
        const ask = (stream: boolean) =>
          Effect.forkChild(
            post(`${url}/v1/chat/completions`, {
              model: "auto",
              stream,
              messages: [{ role: "user", content: "hi" }]
            }),
            { startImmediately: true }
          )
        yield* post(`${sandbox}/_sandbox/faults`, { call: "ai", kind: "stall", afterEvents: 4, times: null })
        const [whole, streamed] = [yield* ask(false), yield* ask(true)]
        yield* Effect.sleep("300 millis")
        yield* server.signal("SIGTERM")
        const refused = yield* Fiber.join(whole)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.json.error.code, "shutting_down")
        const { status, text } = yield* Fiber.join(streamed)
        assert.strictEqual(status, 200)
        assert.match(text, /"code":"shutting_down"/)
        assert.notInclude(text, "[DONE]")
      }),
    60_000
  )
})
