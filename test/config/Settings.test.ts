import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, FileSystem, Layer, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { nobody } from "../../src/access/Client.ts"
import { Settings } from "../../src/config/Settings.ts"
import { version } from "../../src/version.ts"

const settings = (env: Record<string, string> = {}) =>
  Settings.pipe(
    Effect.provide(
      Settings.layer.pipe(
        Layer.provide(NodeServices.layer),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      )
    )
  )

const fileWith = Effect.fnUntraced(function* (content: unknown) {
  const fs = yield* FileSystem.FileSystem
  const filename = join(yield* fs.makeTempDirectoryScoped(), "config.json")
  yield* fs.writeFileString(filename, JSON.stringify(content))
  return filename
}, Effect.provide(NodeServices.layer))

describe("Settings", () => {
  it.effect("has defaults that need nothing", () =>
    Effect.gen(function* () {
      const { server, dataFolder, warp, sandbox, file } = yield* settings()
      assert.deepInclude(server, { host: "127.0.0.1", port: 28_889, apiKeys: [], clients: [] })
      assert.isUndefined(file)
      assert.strictEqual(dataFolder, ".weirgate")
      assert.isUndefined(warp)
      assert.deepInclude(sandbox, { port: 28_890, url: undefined, tokens: ["anonymous", "personal"] })
    })
  )

  it.effect("lets the environment win over the file, and takes an empty variable for none", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith({ server: { host: "127.0.0.2", port: 1_000, drain: "3 seconds" } })
      const file = { WEIRGATE_CONFIG: filename }
      assert.deepInclude((yield* settings(file)).server, { host: "127.0.0.2", port: 1_000, drain: Duration.seconds(3) })
      const both = yield* settings({ ...file, WEIRGATE_PORT: "2000", WEIRGATE_HOST: "" })
      assert.deepInclude(both.server, { host: "127.0.0.2", port: 2_000 })
    })
  )

  it.effect("takes secrets from the variables that the file names, and shows none", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith({
        warp: {
          baseUrl: "http://127.0.0.1:1",
          identityUrl: "http://127.0.0.1:1",
          tokenUrl: "http://127.0.0.1:1",
          firebaseApiKey: { env: "SYNTHETIC_KEY" }
        },
        tokens: [{ name: "mine", provider: "warp", kind: "personal", refreshToken: { env: "SYNTHETIC_TOKEN" } }]
      })
      const env = { WEIRGATE_CONFIG: filename, SYNTHETIC_KEY: "synthetic key", SYNTHETIC_TOKEN: "synthetic token" }
      const { warp, tokens } = yield* settings(env)
      assert.strictEqual(Redacted.value(warp?.apiKey ?? Redacted.make("")), "synthetic key")
      assert.strictEqual(warp?.minting, false)
      assert.deepStrictEqual(
        tokens.map(({ credential }) => credential.refresh && Redacted.value(credential.refresh)),
        ["synthetic token"]
      )
      assert.notInclude(JSON.stringify({ warp, tokens }), "synthetic ")
      const { SYNTHETIC_TOKEN: _, ...without } = env
      const error = yield* Effect.flip(settings(without))
      assert.include(error.message, "tokens[0].refreshToken.env")
    })
  )

  it.effect.each([
    ["WEIRGATE_PORT", "70000"],
    ["WEIRGATE_PORT", "0x50"],
    ["WEIRGATE_SANDBOX_PORT", "x"],
    ["WEIRGATE_SANDBOX_URL", "nowhere"],
    ["WEIRGATE_SANDBOX_TOKENS", "anonymous,none"]
  ] as const)("refuses %s by its name", ([name, value]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(settings({ [name]: value }))
      assert.deepInclude(error, { source: "environment", field: name })
    })
  )

  it.effect.each([
    [{ acquisition: { hourly: 0 } }, "acquisition.hourly"],
    [{ acquisition: { backoff: { base: "0 seconds" } } }, "acquisition.backoff.base"],
    [{ acquisition: { preset: "lax" } }, "acquisition.preset"],
    [{ pool: { strategy: "random" } }, "pool.strategy"],
    [{ tokens: [{ name: "", provider: "warp" }] }, "tokens[0].name"],
    [
      { tokens: [{ name: "a", provider: "warp", kind: "personal", refreshToken: "in clear" }] },
      "tokens[0].refreshToken"
    ],
    [{ server: { prot: 1 } }, "server.prot"],
    [{ server: { drain: "Infinity" } }, "server.drain"],
    [{ server: { apiKeys: [{ env: "in clear" }] } }, "server.apiKeys[0].env"],
    [{ server: { apiKeys: [{ env: "A", priority: 10 }] } }, "server.apiKeys[0].priority"],
    [{ server: { apiKeys: [{ env: "A", name: "key-2" }] } }, "server.apiKeys[0].name"],
    [{ server: { apiKeys: [{ env: "A", name: "local" }] } }, "server.apiKeys[0].name"],
    [{ server: { apiKeys: [{ env: "A", name: "console" }] } }, "server.apiKeys[0].name"],
    [{ server: { apiKeys: [{ env: "A", name: "weirgate" }] } }, "server.apiKeys[0].name"],
    [{ server: { apiKeys: [{ env: "A", timeout: "25 hours" }] } }, "server.apiKeys[0].timeout"],
    [{ traces: { sample: 0.5 } }, "traces.sample"],
    [{ traces: { failures: 1_001 } }, "traces.failures"],
    [{ traffic: { attempts: 0 } }, "traffic.attempts"],
    [{ traffic: { queue: { ageing: "5" } } }, "traffic.queue.ageing"],
    [[], "(file)"]
  ] as const)("refuses %j by its path", ([content, field]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Settings.fromText(JSON.stringify(content), "file"))
      assert.strictEqual(error.field, field)
      assert.notInclude(error.message, "in clear")
    })
  )

  it.effect("refuses tokens that have no upstream, and two of one name", () =>
    Effect.gen(function* () {
      const token = (name: string) => ({ name, provider: "warp", kind: "personal", refreshToken: { env: "T" } })
      const url = "http://127.0.0.1:1"
      const warp = { baseUrl: url, identityUrl: url, tokenUrl: url, firebaseApiKey: { env: "K" } }
      const refused = Effect.fnUntraced(function* (content: object) {
        const env = { WEIRGATE_CONFIG: yield* fileWith(content), T: "synthetic", K: "synthetic" }
        return (yield* Effect.flip(settings(env))).field
      })
      assert.strictEqual(yield* refused({ tokens: [token("a")] }), "tokens[0].provider")
      assert.strictEqual(yield* refused({ warp, tokens: [token("a"), token("b"), token("a")] }), "tokens[2].name")
    })
  )

  it.effect("names the holders of keys, also those that the file does not name", () =>
    Effect.gen(function* () {
      const alice = { env: "A", name: "alice", priority: 7, timeout: "30 seconds" }
      const filename = yield* fileWith({ server: { apiKeys: [alice, { env: "B" }] } })
      const { server, file } = yield* settings({ WEIRGATE_CONFIG: filename, A: "synthetic a", B: "synthetic b" })
      assert.strictEqual(file, filename)
      assert.deepStrictEqual(server.apiKeys.map(Redacted.value), ["synthetic a", "synthetic b"])
      assert.deepStrictEqual(server.clients, [
        { ...nobody, name: "alice", priority: 7, timeout: Duration.seconds(30) },
        { ...nobody, name: "key-2" }
      ])
    })
  )

  it.effect("says where a file is no JSON, and nothing of what stands there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Settings.fromText('{\n  "server": synthetic\n}', "file"))
      assert.strictEqual(error.field, "(file)")
      assert.include(error.reason, "line 2, column 13")
      assert.notInclude(error.message, "synthetic")
    })
  )

  it("knows its own version", () => {
    assert.strictEqual(JSON.parse(readFileSync("package.json", "utf8")).version, version)
  })
})
