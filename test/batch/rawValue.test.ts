import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { rawValue } from "../../src/batch/rawValue.ts"

describe("the raw value of a key", () => {
  it("is what is written, to the last digit", () => {
    const text = '{ "a": [1, {"body": 2}], "body" : {"seed": 12345678901234567890, "t": 1.0}, "c": "}" }'
    assert.strictEqual(rawValue(text, "body"), '{"seed": 12345678901234567890, "t": 1.0}')
    assert.strictEqual(rawValue(text, "a"), '[1, {"body": 2}]')
    assert.strictEqual(rawValue(text, "c"), '"}"')
    assert.strictEqual(rawValue('{"body":1}', "body"), "1")
    assert.isUndefined(rawValue("{}", "body"))
    assert.isUndefined(rawValue(text, "seed"))
  })

  it("is the last of two, and found however its key is spelled, as JSON.parse has it", () => {
    assert.strictEqual(rawValue('{"body":1,"x":"\\\\","b\\u006fdy":{"model":"\\""}}', "body"), '{"model":"\\""}')
  })

  it("is found behind a byte order mark", () => {
    assert.strictEqual(rawValue('\uFEFF{"body":[]}', "body"), "[]")
  })

  it.prop(
    "says the same as JSON.parse does, of any object, however it is spaced",
    [Schema.Record(Schema.String, Schema.Json), Schema.Literals(["", " ", "\t"])],
    ([json, space]) => {
      const text = JSON.stringify(json, undefined, space)
      for (const key of [...Object.keys(json), "absent"]) {
        const raw = rawValue(text, key)
        const parsed: unknown = JSON.parse(text)[key]
        assert.deepStrictEqual(raw === undefined ? undefined : JSON.parse(raw), parsed)
      }
    }
  )
})
