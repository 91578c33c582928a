import { assert, describe, it } from "@effect/vitest"
import type { Endpoint } from "../../../src/upstream/ModelClient.ts"
import { progressOf, type Said } from "../../../src/upstream/openai/progress.ts"

const event = (data: unknown, name = "") => ({ name, data: typeof data === "string" ? data : JSON.stringify(data) })

const short = (said: Said) =>
  typeof said === "string" ? said : said._tag === "Error" ? `error ${JSON.stringify(said.error)}` : said.reason

/** What each event says, and whether the answer is whole after the last. */
const course = (endpoint: Endpoint, ...events: ReadonlyArray<unknown>) => {
  const progress = progressOf(endpoint)
  return { said: events.map((data) => short(progress.take(event(data)))), isComplete: progress.isComplete, progress }
}

const delta = (piece: object, finish: string | null = null, index = 0) => ({
  object: "chat.completion.chunk",
  choices: [{ index, delta: piece, finish_reason: finish }]
})
const role = delta({ role: "assistant", content: "" })
const hello = delta({ content: "hello" })
const stop = delta({}, "stop")
const done = "[DONE]"

describe("progress of a chat", () => {
  for (const [why, piece] of Object.entries({
    "a text": { content: "x" },
    reasoning: { reasoning_content: "x" },
    "reasoning under its other name": { reasoning: "x" },
    "a call of a tool": {
      tool_calls: [{ index: 0, id: "c", type: "function", function: { name: "f", arguments: "" } }]
    },
    "a refusal": { refusal: "no" },
    "a call of a function": { function_call: { name: "f" } },
    "a piece of sound": { audio: { data: "AA==" } }
  })) {
    it(`begins with ${why}`, () =>
      assert.deepStrictEqual(course("/chat/completions", role, delta(piece)).said, ["nothing", "content"]))
  }

  for (const [why, piece] of Object.entries({
    "a role": role,
    "an empty text": delta({ role: "assistant", content: "", refusal: null, tool_calls: [], reasoning_content: null }),
    "a choice without anything": { choices: [{ index: 0 }] },
    "what the filter found in the question": { choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
    "a count": { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } },
    "an object of another kind": { type: "ping" },
    "a status of success": { code: 0, message: "Success", choices: [{ index: 0, delta: { content: "" } }] }
  })) {
    it(`does not begin with ${why}`, () => assert.deepStrictEqual(course("/chat/completions", piece).said, ["nothing"]))
  }

  it("begins with a reason to finish, when there is nothing else", () => {
    assert.deepStrictEqual(course("/chat/completions", role, stop, done).said, ["nothing", "content", "last"])
  })

  it("is whole when each choice that began has finished, and not before", () => {
    const two = [delta({ content: "a" }), delta({ content: "b" }, null, 1), stop] as const
    assert.isFalse(course("/chat/completions", ...two).isComplete)
    assert.deepStrictEqual(course("/chat/completions", ...two, done).said.at(-1), "cut")
    const finished = course("/chat/completions", ...two, delta({}, "length", 1), done)
    assert.isTrue(finished.isComplete)
    assert.deepStrictEqual(finished.said.at(-1), "last")
  })

  it("stays whole when a server goes on to speak of a choice that has finished", () => {
    const late = { ...delta({ content: "" }), usage: { prompt_tokens: 3, completion_tokens: 5 } }
    const { isComplete, progress, said } = course("/chat/completions", hello, stop, late, done)
    assert.isTrue(isComplete)
    assert.strictEqual(said.at(-1), "last")
    assert.deepStrictEqual(progress.usage, { prompt: 3, completion: 5 })
  })

  it("takes the word of a server that gives no reasons for its end, but only after it has said something", () => {
    assert.strictEqual(course("/chat/completions", hello, done).said.at(-1), "last")
    assert.strictEqual(
      course(
        "/chat/completions",
        { choices: [{ index: 0, delta: { content: "x" }, finish_reason: "" }] },
        done
      ).said.at(-1),
      "last"
    )
    assert.strictEqual(course("/chat/completions", role, done).said.at(-1), "cut")
    assert.strictEqual(course("/chat/completions", done).said.at(-1), "cut")
  })

  it("is not whole before it has begun", () => {
    assert.isFalse(course("/chat/completions", role).isComplete)
    assert.isFalse(course("/chat/completions", { choices: [] }).isComplete)
  })

  it("has failed when it has more choices than anybody asks for", () => {
    const choices = Array.from({ length: 1_025 }, (_, index) => ({ index, delta: { content: "x" } }))
    assert.deepStrictEqual(course("/chat/completions", { choices: choices.slice(1) }, { choices }).said, [
      "content",
      "malformed"
    ])
  })

  it("keeps the last count that it was told", () => {
    const { progress } = course(
      "/chat/completions",
      { ...hello, usage: { prompt_tokens: 10, completion_tokens: 1 } },
      { ...hello, usage: null },
      { choices: [], usage: { prompt_tokens: 10, completion_tokens: 7 } },
      hello
    )
    assert.deepStrictEqual(progress.usage, { prompt: 10, completion: 7 })
  })

  for (const reason of ["error", "network_error", "insufficient_system_resource"]) {
    it(`has failed when it finishes for ${reason}`, () => {
      assert.deepStrictEqual(course("/chat/completions", hello, delta({}, reason)).said, ["content", "internal"])
    })
  }

  for (const [why, data, said] of [
    ["an error", { error: { message: "x" } }, 'error {"error":{"message":"x"}}'],
    ["an error in a word", { error: "x" }, 'error {"error":"x"}'],
    ["an error beside a choice", { ...delta({ content: "" }), error: { code: 502 } }, undefined],
    ["vLLM's error", { object: "error", message: "x", code: 400 }, undefined],
    ["SiliconFlow's error", { code: 50505, message: "x" }, undefined],
    ["a problem", { status: 500, title: "x" }, undefined],
    ["Anthropic's error", { type: "error", error: { type: "overloaded_error" } }, undefined],
    ["MiniMax's error", { choices: [], base_resp: { status_code: 1002 } }, undefined]
  ] as const) {
    it(`has failed with ${why}`, () => {
      const [last] = course("/chat/completions", data).said
      assert.isTrue(last?.startsWith("error "))
      if (said !== undefined) assert.strictEqual(last, said)
    })
  }

  it("has failed with an event that calls itself one, whatever it holds", () => {
    const progress = progressOf("/chat/completions")
    assert.deepStrictEqual(progress.take(event("out of luck", "error")), { _tag: "Error", error: "out of luck" })
    assert.deepStrictEqual(progress.take(event({ message: "x" }, "error")), { _tag: "Error", error: { message: "x" } })
  })

  it("has no use for what is no JSON object", () => {
    for (const data of ["{", "nonsense", "1", "null", '"text"', "[]"]) {
      assert.deepStrictEqual(course("/chat/completions", data).said, ["malformed"])
    }
  })

  it("passes over events without data", () => {
    const progress = progressOf("/chat/completions")
    assert.strictEqual(progress.take({ name: "ping", data: undefined }), "nothing")
    assert.strictEqual(progress.take({ name: "", data: "" }), "nothing")
  })
})

