/** The commands with which a person does from a terminal what the console does, each as a process of its own. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { get, post, running, temporaryFolder } from "../support/running.ts"
import { eventually, keyOf } from "../support/staged.ts"
import { started } from "../support/subprocess.ts"

type Env = Readonly<Record<string, string>>

/** So that only the first of the processes compiles the program: it takes most of the time of a command. */
const compiled = mkdtempSync(join(tmpdir(), "weirgate-compiled-"))
afterAll(() => rmSync(compiled, { recursive: true, force: true }))

/** Runs to its end. */
const ran = (args: ReadonlyArray<string>, env: Env, input?: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* started(args, { NODE_COMPILE_CACHE: compiled, ...env }, input)
      const code = yield* child.exited
      return { code, output: child.output(), stdout: child.stdout() }
    })
  )

/** What it prints, when it goes well. */
const printed = (line: string, env: Env, input?: string) =>
  Effect.map(ran(line.split(" "), env, input), ({ code, output, stdout }) => {
    assert.strictEqual(code, 0, `${line}: ${output}`)
    return stdout
  })

const asJson = (line: string, env: Env) => Effect.map(printed(`${line} --json`, env), (text) => JSON.parse(text))

const refused = (line: string, env: Env, code: number, says: RegExp) =>
  Effect.map(ran(line.split(" "), env), (child) => {
    assert.strictEqual(child.code, code, `${line}: ${child.output}`)
    assert.match(child.output, says)
    assert.notMatch(child.output, /^ +at /m)
    return child.output
  })

describe("the commands beside a running server", () => {
  it.live(
    "show what it alone knows in the contract's words, find it by the settings or by --server, and reset and check there",
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const { authorization } = yield* keyOf(server, "admin")
        const env = {
          WEIRGATE_DATA: server.folder,
          WEIRGATE_PORT: new URL(server.url).port,
          WEIRGATE_API_KEY: authorization.replace("Bearer ", "")
        }
        const ask = (path: string) =>
          Effect.map(get(`${server.url}/api/admin/${path}`, { authorization }), ({ json }) => json)
        const body = { model: "auto", messages: [{ role: "user", content: "hi" }] }
        const headers = { authorization, "x-weirgate-explain": "1" }
        const watching = yield* started(["events"], { NODE_COMPILE_CACHE: compiled, ...env })
        const seen = Effect.sync(() => watching.stdout().split("\n"))
        yield* eventually(seen, (lines) => lines.length > 1, "the first event")
        const asked = yield* post(`${server.url}/v1/chat/completions`, body, headers)
        const id = asked.headers.get("x-weirgate-trace") ?? assert.fail("no trace")

        const isIt = (line: string) => line.startsWith('{"event":"request"') && line.includes(id)
        const lines = yield* eventually(seen, (lines) => lines.some(isIt), "the request among the events")
        assert.strictEqual(JSON.parse(lines.find(isIt) ?? "").data.model, "auto")
        assert.strictEqual(JSON.parse(lines[0] ?? "").event, "overview")
        assert.strictEqual(yield* watching.signal("SIGTERM"), 0)

        const { requests } = yield* asJson("requests --limit 5", env)
        assert.deepStrictEqual(requests, (yield* ask("requests?limit=5")).requests)
        const explained = yield* printed(`explain ${id}`, env)
        for (const step of (yield* ask(`requests/${id}`)).steps) assert.include(explained, step.step)
        assert.match(explained, new RegExp(`^request +${id}$`, "m"))
        const { WEIRGATE_API_KEY: _key, ...keyless } = env
        yield* refused(`explain ${id}`, keyless, 1, /^weirgate: http:.*it asks for a key, in WEIRGATE_API_KEY/)

        const overview = yield* printed(`overview --server ${server.url}/`, env)
        assert.match(overview, /^since the start +1 +0 +0 +0 +0$/m)
        assert.match(overview, /^warp +2 +2 +/m)
        const routes = yield* asJson("route list", env)
        assert.deepStrictEqual(routes, yield* ask("routes"))
        assert.include(
          routes.routes.map(({ model }: { model: string }) => model),
          "auto"
        )

        const live = (yield* asJson(`provider list --server ${server.url}`, env)).providers[0]
        const stored = (yield* asJson("provider list", env)).providers[0]
        const { held_until: _h, in_use: inUse, targets, waiting: _w, ...kept } = live
        assert.strictEqual(inUse, 0)
        assert.deepInclude(targets[0], { model: "auto", circuit: "closed" })
        assert.deepStrictEqual(Object.keys(stored).toSorted(), Object.keys(kept).toSorted())
        assert.include(yield* printed("provider reset warp", env), "warp: all its targets")

        assert.include(yield* printed("token check sandbox-1", env), "sandbox-1: its upstream calls it good")
        const added = yield* printed("token add --provider wopan --name bad", env, "synthetic-token-of-nobody\n")
        const badId = /\((wopan-[^)]+)\)/.exec(added)?.[1] ?? assert.fail(added)
        yield* refused(`token check ${badId}`, env, 2, /^weirgate: wopan-shared-\w+: ./m)
        const listed = (yield* asJson(`token list --provider wopan --server ${server.url}`, env)).tokens
        assert.deepStrictEqual(
          listed.map(({ leased, name }: { leased: number; name: string }) => [name, leased]),
          [
            ["bad", 0],
            ["sandbox-1", 0],
            ["sandbox-2", 0]
          ]
        )

        const { entries } = yield* ask("audit")
        assert.includeDeepMembers(
          entries.map((entry: Record<string, string>) => [entry["actor"], entry["action"], entry["subject"]]),
          [
            ["admin", "provider.reset", "warp"],
            ["command line", "token.add", `bad (${badId})`],
            ["admin", "token.check", badId]
          ]
        )
      }),
    90_000
  )
})

