import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { answer, pieces } from "../../src/sandbox/modelAnswer.ts"
import type { Question } from "../../src/sandbox/modelAnswer.ts"

const asked = (question: Partial<Question>) =>
  answer({ query: "", systemPrompt: undefined, tools: [], toolResults: [], ...question })

const weather = {
  name: "get_weather",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}
const clock = { name: "clock", schema: {} }
const names = (question: Partial<Question>) => asked(question).toolCalls.map(({ name }) => name)

describe("modelAnswer", () => {
  it("quotes the question", () => {
    assert.strictEqual(asked({ query: "Grüß Gott" }).text, `You said: "Grüß Gott"`)
  })

  it("mentions the system prompt", () => {
    assert.strictEqual(
      asked({ query: "hi", systemPrompt: "be brief" }).text,
      `You said: "hi"\nMy instructions: "be brief"`
    )
  })

  it("quotes what tools answered, and calls none again", () => {
    const { text, toolCalls } = asked({
      query: "and then get_weather",
      tools: [weather],
      toolResults: [
        { text: "12 °C", failed: false },
        { text: "no such city", failed: true }
      ]
    })
    assert.strictEqual(
      text,
      `The tool answered: "12 °C"\nThe tool failed: "no such city"\nYou said: "and then get_weather"`
    )
    assert.lengthOf(toolCalls, 0)
  })

  it("calls the tools a question names, with the question as argument", () => {
    assert.deepStrictEqual(asked({ query: "please GET_WEATHER", tools: [clock, weather] }), {
      reasoning: undefined,
      text: "",
      toolCalls: [{ name: "get_weather", args: { city: "please GET_WEATHER" } }]
    })
    assert.deepStrictEqual(names({ query: "get_weather and clock", tools: [clock, weather] }), ["clock", "get_weather"])
  })

  it("calls a tool the question is plainly about, or any when asked for any, and otherwise none", () => {
    assert.deepStrictEqual(names({ query: "What is the weather in Oslo?", tools: [clock, weather] }), ["get_weather"])
    assert.deepStrictEqual(names({ query: "call a tool", tools: [clock, weather] }), ["clock"])
    assert.deepStrictEqual(names({ query: "hello", tools: [clock, weather] }), [])
    assert.deepStrictEqual(names({ query: "call a tool" }), [])
  })

  it("thinks first when asked to reason", () => {
    assert.isString(asked({ query: "reason: why?" }).reasoning)
    assert.isUndefined(asked({ query: "why?" }).reasoning)
  })

  it("counts as far as it is asked to, within reason", () => {
    assert.strictEqual(asked({ query: "Count to 3" }).text, "1 2 3")
    assert.isTrue(asked({ query: "count to 999999999" }).text.endsWith(" 10000"))
  })

  it.prop(
    "cuts a text into pieces that put together are the text",
    { text: Schema.String, most: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })) },
    ({ most, text }) => {
      assert.strictEqual(pieces(text, most).join(""), text)
      assert.isAtMost(pieces(text, most).length, most)
    },
    { arbitrary: { runs: 1_000 } }
  )

  it("streams word by word", () => {
    assert.deepStrictEqual(pieces(`You said: "hi there"`), ["You", " said:", ` "hi`, ` there"`])
  })
})
