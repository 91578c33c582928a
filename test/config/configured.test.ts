import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted, Result } from "effect"
import { configured, variablesOf } from "../../src/config/configured.ts"
import { parse } from "../../src/config/SettingsFile.ts"
import { defaultTimeouts } from "../../src/domain/Provider.ts"

const url = "https://api.example.com/v1"
const upstream = { name: "one", kind: "openai", baseUrl: url }
const key = { env: "ONE" }
const warpUrls = { baseUrl: "http://127.0.0.1:1", identityUrl: "http://127.0.0.1:1", tokenUrl: "http://127.0.0.1:1" }
const warp = { ...warpUrls, firebaseApiKey: { env: "WARP_KEY" } }
const everySecret = (name: string) => Redacted.make(`synthetic ${name}`)

const read = (file: unknown) => Result.getOrThrow(parse(JSON.stringify(file)))
const made = (file: unknown) => {
  const { configured: values, problems } = configured(read(file), everySecret)
  assert.deepStrictEqual(problems, [])
  return values
}
/** The paths of all that is wrong, be it the shape or what stands against what. */
const wrong = (file: unknown, secretOf = everySecret) => {
  const shape = parse(JSON.stringify(file))
  const problems = Result.isFailure(shape) ? shape.failure : configured(shape.success, secretOf).problems
  return problems.map(({ field }) => field)
}

describe("providers", () => {
  it("are usable with a name, a kind and a base URL: limits are learned, timeouts are the usual ones", () => {
    const [provider] = made({ providers: [upstream] }).providers
    assert.deepInclude(provider, {
      kind: "openai",
      name: "one",
      baseUrl: url,
      models: undefined,
      limits: { concurrency: "unknown", rpm: "unknown", tpm: "unlimited" }
    })
    assert.deepStrictEqual(provider?.timeouts.idle, Duration.fromInputUnsafe(defaultTimeouts.idle))
    const keys = provider?.kind === "openai" ? provider.keys : []
    assert.deepStrictEqual(
      keys.map(({ name, secret }) => [name, Redacted.value(secret)]),
      [["keyless:1", ""]]
    )
  })

  it("have the limits and timeouts that are written", () => {
    const limits = { concurrency: 5, rpm: "unlimited", tpm: 100_000 }
    const [provider] = made({ providers: [{ ...upstream, ...limits, timeouts: { idle: "3 seconds" } }] }).providers
    assert.deepStrictEqual<unknown>(provider?.limits, limits)
    assert.deepStrictEqual(provider?.timeouts.idle, Duration.seconds(3))
    assert.deepStrictEqual(provider?.timeouts.total, Duration.fromInputUnsafe(defaultTimeouts.total))
  })

  it("have keys that are named after their variables or their places, never after the secrets", () => {
    const keys = ["synthetic x", key, { env: "TWO", kind: "personal" }, "synthetic y"]
    const values = made({ providers: [{ ...upstream, baseUrl: "http://127.0.0.1:1/v1/", keys }] })
    const [provider] = values.providers
    assert.strictEqual(provider?.kind, "openai")
    if (provider?.kind !== "openai") return
    assert.strictEqual(provider.baseUrl, "http://127.0.0.1:1/v1")
    assert.deepStrictEqual(
      provider.keys.map(({ kind, name, secret }) => [name, kind, Redacted.value(secret)]),
      [
        ["literal:1", "shared", "synthetic x"],
        ["env:ONE", "shared", "synthetic ONE"],
        ["env:TWO", "personal", "synthetic TWO"],
        ["literal:2", "shared", "synthetic y"]
      ]
    )
    assert.notInclude(JSON.stringify(values), "synthetic")
  })

  it("of kind warp have the limits of their tokens alone, and are what the short form is short for", () => {
    const long = made({ providers: [upstream, { name: "warp", kind: "warp", ...warp, models: ["auto"] }] })
    const short = made({ warp, providers: [upstream] })
    assert.deepStrictEqual(long.warp, short.warp)
    assert.deepStrictEqual(
      [long, short].map(({ providers }) => providers.map(({ limits, models, name }) => [name, limits.rpm, models])),
      [
        [
          ["one", "unknown", undefined],
          ["warp", "unlimited", ["auto"]]
        ],
        [
          ["one", "unknown", undefined],
          ["warp", "unlimited", undefined]
        ]
      ]
    )
  })

  it("use the sandbox when one says so, or when there is none: then it plays Warp", () => {
    const uses = (file: unknown) => made(file).usesSandbox
    assert.isFalse(uses({ providers: [upstream] }))
    assert.isFalse(uses({ warp }))
    assert.isTrue(uses({ providers: [upstream, { ...upstream, name: "two", baseUrl: "sandbox:/zhipu/v1" }] }))
    assert.isTrue(uses({}))
    const { providers, warp: reached } = made({ providers: [] })
    assert.deepStrictEqual(
      providers.map(({ kind, name }) => [kind, name]),
      [["warp", "warp"]]
    )
    assert.isUndefined(reached)
  })

  it("name the variables that are to be looked up", () => {
    const file = read({
      server: { apiKeys: [{ env: "CLIENT" }] },
      providers: [{ ...upstream, keys: [key] }],
      warp,
      tokens: [{ name: "mine", provider: "warp", kind: "personal", refreshToken: { env: "MINE" } }]
    })
    assert.sameMembers([...variablesOf(file)], ["CLIENT", "ONE", "WARP_KEY", "MINE"])
  })

  it("are refused where the secret is missing, by its place and the variable's name", () => {
    const file = read({ providers: [{ ...upstream, keys: [key, { env: "TWO" }] }] })
    const { problems } = configured(file, (name) => (name === "ONE" ? everySecret(name) : undefined))
    assert.deepInclude(problems[0], { field: "providers[0].keys[1].env", variable: "TWO" })
    assert.lengthOf(problems, 1)
  })
})