describe("progress of a completion", () => {
  it("begins with a text", () => {
    const { isComplete, said } = course(
      "/completions",
      { choices: [{ index: 0, text: "", finish_reason: null }] },
      { choices: [{ index: 0, text: "x", finish_reason: null }] },
      { choices: [{ index: 0, text: "", finish_reason: "stop" }] },
      done
    )
    assert.deepStrictEqual(said, ["nothing", "content", "content", "last"])
    assert.isTrue(isComplete)
  })
})

describe("progress of a response", () => {
  const created = { type: "response.created", response: { id: "r", error: null, usage: null } }
  const progress = { type: "response.in_progress", response: {} }
  const item = { type: "response.output_item.added", item: {} }
  const text = { type: "response.output_text.delta", delta: "x" }
  const call = { type: "response.function_call_arguments.delta", delta: "{" }
  const completed = { type: "response.completed", response: { usage: { input_tokens: 4, output_tokens: 6 } } }

  it("begins with its output, not with the news that it is being made", () => {
    assert.deepStrictEqual(course("/responses", created, { type: "response.queued" }, progress).said, [
      "nothing",
      "nothing",
      "nothing"
    ])
    for (const first of [item, text, call])
      assert.deepStrictEqual(course("/responses", created, first).said, ["nothing", "content"])
  })

  it("ends with the event that says so, and counts what that says", () => {
    const ended = course("/responses", created, text, completed)
    assert.deepStrictEqual(ended.said, ["nothing", "content", "last"])
    assert.deepStrictEqual(ended.progress.usage, { prompt: 4, completion: 6 })
    assert.strictEqual(course("/responses", { ...completed, type: "response.incomplete" }).said[0], "last")
  })

  it("is never whole for want of that event, and needs no other", () => {
    const open = course("/responses", created, text, { type: "response.output_text.done" })
    assert.isFalse(open.isComplete)
    assert.strictEqual(open.progress.terminator, "")
    assert.deepStrictEqual(course("/responses", text, done).said, ["content", "cut"])
  })

  it("has failed when it says so", () => {
    const error = { code: "server_error", message: "x" }
    assert.deepStrictEqual(course("/responses", { type: "response.failed", response: { error } }).said, [
      `error ${JSON.stringify({ error })}`
    ])
    assert.isTrue(
      course("/responses", { type: "error", code: "rate_limit_exceeded", message: "x" }).said[0]?.startsWith("error")
    )
    assert.deepStrictEqual(course("/responses", { type: "response.cancelled", response: {} }).said, ["cut"])
  })
})
