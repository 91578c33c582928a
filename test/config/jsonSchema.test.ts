import { assert, describe, it } from "@effect/vitest"
import { JsonSchema, Result, Schema, SchemaRepresentation } from "effect"
import { readFileSync } from "node:fs"
import { jsonSchema } from "../../src/config/jsonSchema.ts"
import { parse } from "../../src/config/SettingsFile.ts"

/** A validator made of the printed schema alone. */
const validator = Schema.decodeUnknownResult(
  SchemaRepresentation.fromJsonSchemaDocument(
    JsonSchema.fromSchemaDraft2020_12(JSON.parse(JSON.stringify(jsonSchema()))),
    { patterns: "apply" }
  ) as Schema.Codec<unknown>
)
const isValid = (file: unknown) => Result.isSuccess(validator(file, { onExcessProperty: "error" }))
const isRead = (file: unknown) => Result.isSuccess(parse(JSON.stringify(file)))

const provider = { name: "one", kind: "openai", baseUrl: "https://api.example.com/v1" }
const url = "https://example.com"
const warp = { baseUrl: url, identityUrl: url, tokenUrl: url, firebaseApiKey: { env: "KEY" } }
const withProvider = (change: object) => ({ providers: [{ ...provider, ...change }] })

describe("the JSON Schema", () => {
  it("says which draft it is of", () => {
    assert.strictEqual(jsonSchema()["$schema"], "https://json-schema.org/draft/2020-12/schema")
  })

  it("accepts the file of the five providers, as the server does", () => {
    const file = JSON.parse(readFileSync("scripts/five-providers.json", "utf8"))
    assert.isTrue(isValid(file))
    assert.isTrue(isRead(file))
  })

  it.each([
    {},
    { $schema: "./weirgate.schema.json" },
    { server: { apiKeys: [{ env: "A", name: "alice", priority: 9, timeout: "30 seconds" }] } },
    { traffic: { attempts: 3, timeout: "1 minute", maxWait: "5 seconds", queue: { limit: 5, ageing: "1 second" } } },
    { traces: { sample: 0, failures: 1_000 } },
    { warp },
    { providers: [{ name: "warp", kind: "warp", ...warp, concurrency: 3 }] },
    withProvider({ keys: ["synthetic", { env: "A" }, { env: "B", kind: "personal" }] }),
    withProvider({ concurrency: "unlimited", rpm: 5, tpm: 1, timeouts: { firstToken: "1.5 seconds" } }),
    { routes: [{ model: "expert", targets: ["one/meta/m"] }] }
  ])("accepts %j, as the server does", (file) => {
    assert.isTrue(isRead(file))
    assert.isTrue(isValid(file))
  })

  it.each([
    [],
    { server: { prot: 1 } },
    { server: { port: 65_536 } },
    { server: { apiKeys: ["synthetic"] } },
    { server: { apiKeys: [{ env: "not a name" }] } },
    { server: { apiKeys: [{ env: "A", priority: 10 }] } },
    { server: { drain: "soon" } },
    { acquisition: { preset: "lax" } },
    { tokens: [{ name: "a", provider: "one", kind: "personal", refreshToken: { env: "T" } }] },
    { warp: { ...warp, firebaseApiKey: "synthetic" } },
    { warp: { ...warp, baseUrl: "ftp://example.com" } },
    { providers: [{ name: "w", kind: "warp", ...warp }] },
    withProvider({ kind: "grpc" }),
    withProvider({ name: "One/Two" }),
    withProvider({ baseUrl: "example.com/v1" }),
    withProvider({ keys: [] }),
    withProvider({ keys: [{ env: "A", secret: "synthetic" }] }),
    withProvider({ rpm: 0 }),
    withProvider({ rpm: "learned" }),
    withProvider({ rpn: 5 }),
    withProvider({ models: [] }),
    withProvider({ models: ["a", "a"] }),
    withProvider({ timeouts: { conect: "1 second" } }),
    { routes: [{ model: "expert", targets: [] }] },
    { routes: [{ model: "expert", targets: ["one"] }] },
    { routes: [{ model: "expert", targets: ["a/b", "a/b"] }] },
    { traces: { sample: -1 } },
    { traffic: { attempts: 0 } }
  ])("refuses %j, as the server does", (file) => {
    assert.isFalse(isRead(file))
    assert.isFalse(isValid(file))
  })

  it("lets an editor show what every field of a provider, a route, a client and the traffic means", () => {
    const { properties } = jsonSchema() as { properties: Record<string, Shape> }
    for (const name of ["providers", "routes", "traffic"]) assert.isString(properties[name]?.description, name)
    const [openai] = properties["providers"]?.items?.anyOf ?? []
    for (const shape of [openai, properties["routes"]?.items, properties["traffic"]]) {
      for (const [name, field] of Object.entries(shape?.properties ?? {})) {
        if (name !== "kind") assert.isString(field.description, name)
      }
      assert.isFalse(shape?.additionalProperties)
    }
    assert.include(openai?.properties?.["timeouts"]?.properties?.["idle"]?.description, "Default: 1 minute")
  })

  it("has a secret written nowhere but, for this machine, as a provider's key", () => {
    const { properties } = jsonSchema() as { properties: Record<string, Shape> }
    const secrets = [
      properties["server"]?.properties?.["apiKeys"]?.items,
      properties["warp"]?.properties?.["firebaseApiKey"],
      properties["wopan"]?.properties?.["clientSecret"],
      properties["wopan"]?.properties?.["iv"],
      ...(properties["tokens"]?.items?.anyOf ?? []).map((token) => token.properties?.["refreshToken"]),
      properties["tokens"]?.items?.anyOf?.[1]?.properties?.["accessToken"]
    ]
    assert.lengthOf(secrets, 7)
    for (const secret of secrets) {
      assert.strictEqual(secret?.type, "object")
      assert.isTrue(secret?.required?.includes("env"))
      assert.isFalse(secret?.additionalProperties)
    }
  })
})

interface Shape {
  readonly type?: string
  readonly description?: string
  readonly properties?: Record<string, Shape>
  readonly required?: ReadonlyArray<string>
  readonly items?: Shape
  readonly anyOf?: ReadonlyArray<Shape>
  readonly additionalProperties?: boolean
}
