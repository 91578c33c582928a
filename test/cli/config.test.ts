import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem } from "effect"
import { join } from "node:path"
import * as config from "../../src/cli/config.ts"

const provider = { name: "one", kind: "openai", baseUrl: "https://api.example.com/v1" }

const checked = Effect.fnUntraced(function* (content: string, env: Readonly<Record<string, string>> = {}) {
  const fs = yield* FileSystem.FileSystem
  const file = join(yield* fs.makeTempDirectoryScoped(), "weirgate.json")
  yield* fs.writeFileString(file, content)
  return yield* config.check(file).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
}, Effect.provide(NodeServices.layer))

const check = (file: object, env?: Readonly<Record<string, string>>) => checked(JSON.stringify(file), env)
const refused = (file: object, env?: Readonly<Record<string, string>>) => Effect.flip(check(file, env))

describe("weirgate config check", () => {
  it.effect("tells what the five providers amount to", () =>
    Effect.gen(function* () {
      const summary = yield* Effect.provide(config.check("scripts/five-providers.json"), NodeServices.layer)
      assert.match(summary, /nvidia1 +openai +sandbox:\/nvidia1\/v1 +literal:1, literal:2 +5 +40 +unlimited +3/)
      assert.match(summary, /nvidia2 .* 5 +40 /)
      assert.match(summary, /zhipu .* 1 +learned /)
      assert.match(summary, /hunyuan .* 5 +unlimited /)
      assert.match(summary, /siliconflow .* unlimited +5 /)
      assert.match(summary, /expert +nvidia1\/llama-3.3-70b, /)
      assert.include(summary, "can be used")
      assert.notInclude(summary, "sandbox-nvidia1-a")
    })
  )

  it.effect("tells which variables are set and which are not, and no secret: the file may be right all the same", () =>
    Effect.gen(function* () {
      const file = {
        server: { apiKeys: [{ env: "CLIENT", name: "alice" }] },
        providers: [{ ...provider, keys: [{ env: "FOUND" }, { env: "MISSING" }] }]
      }
      const summary = yield* check(file, { FOUND: "synthetic", CLIENT: "synthetic" })
      assert.match(summary, /env:FOUND found, env:MISSING missing/)
      assert.include(summary, "alice")
      assert.include(summary, "providers[0].keys[1].env: MISSING is not set here")
      assert.include(summary, "can be used once it is set")
      assert.notInclude(summary, "synthetic")
      assert.match(yield* check(file, { FOUND: "a", MISSING: "b", CLIENT: "c" }), /weirgate.json can be used$/)
    })
  )

  it.effect("tells everything that is wrong at once, each by its path", () =>
    Effect.gen(function* () {
      const { message } = yield* refused({ providers: [{ ...provider, rpm: 0, keys: "synthetic" }], rout: [] })
      for (const path of ["providers[0].rpm", "providers[0].keys", "rout"]) assert.include(message, `\n  ${path}: `)
      assert.notInclude(message, "synthetic")
      const apart = yield* refused({
        providers: [{ ...provider, keys: ["synthetic", { env: "MISSING" }] }],
        routes: [{ model: "expert", targets: ["two/x"] }]
      })
      // The variable that is not set is not among them.
      assert.deepStrictEqual(apart._tag === "FileRefused" ? apart.problems.map(({ field }) => field) : [], [
        "providers[0].keys[0]",
        "routes[0].targets[0]"
      ])
      assert.notInclude(apart.message, "synthetic")
    })
  )

  it.effect("refuses what is no file or no JSON", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(checked("{"))).message, "(file): it is not JSON")
      const gone = yield* Effect.flip(Effect.provide(config.check("/nowhere/weirgate.json"), NodeServices.layer))
      assert.include(gone.message, "/nowhere/weirgate.json")
    })
  )
})

describe("weirgate config schema", () => {
  it.effect("is JSON", () =>
    Effect.gen(function* () {
      assert.strictEqual(JSON.parse(yield* config.schema).title, "Weirgate's configuration")
    })
  )
})
