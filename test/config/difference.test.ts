import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect } from "effect"
import { difference } from "../../src/config/difference.ts"
import { nobody } from "../../src/access/Client.ts"
import { Settings } from "../../src/config/Settings.ts"

const settings = (file: object) =>
  Settings.fromText(JSON.stringify(file), "file").pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { A: "synthetic a", B: "synthetic b" } })))
  )
const between = (before: object, after: object) =>
  Effect.map(Effect.all([settings(before), settings(after)]), ([running, next]) => ({
    running,
    next,
    ...difference(running, next)
  }))

const one = { name: "one", kind: "openai", baseUrl: "http://127.0.0.1:1/v1", keys: ["synthetic 1"] }
const two = { ...one, name: "two" }
const base = { providers: [one, two], routes: [{ model: "expert", targets: ["one/x", "two/x"] }] }
const url = "http://127.0.0.1:1"
const warp = { baseUrl: url, identityUrl: url, tokenUrl: url, firebaseApiKey: { env: "A" } }

describe("the difference of settings", () => {
  it.effect("is none between the same", () =>
    Effect.gen(function* () {
      const { deferred, running, settings, taken } = yield* between(base, base)
      assert.deepStrictEqual([...taken, ...deferred], [])
      assert.deepStrictEqual(settings, running)
    })
  )

  it.effect.each([
    [{ providers: [one, { ...two, rpm: 5 }] }, ["provider two changed"]],
    [{ providers: [one, { ...two, keys: ["synthetic 2"] }] }, ["provider two changed"]],
    [{ providers: [one, { ...two, timeouts: { idle: "1 second" } }] }, ["provider two changed"]],
    [{ providers: [one, two, { ...one, name: "three" }] }, ["provider three added"]],
    [{ providers: [two, one] }, ["providers in another order"]],
    [{ providers: [one], routes: [] }, ["provider two removed", "route expert removed"]],
    [{ routes: [{ model: "expert", targets: ["two/x"] }] }, ["route expert changed"]],
    [
      {
        routes: [
          { model: "fast", targets: ["two/x"] },
          { model: "expert", targets: ["one/x", "two/x"] }
        ]
      },
      ["route fast added"]
    ]
  ] as const)("takes over %j", ([change, words]) =>
    Effect.gen(function* () {
      const { deferred, next, settings, taken } = yield* between(base, { ...base, ...change })
      assert.deepStrictEqual(taken, [...words])
      assert.deepStrictEqual(deferred, [])
      assert.deepStrictEqual(settings.providers, next.providers)
      assert.deepStrictEqual(settings.routes, next.routes)
    })
  )

  it.effect("keeps the object of a provider that has not changed", () =>
    Effect.gen(function* () {
      const { running, settings } = yield* between(base, { ...base, providers: [one, { ...two, rpm: 5 }] })
      assert.strictEqual(settings.providers[0], running.providers[0])
      assert.notStrictEqual(settings.providers[1], running.providers[1])
    })
  )

  it.effect.each([
    [{ server: { port: 1 } }, "server"],
    [{ server: { drain: "1 second" } }, "server"],
    [{ acquisition: { hourly: 1 } }, "acquisition"],
    [{ pool: { strategy: "best" } }, "pool"],
    [{ alerts: { webhook: { url: "https://example.com", secret: { env: "A" } } } }, "alerts"],
    [{ traces: { sample: 1 } }, "traces"],
    [{ traffic: { queue: { limit: 1 } } }, "traffic"]
  ] as const)("leaves %j for the next start", ([change, part]) =>
    Effect.gen(function* () {
      const before = { ...base, server: { apiKeys: [{ env: "A" }] } }
      const { deferred, running, settings, taken } = yield* between(before, {
        ...before,
        ...change,
        server: { ...before.server, ...("server" in change && change.server) }
      })
      assert.deepStrictEqual(deferred, [part])
      assert.deepStrictEqual(taken, [])
      assert.deepStrictEqual(settings, running)
    })
  )

  it.effect("takes over what is said of Warp as a provider, and not how it is reached", () =>
    Effect.gen(function* () {
      const provider = { name: "warp", kind: "warp", ...warp }
      const token = { name: "mine", provider: "warp", kind: "personal", refreshToken: { env: "B" } }
      const { deferred, running, settings, taken } = yield* between(
        { providers: [provider] },
        { providers: [{ ...provider, minting: true, rpm: 3 }], tokens: [token] }
      )
      assert.deepStrictEqual(deferred, ["warp", "tokens"])
      assert.deepStrictEqual(taken, ["provider warp changed"])
      assert.strictEqual(settings.providers[0]?.limits.rpm, 3)
      assert.deepStrictEqual([settings.warp, settings.tokens], [running.warp, running.tokens])
    })
  )

  it.effect.each([
    ["a sandbox comes to be needed", base, { providers: [one, { ...two, baseUrl: "sandbox:/zhipu/v1" }] }],
    ["the sandbox is no longer needed", {}, base],
    ["there is no upstream any more", base, { providers: [] }],
    ["Warp is no longer the sandbox's", {}, { providers: [{ ...one, baseUrl: "sandbox:/zhipu/v1" }], warp }],
    ["Warp comes", base, { ...base, warp }],
    ["Warp goes", { ...base, warp }, base]
  ] as const)("leaves all providers and routes for the next start when %s", ([, before, after]) =>
    Effect.gen(function* () {
      const { deferred, running, settings, taken } = yield* between(before, after)
      assert.include(deferred, "providers and routes")
      assert.deepStrictEqual(taken, [])
      assert.deepStrictEqual(settings, running)
    })
  )

  it.effect("takes over the keys of clients and what is said of their holders", () =>
    Effect.gen(function* () {
      const keys = (...apiKeys: ReadonlyArray<object>) => ({ ...base, server: { apiKeys } })
      const [a, b] = [{ env: "A" }, { env: "B" }]
      const { deferred, next, settings, taken } = yield* between(
        keys(a, b),
        keys({ ...b, name: "bob", role: "admin" }, { ...a, name: "alice", timeout: "1 second" })
      )
      assert.deepStrictEqual(taken, ["keys of clients changed"])
      assert.deepStrictEqual(deferred, [])
      assert.deepStrictEqual(settings.server.apiKeys, next.server.apiKeys)
      assert.deepStrictEqual(settings.server.clients, [
        { ...nobody, name: "bob", role: "admin" },
        { ...nobody, name: "alice", timeout: Duration.seconds(1) }
      ])
      const gone = yield* between(keys(a, b), keys(b))
      assert.deepStrictEqual(gone.taken, ["keys of clients changed"])
      assert.deepStrictEqual(gone.settings.server.apiKeys, gone.next.server.apiKeys)
      assert.deepStrictEqual((yield* between(keys(a, b), keys(a, b))).taken, [])
    })
  )
})
