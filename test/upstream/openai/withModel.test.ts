import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { withModel } from "../../../src/upstream/openai/withModel.ts"

const replaced = (text: string, model: string) => {
  const json: Readonly<Record<string, unknown>> = JSON.parse(text)
  return Buffer.from(withModel(new TextEncoder().encode(text), json, model)).toString("utf8")
}

/** Keys as they stand in the text, several of them `model` to a parser. */
const keys = [
  '"model"',
  '"mod\\u0065l"',
  '"\\u006d\\u006f\\u0064\\u0065\\u006c"',
  '"Model"',
  '"model "',
  '"\\"model\\""',
  '"submodel"',
  '"mod\\\\u0065l"',
  '"messages"',
  '"é世界🌍"',
  '""'
]

const blanks = ["", " ", "\n\t", "\r\n  "]

/** Values as they stand in the text. */
const values = [
  '"auto"',
  '"a \\"model\\": \\\\"',
  '"\\\\\\\\"',
  '"\\u006d"',
  '{"model":"inner","a":[{"model":1}]}',
  '[["model",{"model":"x"}],"]","}"]',
  '{ "b" : "}{" , "c" : [ ] }',
  '"grüße, 世界 🌍 ' + "x".repeat(100) + '"',
  "null",
  "true",
  "-1.5e-7",
  "12345678901234567890",
  "{}"
]

const Member = Schema.Struct({
  key: Schema.Literals(keys),
  value: Schema.Literals(values),
  blanks: Schema.Tuple([
    Schema.Literals(blanks),
    Schema.Literals(blanks),
    Schema.Literals(blanks),
    Schema.Literals(blanks)
  ])
})

const written = (members: ReadonlyArray<typeof Member.Type>, valueOf: (member: typeof Member.Type) => string) =>
  ` {${members.map((member) => `${member.blanks[0]}${member.key}${member.blanks[1]}:${member.blanks[2]}${valueOf(member)}${member.blanks[3]}`).join(",")}}\n`

describe("withModel", () => {
  it("keeps every byte but the model's", () => {
    assert.strictEqual(
      replaced('{ "model" : "auto",\n\t"n": 1.0, "big": 12345678901234567890, "s": "\\u00e9\\/" }\n', "meta/llama-3.1"),
      '{ "model" : "meta/llama-3.1",\n\t"n": 1.0, "big": 12345678901234567890, "s": "\\u00e9\\/" }\n'
    )
  })

  it("leaves the models of inner objects, and texts that speak of one, alone", () => {
    assert.strictEqual(
      replaced('{"tools":[{"model":"inner"}],"text":"\\"model\\":\\"x\\"","model":"auto"}', "new"),
      '{"tools":[{"model":"inner"}],"text":"\\"model\\":\\"x\\"","model":"new"}'
    )
  })

  it("writes a name that needs it in escapes, so that it is the same in any encoding", () => {
    const written = replaced('{"model":"auto","text":"世界"}', 'a"\\\n世🌍')
    assert.deepStrictEqual(JSON.parse(written), { model: 'a"\\\n世🌍', text: "世界" })
  })

  it("leaves out a byte order mark, and nothing else, however deep the request is", () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
    const text = `{"model":"auto", "n":1.0, "x":${deep}}`
    const bytes = new TextEncoder().encode(`\uFEFF${text}`)
    const replaced = Buffer.from(withModel(bytes, JSON.parse(text), "new")).toString()
    assert.strictEqual(replaced === text.replace("auto", "new"), true)
  })

  it("writes the request anew when it says the model nowhere", () => {
    assert.strictEqual(replaced('{"n":1}', "new"), '{"n":1,"model":"new"}')
    assert.strictEqual(replaced("{}", "new"), '{"model":"new"}')
  })

  it("does not reach beyond bytes that are a part of a larger buffer", () => {
    const larger = new TextEncoder().encode('xx{"model":"auto"}yy')
    assert.strictEqual(
      Buffer.from(withModel(larger.subarray(2, 18), { model: "auto" }, "new")).toString(),
      '{"model":"new"}'
    )
  })

  it.effect.prop(
    "replaces each top-level model, however it is spelled and repeated, and nothing else",
    [Schema.Array(Member)],
    ([members]) =>
      Effect.sync(() => {
        const isModel = ({ key }: typeof Member.Type) => JSON.parse(key) === "model"
        if (!members.some(isModel)) return
        const text = written(members, ({ value }) => value)
        const expected = written(members, (member) => (isModel(member) ? '"a/b"' : member.value))
        assert.strictEqual(replaced(text, "a/b"), expected)
        assert.deepStrictEqual(JSON.parse(replaced(text, "a/b")), { ...JSON.parse(text), model: "a/b" })
      }),
    { arbitrary: { runs: 1_000, size: 12 } }
  )

  it.effect.prop(
    "says what the request said, with another model, for any JSON",
    [Schema.Record(Schema.String, Schema.Json), Schema.String],
    ([request, model]) =>
      Effect.sync(() => {
        const text = JSON.stringify({ ...request, model: "auto" }, undefined, 1)
        assert.deepStrictEqual(JSON.parse(replaced(text, model)), { ...JSON.parse(text), model })
      }),
    { arbitrary: { runs: 300 } }
  )
})