const providers = (...changes: ReadonlyArray<object>) => ({
  providers: changes.map((change, i) => ({ ...upstream, name: `p${i}`, ...change }))
})
const routed = (...targets: ReadonlyArray<string>) => ({
  ...providers({ models: ["m", "meta/m"] }, {}),
  routes: [{ model: "expert", targets }]
})

describe("what stands against what", () => {
  it.each([
    ["a name twice", providers({ name: "one" }, { name: "two" }, { name: "one" }), "providers[2].name"],
    ["the name of another kind", providers({ name: "warp" }), "providers[0].name"],
    ["a name with a slash", providers({ name: "a/b" }), "providers[0].name"],
    ["another name for Warp", { providers: [{ name: "w", kind: "warp", ...warp }] }, "providers[0].name"],
    ["a kind that there is not", providers({ kind: "grpc" }), "providers[0].kind"],
    ["Warp twice", { warp, providers: [{ name: "warp", kind: "warp", ...warp }] }, "warp"],
    ["a model twice", providers({ models: ["a", "b", "a"] }), "providers[0].models[2]"],
    ["a list of no models", providers({ models: [] }), "providers[0].models"],
    ["a list of no keys", providers({ keys: [] }), "providers[0].keys"],
    ["a key in clear for the internet", providers({}, { keys: [key, "synthetic"] }), "providers[1].keys[1]"],
    [
      "a key in clear for a neighbour",
      providers({ baseUrl: "http://10.0.0.1", keys: ["synthetic"] }),
      "providers[0].keys[0]"
    ],
    ["an empty key", providers({ baseUrl: "http://127.0.0.1", keys: [""] }), "providers[0].keys[0]"],
    ["a key's kind", providers({ keys: [{ env: "A", kind: "stolen" }] }), "providers[0].keys[0].kind"],
    ["a variable twice", providers({ keys: [key, { env: "B" }, key] }), "providers[0].keys[2].env"],
    ["clear text over the internet", providers({ baseUrl: "http://api.example.com/v1" }), "providers[0].baseUrl"],
    [
      "a webhook in clear text",
      { alerts: { webhook: { url: "http://example.com/hook", secret: { env: "S" } } } },
      "alerts.webhook.url"
    ],
    [
      "a webhook with a password",
      { alerts: { webhook: { url: "https://a:b@example.com", secret: { env: "S" } } } },
      "alerts.webhook.url"
    ],
    [
      "a webhook's secret in the file",
      { alerts: { webhook: { url: "https://example.com", secret: "synthetic" } } },
      "alerts.webhook.secret"
    ],
    [
      "a webhook that cannot be signed",
      { alerts: { webhook: { url: "https://example.com" } } },
      "alerts.webhook.secret"
    ],
    ["Warp in clear text", { warp: { ...warp, tokenUrl: "http://example.com" } }, "warp.tokenUrl"],
    ["a limit of nothing", providers({ rpm: 0 }), "providers[0].rpm"],
    ["half a place", providers({ concurrency: 1.5 }), "providers[0].concurrency"],
    ["a limit in words", providers({ tpm: "many" }), "providers[0].tpm"],
    ["a phase of no time", providers({ timeouts: { connect: "0 seconds" } }), "providers[0].timeouts.connect"],
    ["a phase of two days", providers({ timeouts: { idle: "2 days" } }), "providers[0].timeouts.idle"],
    ["a phase in numbers", providers({ timeouts: { total: 30 } }), "providers[0].timeouts.total"],
    ["a field nobody knows", providers({ rpn: 5 }), "providers[0].rpn"],
    ["a target at nobody", routed("p0/m", "p7/m"), "routes[0].targets[1]"],
    ["a target not listed", routed("p0/n"), "routes[0].targets[0]"],
    ["a target without a model", routed("p1/"), "routes[0].targets[0]"],
    ["a target twice", routed("p0/m", "p1/m", "p0/m"), "routes[0].targets[2]"],
    ["no target", routed(), "routes[0].targets"],
    [
      "a route twice",
      {
        ...providers({}),
        routes: [
          { model: "m", targets: ["p0/a"] },
          { model: "m", targets: ["p0/b"] }
        ]
      },
      "routes[1].model"
    ],
    [
      "tokens without Warp",
      { ...providers({}), tokens: [{ name: "a", provider: "warp", kind: "personal", refreshToken: { env: "T" } }] },
      "tokens[0].provider"
    ]
  ] as const)("refuses %s by its path", (_, file, field) => assert.deepStrictEqual(wrong(file), [field]))

  it("tells all that is wrong at once", () => {
    const file = { ...providers({ rpm: 0, name: "" }, { keys: [{ env: "A", kind: "x" }] }), route: [] }
    assert.sameMembers(wrong(file), ["route", "providers[0].rpm", "providers[0].name", "providers[1].keys[0].kind"])
    const apart = { ...routed("p7/m", "p0/n"), warp: { ...warp, tokenUrl: "http://example.com" } }
    assert.sameMembers(wrong(apart), ["routes[0].targets[0]", "routes[0].targets[1]", "warp.tokenUrl"])
  })

  it("takes plain http near by, and to the internet only when the operator says so", () => {
    for (const baseUrl of ["http://127.0.0.1:1/v1", "http://10.0.0.1/v1", "http://ollama:11434/v1"]) {
      assert.deepStrictEqual(wrong(providers({ baseUrl, keys: [key] })), [])
    }
    assert.deepStrictEqual(wrong(providers({ baseUrl: "http://api.example.com", allowInsecure: true })), [])
  })

  it("splits a target at its first slash", () => {
    const { routes } = made(routed("p0/meta/m", "p1/any/thing/else"))
    assert.deepStrictEqual(routes, [
      {
        model: "expert",
        targets: [
          { provider: "p0", model: "meta/m" },
          { provider: "p1", model: "any/thing/else" }
        ]
      }
    ])
  })

  it("accepts what an editor needs", () => {
    assert.deepStrictEqual(wrong({ $schema: "./weirgate.schema.json" }), [])
  })
})

