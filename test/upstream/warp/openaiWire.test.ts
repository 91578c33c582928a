import { assert, describe, it } from "@effect/vitest"
import { ChatEvent } from "../../../src/domain/Chat.ts"
import { chunksOf, completionOf } from "../../../src/upstream/warp/openaiWire.ts"

const answer = { id: "chatcmpl-1", created: 7, model: "auto" }
const text = ChatEvent.Text({ text: "Hel" })
const more = ChatEvent.Text({ text: "lo" })
const thought = ChatEvent.Reasoning({ text: "hm" })
const call = ChatEvent.ToolCalled({ id: "tc1", name: "f", arguments: '{"x":"y"}' })
const finished = (reason: "stop" | "tool_calls" | "length", usage?: { prompt: number; completion: number }) =>
  ChatEvent.Finished({ reason, usage })

describe("a whole answer", () => {
  it("joins its text and states the upstream's own usage", () => {
    const completion = completionOf(answer, [text, more, finished("stop", { prompt: 3, completion: 2 })])
    assert.deepInclude(completion.choices[0]?.message, { role: "assistant", content: "Hello" })
    assert.deepStrictEqual(completion.usage, { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
  })

  it("invents no usage that the upstream did not state", () => {
    assert.notProperty(completionOf(answer, [text, finished("stop")]), "usage")
  })

  it("has null content beside tool calls, and keeps text that came with them", () => {
    const calls = [{ id: "tc1", type: "function", function: { name: "f", arguments: '{"x":"y"}' } }]
    const silent = completionOf(answer, [call, finished("tool_calls")]).choices[0]
    assert.deepInclude(silent?.message, { content: null, tool_calls: calls })
    assert.strictEqual(silent?.finish_reason, "tool_calls")
    const telling = completionOf(answer, [text, call, finished("tool_calls")]).choices[0]
    assert.strictEqual(telling?.message.content, "Hel")
  })

  it("keeps reasoning apart from the answer", () => {
    const message = completionOf(answer, [thought, text, finished("length")]).choices[0]?.message
    assert.deepInclude(message, { content: "Hel", reasoning_content: "hm" })
  })
})

describe("a streamed answer", () => {
  it("numbers its tool calls", () => {
    const [chunk] = chunksOf(answer, call, 1, false)
    assert.deepNestedInclude(chunk, { "choices[0].delta.tool_calls[0].index": 1 })
  })

  it("adds a chunk of usage without choices only when it was asked for", () => {
    const end = finished("stop", { prompt: 1, completion: 1 })
    assert.lengthOf(chunksOf(answer, end, 0, false), 1)
    const [last, usage] = chunksOf(answer, end, 0, true)
    assert.deepNestedInclude(last, { "choices[0].finish_reason": "stop" })
    assert.deepInclude(usage, { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })
  })
})
