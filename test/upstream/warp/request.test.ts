import { fromBinary, toJson } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { ChatRequest } from "../../../src/domain/Chat.ts"
import { encodeRequest, toRequest } from "../../../src/upstream/warp/request.ts"
import { RequestSchema } from "../../../src/upstream/warp/warp_pb.ts"

const context = { provider: "warp", taskId: "task" }
const decode = Schema.decodeUnknownSync(ChatRequest)

/** The request as Protobuf's JSON, read back from the bytes that would be sent. */
const sent = (chat: unknown) =>
  toJson(RequestSchema, fromBinary(RequestSchema, Result.getOrThrow(encodeRequest(decode(chat), context)))) as {
    readonly [field: string]: unknown
  }

const refused = (chat: unknown) => Result.getOrThrow(Result.flip(toRequest(decode(chat), context)))

const hi = { role: "user", content: "hi" }
const call = (id: string, args: string, name = "f") => ({ id, type: "function", function: { name, arguments: args } })
const tool = (name: string, parameters?: object) => ({
  type: "function",
  function: { name, description: `does ${name}`, ...(parameters && { parameters }) }
})
const text = (value: string) => ({ success: { results: [{ text: { text: value } }] } })

describe("toRequest", () => {
  it("says a single question exactly as the golden vector does", () => {
    const bytes = Result.getOrThrow(encodeRequest(decode({ model: "auto", messages: [hi] }), context))
    assert.strictEqual(
      Buffer.from(bytes).toString("hex"),
      "0a00120a32080a060a040a0268691a0b0a060a046175746f4a01092220121e0a0a656e747279706f696e7412101a0e555345525f494e49544941544544"
    )
  })

  it("joins system and developer messages into the last question's SYSTEM_PROMPT", () => {
    const request = sent({
      model: "auto",
      messages: [
        { role: "system", content: "one" },
        { role: "user", content: "first" },
        { role: "assistant", content: "answer" },
        { role: "user", content: "second" },
        {
          role: "developer",
          content: [
            { type: "text", text: "tw" },
            { type: "text", text: "o" }
          ]
        },
        { role: "user", content: "third" }
      ]
    })
    assert.deepStrictEqual(request["input"], {
      userInputs: {
        inputs: [
          { userQuery: { query: "second" } },
          { userQuery: { query: "third", referencedAttachments: { SYSTEM_PROMPT: { plainText: "one\n\ntwo" } } } }
        ]
      }
    })
    assert.deepStrictEqual(request["taskContext"], {
      tasks: [
        {
          id: "task",
          messages: [
            { id: "task-1", taskId: "task", userQuery: { query: "first" } },
            { id: "task-2", taskId: "task", agentOutput: { text: "answer" } }
          ]
        }
      ]
    })
  })

  it("tells tool calls and their results in the history, and sends the newest results as inputs", () => {
    const request = sent({
      model: "gpt-5",
      messages: [
        { role: "system", content: "be brief" },
        hi,
        { role: "assistant", content: "let me see", tool_calls: [call("c1", `{"x":{"y":[1,null,true]}}`)] },
        { role: "tool", tool_call_id: "c1", content: "r1" },
        { role: "assistant", content: null, tool_calls: [call("c2", "{}", "g"), call("c3", `{"z":"é"}`)] },
        { role: "tool", tool_call_id: "c3", content: "r3" },
        { role: "tool", tool_call_id: "c2", content: [{ type: "text", text: "r2" }] }
      ]
    })
    assert.deepStrictEqual(request["taskContext"], {
      tasks: [
        {
          id: "task",
          messages: [
            {
              id: "task-1",
              taskId: "task",
              // No question is new, so the last one carries the prompt.
              userQuery: { query: "hi", referencedAttachments: { SYSTEM_PROMPT: { plainText: "be brief" } } }
            },
            { id: "task-2", taskId: "task", agentOutput: { text: "let me see" } },
            {
              id: "task-3",
              taskId: "task",
              toolCall: { toolCallId: "c1", callMcpTool: { name: "f", args: { x: { y: [1, null, true] } } } }
            },
            { id: "task-4", taskId: "task", toolCallResult: { toolCallId: "c1", callMcpTool: text("r1") } },
            { id: "task-5", taskId: "task", toolCall: { toolCallId: "c2", callMcpTool: { name: "g", args: {} } } },
            {
              id: "task-6",
              taskId: "task",
              toolCall: { toolCallId: "c3", callMcpTool: { name: "f", args: { z: "é" } } }
            }
          ]
        }
      ]
    })
    assert.deepStrictEqual(request["input"], {
      userInputs: {
        inputs: [
          { toolCallResult: { toolCallId: "c3", callMcpTool: text("r3") } },
          { toolCallResult: { toolCallId: "c2", callMcpTool: text("r2") } }
        ]
      }
    })
  })

  it("numbers a tool result 16 in the history and 12 in the input", () => {
    const bytes = Result.getOrThrow(
      encodeRequest(
        decode({
          model: "auto",
          messages: [
            hi,
            { role: "assistant", tool_calls: [call("c1", "{}")] },
            { role: "tool", tool_call_id: "c1", content: "old" },
            { role: "assistant", tool_calls: [call("c2", "{}")] },
            { role: "tool", tool_call_id: "c2", content: "new" }
          ]
        }),
        context
      )
    )
    const hex = Buffer.from(bytes).toString("hex")
    // tool_call_id = 1, then the result under its number: 16 as 82 01, 12 as 62.
    assert.include(hex, "0a02633182010b0a090a070a050a036f6c64")
    assert.include(hex, "0a026332620b0a090a070a050a036e6577")
  })

  it("offers tools with their schemas, and MCP's empty one when there is none", () => {
    const schema = { type: "object", properties: { city: { type: "string", enum: ["a", "b"] } }, required: ["city"] }
    const request = sent({ model: "auto", messages: [hi], tools: [tool("weather", schema), tool("clock")] })
    assert.deepStrictEqual(request["mcpContext"], {
      tools: [
        { name: "weather", description: "does weather", inputSchema: schema },
        { name: "clock", description: "does clock", inputSchema: { type: "object", properties: {} } }
      ]
    })
  })

  it("always allows MCP tools only, since an empty list would allow all of Warp's own", () => {
    for (const tools of [undefined, [], [tool("f")]]) {
      const request = sent({ model: "claude-4-sonnet", messages: [hi], ...(tools && { tools }) })
      assert.deepStrictEqual(request["settings"], { modelConfig: { base: "claude-4-sonnet" }, supportedTools: [9] })
    }
  })

  it("follows tool_choice: none, one by name, and otherwise all", () => {
    const names = (tool_choice: unknown) => {
      const { mcpContext } = sent({ model: "auto", messages: [hi], tools: [tool("f"), tool("g")], tool_choice })
      return (mcpContext as { tools: ReadonlyArray<{ name: string }> } | undefined)?.tools.map(({ name }) => name)
    }
    assert.deepStrictEqual(names("none"), undefined)
    assert.deepStrictEqual(names({ type: "function", function: { name: "g" } }), ["g"])
    assert.deepStrictEqual(names("auto"), ["f", "g"])
    assert.deepStrictEqual(names("required"), ["f", "g"])
    assert.deepStrictEqual(names(null), ["f", "g"])
  })

  it("never names a conversation, so that callers cannot share one", () => {
    const { metadata } = sent({ model: "auto", messages: [hi, { role: "assistant", content: "a" }, hi] })
    assert.deepStrictEqual(metadata, { logging: { entrypoint: "USER_INITIATED" } })
  })

  const nested = (levels: number) => `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`
  const faults: ReadonlyArray<readonly [why: string, chat: object, reason: string]> = [
    ...["[]", "null", `"x"`, "1", "{", " "].map(
      (args) =>
        [
          `arguments that are ${args === " " ? "blank" : args}`,
          {
            messages: [
              hi,
              { role: "assistant", tool_calls: [call("c0", "{}"), call("c1", args)] },
              { role: "tool", tool_call_id: "c1", content: "r" }
            ]
          },
          "messages[1].tool_calls[1].function.arguments: expected the text of a JSON object"
        ] as const
    ),
    [
      "arguments deeper than Protobuf's readers go",
      { messages: [{ role: "assistant", tool_calls: [call("c1", nested(20_000))] }, hi] },
      "messages[0].tool_calls[0].function.arguments: it is nested deeper than 28 levels"
    ],
    [
      "a number that Protobuf's Struct cannot hold",
      { messages: [{ role: "assistant", tool_calls: [call("c1", `{"x":1e400}`)] }, hi] },
      "messages[0].tool_calls[0].function.arguments: it holds a number that is too large"
    ],
    [
      "a last message that is an answer",
      { messages: [hi, { role: "assistant", content: "a" }, { role: "system", content: "s" }] },
      "messages[1].role: an answer cannot be last: a user message or a tool result must follow"
    ],
    [
      "nothing but a system message",
      { messages: [{ role: "system", content: "s" }] },
      "messages: there is no user message and no tool result to answer"
    ],
    [
      "a result of a call that nobody made",
      { messages: [hi, { role: "tool", tool_call_id: "c9", content: "r" }] },
      "messages[1].tool_call_id: no earlier message has a tool call of this id"
    ],
    [
      "a choice of a tool that is not offered",
      { messages: [hi], tools: [tool("f")], tool_choice: { type: "function", function: { name: "g" } } },
      "tool_choice.function.name: there is no tool of this name"
    ],
    [
      "a schema deeper than Protobuf's readers go",
      { messages: [hi], tools: [tool("f"), tool("g", JSON.parse(nested(40)))] },
      "tools[1].function.parameters: it is nested deeper than 28 levels"
    ]
  ]
  for (const [why, chat, reason] of faults) {
    it(`refuses ${why}, naming the field`, () => {
      const { code, status, param, ...rest } = refused({ model: "auto", ...chat })
      assert.deepStrictEqual({ code, status, reason: `${param}: ${rest.reason}` }, { code: null, status: 400, reason })
    })
  }

  it("takes no arguments for none", () => {
    const answer = { role: "assistant", tool_calls: [call("c1", "")] }
    const request = sent({ model: "auto", messages: [hi, answer, { role: "tool", tool_call_id: "c1", content: "r" }] })
    assert.include(JSON.stringify(request["taskContext"]), `"args":{}`)
  })

  it("takes a refusal in a history for what the model said", () => {
    const refusal = { role: "assistant", content: [{ type: "refusal", refusal: "I would rather not" }] }
    const request = sent({ model: "auto", messages: [hi, refusal, hi] })
    assert.include(JSON.stringify(request["taskContext"]), "I would rather not")
  })

  it("reads back what is nested as deep as allowed", () => {
    const args = nested(27)
    const request = sent({
      model: "auto",
      messages: [{ role: "assistant", tool_calls: [call("c1", args)] }, hi],
      tools: [tool("f", JSON.parse(args))]
    })
    assert.include(JSON.stringify(request["taskContext"]), `"args":${args}`)
  })

  it.prop("arguments survive the wire", [Schema.Record(Schema.String, Schema.Json)], ([args]) => {
    const written = JSON.stringify(args)
    // A lone surrogate cannot: UTF-8 has none.
    if (/\\ud[89a-f]/.test(written)) return
    const messages = [{ role: "assistant", tool_calls: [call("c1", written)] }, hi]
    const result = toRequest(decode({ model: "auto", messages }), context)
    if (Result.isFailure(result)) return assert.include(result.failure.reason, "nested deeper")
    const { taskContext } = sent({ model: "auto", messages }) as {
      taskContext: { tasks: [{ messages: [{ toolCall: { callMcpTool: { args: unknown } } }] }] }
    }
    assert.deepStrictEqual(taskContext.tasks[0].messages[0].toolCall.callMcpTool.args, JSON.parse(written))
  })
})