describe("alerts", () => {
  it("reach a webhook whose URL may have a query, near by in plain http", () => {
    assert.isUndefined(made({}).alerts.webhook)
    const urls = [
      "https://example.com/hook?channel=1",
      "http://127.0.0.1:1/",
      "http://10.0.0.1/hook",
      "http://hooks:8080"
    ]
    for (const url of urls) {
      const file = { alerts: { webhook: { url, secret: { env: "S" } } } }
      const { webhook } = made(file).alerts
      assert.strictEqual(webhook?.url, url)
      assert.strictEqual(webhook && Redacted.value(webhook.secret), "synthetic S")
      assert.deepStrictEqual([...variablesOf(read(file))], ["S"])
    }
  })
})

describe("traffic", () => {
  it("has defaults, and each of them can be written", () => {
    assert.deepStrictEqual(made({}).traffic, {
      attempts: 5,
      timeout: Duration.minutes(10),
      maxWait: Duration.seconds(65),
      queue: { limit: 1_000, ageing: Duration.seconds(5) }
    })
    const traffic = { attempts: 2, timeout: "1 minute", maxWait: "1 second", queue: { limit: 3, ageing: "2 seconds" } }
    assert.deepStrictEqual(made({ traffic }).traffic, {
      attempts: 2,
      timeout: Duration.minutes(1),
      maxWait: Duration.seconds(1),
      queue: { limit: 3, ageing: Duration.seconds(2) }
    })
  })
})
