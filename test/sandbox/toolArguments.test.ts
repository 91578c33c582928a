import { assert, describe, it } from "@effect/vitest"
import { argumentsFor } from "../../src/sandbox/toolArguments.ts"

const filled = (schema: object) =>
  argumentsFor({ type: "object", properties: { value: schema }, required: ["value"] }, "the query")["value"]

describe("toolArguments", () => {
  it("fills the required properties and no others", () => {
    const schema = {
      type: "object",
      properties: { city: { type: "string" }, unit: { type: "string" }, days: { type: "integer" } },
      required: ["city", "days"]
    }
    assert.deepStrictEqual(argumentsFor(schema, "Oslo"), { city: "Oslo", days: 1 })
  })

  it("answers a schema that asks for nothing with nothing", () => {
    for (const schema of [{}, { type: "object" }, undefined, null, "nonsense", []]) {
      assert.deepStrictEqual(argumentsFor(schema, "x"), {})
    }
  })

  it("keeps to what the schema allows", () => {
    assert.strictEqual(filled({ type: "string" }), "the query")
    assert.strictEqual(filled({ type: "string", enum: ["celsius", "kelvin"] }), "celsius")
    assert.strictEqual(filled({ type: "string", maxLength: 3 }), "the")
    assert.strictEqual(filled({ type: "string", minLength: 12 }), "the query...")
    assert.strictEqual(filled({ type: "string", format: "date" }), "2025-01-01")
    assert.strictEqual(filled({ const: 7 }), 7)
    assert.strictEqual(filled({ type: "string", default: "usual" }), "usual")
    assert.strictEqual(filled({ type: "integer", minimum: 5 }), 5)
    assert.strictEqual(filled({ type: "integer", exclusiveMinimum: 5 }), 6)
    assert.strictEqual(filled({ type: "number", maximum: 0.5 }), 0.5)
    assert.strictEqual(filled({ type: "boolean" }), true)
    assert.strictEqual(filled({ type: ["null", "string"] }), null)
    assert.strictEqual(filled({ anyOf: [{ type: "integer" }, { type: "string" }] }), 1)
    assert.deepStrictEqual(filled({ type: "array", items: { type: "integer" }, minItems: 2 }), [1, 1])
    assert.deepStrictEqual(filled({ type: "object", properties: { a: { type: "boolean" } }, required: ["a"] }), {
      a: true
    })
  })

  it("ends, however deep a schema goes", () => {
    const schema: { [key: string]: unknown } = { type: "object", required: ["inner"] }
    schema["properties"] = { inner: schema }
    assert.include(JSON.stringify(argumentsFor(schema, "the end")), "the end")
  })
})