describe("the commands without a server", () => {
  it.live(
    "add tokens of any provider from a pipe, list them, and decide about one by its id where its name is another's too",
    () =>
      Effect.gen(function* () {
        const env = { WEIRGATE_DATA: join(yield* temporaryFolder, "new") }
        const secrets = ["synthetic-token-a", "synthetic-refresh-a", "synthetic-token-b"]
        const flags = "--provider wopan --name both --renewable --kind personal --expires 2030-01-31"
        const first = yield* printed(`token add ${flags}`, env, `${secrets[0]}\n${secrets[1]}\n`)
        const id = /^both \((wopan-personal-\w+)\) of wopan: added\n$/.exec(first)?.[1] ?? assert.fail(first)
        yield* printed("token add --provider warp --name both", env, `${secrets[2]}\n`)
        const again = yield* ran("token add --provider wopan".split(" "), env, `${secrets[0]}\n`)
        assert.strictEqual(again.code, 1)
        assert.match(again.output, /the token is held already, as both/)
        const bad = yield* ran("token add --provider wopan".split(" "), env, "synthetic token with spaces\n")
        assert.match(bad.output, /^weirgate: token: expected 1 to 8192 printable ASCII characters without spaces\n$/)

        yield* refused(
          "token disable both",
          env,
          1,
          /several tokens are named both: say which by its id \(wopan-|warp-/
        )
        yield* printed(`token disable ${id}`, env)
        const { tokens } = yield* asJson("token list --state disabled", env)
        assert.deepInclude(tokens[0], {
          id,
          provider: "wopan",
          name: "both",
          kind: "personal",
          state: "disabled",
          why: "disabled by a person",
          until: null,
          usable: false,
          success_rate: null,
          access_expires_at: Date.UTC(2030, 0, 31)
        })
        assert.strictEqual(tokens.length, 1)
        yield* printed("token remove both --provider warp", env)
        const list = yield* printed("token list", env)
        assert.match(
          list,
          new RegExp(`^${id} +both +wopan +personal +disabled: disabled by a person +0 +– +unknown +never$`, "m")
        )
        assert.strictEqual(list.split("\n").length, 4)

        const audit = yield* asJson("audit", env)
        assert.deepStrictEqual(
          audit.entries.map((entry: Record<string, string>) => [entry["actor"], entry["action"], entry["result"]]),
          [
            ["command line", "token.remove", "done"],
            ["command line", "token.disable", "done"],
            ["command line", "token.disable", "refused"],
            ["command line", "token.add", "refused"],
            ["command line", "token.add", "done"],
            ["command line", "token.add", "done"]
          ]
        )
        for (const file of readdirSync(env.WEIRGATE_DATA)) {
          const bytes = readFileSync(join(env.WEIRGATE_DATA, file)).toString("latin1")
          for (const secret of secrets) assert.notInclude(bytes, secret, file)
        }
        for (const secret of secrets) assert.notInclude(first + again.output + list + JSON.stringify(audit), secret)
      }),
    90_000
  )

  it.live(
    "list decisions, checks, changes, alerts and keys in the words in which the server told them",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const told = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* running({ WEIRGATE_DATA: folder, WEIRGATE_SANDBOX_TOKENS: "none" })
            const headers = yield* keyOf(server, "admin")
            const ask = (path: string) =>
              Effect.map(get(`${server.url}/api/admin/${path}`, headers), ({ json }) => json)
            const body = { model: "auto", messages: [{ role: "user", content: "hi" }] }
            assert.strictEqual((yield* post(`${server.url}/v1/chat/completions`, body, headers)).status, 200)
            const { tokens } = yield* ask("tokens?provider=wopan")
            const check = yield* post(`${server.url}/api/admin/tokens/${tokens[0].id}/check`, {}, headers)
            assert.isTrue(check.json.check.ok)
            const checks = yield* eventually(
              ask(`checks?token=${tokens[0].id}`),
              ({ checks }) => checks.length > 0,
              "a check"
            )
            return { ...(yield* ask("decisions")), ...(yield* ask("audit")), ...(yield* ask("keys")), ...checks }
          })
        )
        const env = { WEIRGATE_DATA: folder }
        assert.isAtLeast(told.decisions.length, 1)
        assert.deepStrictEqual((yield* asJson("decisions --provider warp", env)).decisions, told.decisions)
        assert.match(yield* printed("decisions --limit 1", env), /^20\S+ \S+ +warp +.* upstream +token +/m)
        assert.deepStrictEqual((yield* asJson("audit", env)).entries, told.entries)
        assert.includeDeepMembers((yield* asJson("checks --token sandbox-1", env)).checks, told.checks)
        assert.deepStrictEqual(yield* asJson("alerts", env), { active: [], recent: [] })
        const { keys } = yield* asJson("key list", env)
        const unused = (key: object) => ({ ...key, last_used_at: null })
        assert.deepStrictEqual(keys.map(unused), told.keys.map(unused))
      }),
    90_000
  )
})
