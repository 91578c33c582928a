import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { ChatEvent } from "../../../src/domain/Chat.ts"
import { TokenId } from "../../../src/domain/Token.ts"
import { decodeEventData } from "../../../src/upstream/warp/eventData.ts"
import * as Response from "../../../src/upstream/warp/response.ts"
import { ResponseEventSchema } from "../../../src/upstream/warp/warp_pb.ts"
import type { ClientActionSchema, MessageSchema, ResponseEvent } from "../../../src/upstream/warp/warp_pb.ts"

const context = { provider: "warp", token: TokenId.make("token-1") }

type Action = NonNullable<MessageInitShape<typeof ClientActionSchema>["action"]>
type Content = NonNullable<MessageInitShape<typeof MessageSchema>["message"]>
type Finished = Extract<
  NonNullable<MessageInitShape<typeof ResponseEventSchema>["type"]>,
  { case: "finished" }
>["value"]

const actions = (...all: ReadonlyArray<Action>) =>
  create(ResponseEventSchema, {
    type: { case: "clientActions", value: { actions: all.map((action) => ({ action })) } }
  })
const finished = (value: Finished) => create(ResponseEventSchema, { type: { case: "finished", value } })
const done = finished({ reason: { case: "done", value: {} } })

const text = (text: string): Content => ({ case: "agentOutput", value: { text } })
const reasoning = (reasoning: string): Content => ({ case: "agentReasoning", value: { reasoning } })
const toolCall = (name: string, args?: Record<string, string>, toolCallId = "c1"): Content => ({
  case: "toolCall",
  value: { toolCallId, tool: { case: "callMcpTool", value: { name, ...(args && { args }) } } }
})

const add = (message: Content, id = "m1"): Action => ({
  case: "addMessagesToTask",
  value: { taskId: "t1", messages: [{ id, message }] }
})
const append = (message: Content, paths: ReadonlyArray<string>, id = "m1"): Action => ({
  case: "appendToMessageContent",
  value: { taskId: "t1", message: { id, message }, mask: { paths: [...paths] } }
})
const update = (message: Content, paths: ReadonlyArray<string>, id = "m1"): Action => ({
  case: "updateTaskMessage",
  value: { taskId: "t1", message: { id, message }, mask: { paths: [...paths] } }
})
const begin: Action = { case: "beginTransaction", value: {} }
const commit: Action = { case: "commitTransaction", value: {} }
const rollback: Action = { case: "rollbackTransaction", value: {} }

/** What a caller is told, and how it ends: `undefined` when it has not. */
const assembled = (events: ReadonlyArray<ResponseEvent>) => {
  const told: Array<ChatEvent> = []
  let state = Response.initial
  for (const event of events) {
    const step = Response.step(state, event, context)
    if (Result.isFailure(step)) return { told, end: step.failure }
    told.push(...step.success[0])
    state = step.success[1]
  }
  return { told, end: state.finished ? "finished" : undefined }
}

const failureOf = (events: ReadonlyArray<ResponseEvent>) => {
  const { end } = assembled(events)
  if (typeof end !== "object") throw new Error("it did not fail")
  return end._tag === "UpstreamUnavailable" ? [end._tag, end.reason, end.detail] : [end._tag]
}

const Text = (text: string) => ChatEvent.Text({ text })
const Reasoning = (text: string) => ChatEvent.Reasoning({ text })
const ToolCalled = (id: string, name: string, args: string) => ChatEvent.ToolCalled({ id, name, arguments: args })
const Finished = (reason: "stop" | "tool_calls" | "length", usage?: { prompt: number; completion: number }) =>
  ChatEvent.Finished({ reason, usage })

/** Hex and base64url of the reference vectors. */
const vectors = {
  init: ["0a080a02633112027231", "CggKAmMxEgJyMQ=="],
  createTask: ["120a0a080a060a040a027431", "EgoKCAoGCgQKAnQx"],
  addHel: ["12190a171a150a027431120f0a026d311a050a0348656c5a027431", "EhkKFxoVCgJ0MRIPCgJtMRoFCgNIZWxaAnQx"],
  appendLo: [
    "12290a272a250a0a0a026d311a040a026c6f12130a116167656e745f6f75747075742e746578741a027431",
    "EikKJyolCgoKAm0xGgQKAmxvEhMKEWFnZW50X291dHB1dC50ZXh0GgJ0MQ=="
  ],
  toolCall: [
    "122a0a281a260a02743112200a026d3222160a03746331620f0a0166120a0a080a017812031a01795a027431",
    "EioKKBomCgJ0MRIgCgJtMiIWCgN0YzFiDwoBZhIKCggKAXgSAxoBeVoCdDE="
  ],
  done: ["1a021200", "GgISAA=="],
  quotaLimit: ["1a022200", "GgIiAA=="]
} as const

const vector = (name: keyof typeof vectors) => Result.getOrThrow(decodeEventData(vectors[name][1]))

describe("decodeEventData", () => {
  for (const [name, [hex, base64]] of Object.entries(vectors)) {
    it(`reads the golden vector ${name} in every spelling`, () => {
      const expected = fromBinary(ResponseEventSchema, Buffer.from(hex, "hex"))
      assert.strictEqual(Buffer.from(toBinary(ResponseEventSchema, expected)).toString("hex"), hex)
      const spellings = [
        base64,
        base64.replace(/=+$/, ""),
        `${base64}=`,
        `"${base64}"`,
        ` ${base64}\r\n`,
        base64.replace(/.{5}/g, "$&\n"),
        Buffer.from(hex, "hex").toString("base64")
      ]
      for (const spelling of spellings) {
        assert.deepStrictEqual(decodeEventData(spelling), Result.succeed(expected), spelling)
      }
    })
  }

  it("reads both alphabets", () => {
    // A text of 0xfb, 0xff and 0xef in UTF-8 needs both letters in which the alphabets differ.
    const event = actions(add(text("ûÿïþ¿÷")))
    const standard = Buffer.from(toBinary(ResponseEventSchema, event)).toString("base64")
    assert.match(standard, /[+/]/)
    assert.deepStrictEqual(decodeEventData(standard), Result.succeed(event))
    assert.deepStrictEqual(decodeEventData(standard.replaceAll("+", "-").replaceAll("/", "_")), Result.succeed(event))
  })

  it("never reads hexadecimal, not even what looks like it", () => {
    // Two fields that nobody knows, in base64 of hexadecimal digits only.
    const unknownFields = fromBinary(ResponseEventSchema, Buffer.from("68107800", "hex"))
    assert.deepStrictEqual(decodeEventData("aBB4AA"), Result.succeed(unknownFields))
    assert.isTrue(Result.isFailure(decodeEventData(vectors.done[0])))
  })

  for (const garbage of ["%%%", "GgISA", "hello world!", "[DONE]", `{"error":"x"}`, "AQID", "QUJDREVGRw=="]) {
    it(`refuses ${garbage}`, () => {
      assert.isTrue(Result.isFailure(decodeEventData(garbage)))
    })
  }

  it("takes empty data for an event of no kind", () => {
    assert.deepStrictEqual(decodeEventData(""), Result.succeed(create(ResponseEventSchema)))
  })

  it.prop("whatever is encoded is read, and whatever is not never throws", [Schema.String], ([given]) => {
    const event = actions(add(text(given.toWellFormed())))
    const encoded = Buffer.from(toBinary(ResponseEventSchema, event))
    assert.deepStrictEqual(decodeEventData(encoded.toString("base64url")), Result.succeed(event))
    decodeEventData(given)
  })
})

describe("step", () => {
  it("assembles the golden stream", () => {
    const events = [vector("init"), vector("createTask"), vector("addHel"), vector("appendLo"), vector("done")]
    assert.deepStrictEqual(assembled(events), { told: [Text("Hel"), Text("lo"), Finished("stop")], end: "finished" })
  })

  it("assembles the golden tool call", () => {
    assert.deepStrictEqual(assembled([vector("toolCall"), vector("done")]), {
      told: [ToolCalled("tc1", "f", `{"x":"y"}`), Finished("tool_calls")],
      end: "finished"
    })
  })

  it("takes the golden quota_limit for the token's quota, not for an end", () => {
    assert.deepStrictEqual(failureOf([vector("addHel"), vector("quotaLimit")]), ["QuotaExhausted"])
  })

  it("tells reasoning apart from text, in the order of arrival", () => {
    const events = [
      actions(add(reasoning("hm"), "r1")),
      actions(append(reasoning(", yes"), ["agent_reasoning.reasoning"], "r1")),
      actions(add(text("a"), "m1"), add(text("b"), "m2")),
      actions(append(text("c"), ["agent_output.text"], "m1")),
      done
    ]
    assert.deepStrictEqual(assembled(events).told, [
      Reasoning("hm"),
      Reasoning(", yes"),
      Text("a"),
      Text("b"),
      Text("c"),
      Finished("stop")
    ])
  })

  it("reads messages that come with the task they belong to", () => {
    const task: Action = {
      case: "createTask",
      value: { task: { id: "t1", messages: [{ id: "m1", message: text("early") }] } }
    }
    assert.deepStrictEqual(assembled([actions(task)]).told, [Text("early")])
  })

  it("appends only what the mask names", () => {
    const of = (paths: ReadonlyArray<string>) => assembled([actions(append(text("x"), paths))]).told
    assert.deepStrictEqual(of(["agent_output.text"]), [Text("x")])
    assert.deepStrictEqual(of(["agent_output"]), [Text("x")])
    assert.deepStrictEqual(of([]), [Text("x")])
    assert.deepStrictEqual(of(["server_message_data"]), [])
    assert.deepStrictEqual(of(["agent"]), [])
  })

  it("tells of a replaced text what is new, and nothing of an equal one", () => {
    const events = [
      actions(add(text("Hel"))),
      actions(update(text("Hello"), ["agent_output.text"])),
      actions(update(text("Hello"), [])),
      actions(append(text("!"), ["agent_output.text"])),
      actions(update(text("Hello!?"), ["agent_output"])),
      actions(update(text("not named"), ["citations"]))
    ]
    assert.deepStrictEqual(assembled(events).told, [Text("Hel"), Text("lo"), Text("!"), Text("?")])
  })

  it("tells the whole of a replaced text nothing was told of", () => {
    assert.deepStrictEqual(assembled([actions(add(text(""))), actions(update(text("all"), []))]).told, [Text("all")])
  })

  it("fails when a text that was told is rewritten, shortened or taken away", () => {
    const rewritten = ["UpstreamUnavailable", "malformed", "the stream rewrote a text that had been passed on"]
    for (const replacement of [text("Help"), text("He"), text(""), reasoning("Hel")]) {
      const events = [actions(add(text("Hello"))), actions(update(replacement, ["agent_output.text"]))]
      assert.deepStrictEqual(failureOf(events), rewritten)
    }
  })

  it("tells a tool call once, with the arguments of its last update", () => {
    const events = [
      actions(add(toolCall("f"))),
      actions(update(toolCall("f", { x: "y" }), ["tool_call"])),
      actions(update(toolCall("", { x: "yz" }, ""), ["tool_call.call_mcp_tool.args"])),
      actions(add(toolCall("g", { a: "b" }, "c2"), "m2")),
      done
    ]
    assert.deepStrictEqual(assembled(events).told, [
      ToolCalled("c1", "f", `{"x":"yz"}`),
      ToolCalled("c2", "g", `{"a":"b"}`),
      Finished("tool_calls")
    ])
  })

  it("names a tool call by its message when it has no id of its own, and fails when the tool has no name", () => {
    assert.deepStrictEqual(assembled([actions(add(toolCall("f", undefined, ""))), done]).told, [
      ToolCalled("m1", "f", "{}"),
      Finished("tool_calls")
    ])
    assert.deepStrictEqual(failureOf([actions(add(toolCall(""))), done])[0], "UpstreamUnavailable")
  })

  it("forgets the tool calls of a transaction that is rolled back", () => {
    const events = [
      actions(add(toolCall("f", {}, "c0"), "m0")),
      actions(begin, add(toolCall("g", {}, "c1")), rollback),
      actions(add(text("instead"), "m2")),
      done
    ]
    assert.deepStrictEqual(assembled(events).told, [
      Text("instead"),
      ToolCalled("c0", "f", "{}"),
      Finished("tool_calls")
    ])
  })

  it("fails when a text that was told in a transaction is rolled back", () => {
    const takenBack = ["UpstreamUnavailable", "malformed", "the stream took back a text that had been passed on"]
    assert.deepStrictEqual(failureOf([actions(begin, add(text("x"))), actions(rollback)]), takenBack)
    assert.deepStrictEqual(failureOf([actions(begin), actions(add(reasoning("x"))), actions(rollback)]), takenBack)
    assert.deepStrictEqual(failureOf([actions(add(text("x"))), actions(rollback)]), takenBack)
    const appended = [actions(add(text("x"))), actions(begin, append(text("y"), []), rollback)]
    assert.deepStrictEqual(failureOf(appended), takenBack)
  })

  it("keeps what was told before the transaction, or in one that was committed", () => {
    const events = [
      actions(add(text("a"))),
      actions(begin, rollback),
      actions(begin, append(text("b"), []), commit),
      actions(rollback),
      actions(begin, add(toolCall("f"), "m2"), commit),
      actions(rollback),
      done
    ]
    assert.deepStrictEqual(assembled(events).told, [
      Text("a"),
      Text("b"),
      ToolCalled("c1", "f", "{}"),
      Finished("tool_calls")
    ])
  })

  it("skips what it does not know, and whatever follows the end", () => {
    const unknownAction = fromBinary(ResponseEventSchema, Buffer.from("12040a023200", "hex"))
    const unknownEvent = fromBinary(ResponseEventSchema, Buffer.from("2200", "hex"))
    const userQuery: Content = { case: "userQuery", value: { query: "echo" } }
    const events = [unknownAction, unknownEvent, actions(add(userQuery)), done, actions(add(text("late"), "m9")), done]
    assert.deepStrictEqual(assembled(events), { told: [Finished("stop")], end: "finished" })
  })

  it("has not finished until it is told so", () => {
    assert.deepStrictEqual(assembled([actions(add(text("x")))]).end, undefined)
  })

  it("sums the usage over the models that worked, and has none when none is told", () => {
    const usage = finished({
      reason: { case: "done", value: {} },
      tokenUsage: [
        { modelId: "a", totalInput: 10, output: 3, inputCacheRead: 8 },
        { modelId: "b", totalInput: 5, output: 1 }
      ]
    })
    assert.deepStrictEqual(assembled([usage]).told, [Finished("stop", { prompt: 15, completion: 4 })])
    assert.deepStrictEqual(assembled([done]).told, [Finished("stop")])
  })

  it("takes a context that is exceeded before anything was said for the request's fault", () => {
    const { end } = assembled([finished({ reason: { case: "contextWindowExceeded", value: {} } })])
    assert.deepInclude(end, { _tag: "RequestRejected", status: 400, code: "context_length_exceeded" })
  })

  it("ends with length on max_token_limit, also when nothing was said", () => {
    const end = finished({ reason: { case: "maxTokenLimit", value: {} } })
    assert.deepStrictEqual(assembled([end]).told, [Finished("length")])
  })

  for (const reason of ["maxTokenLimit", "contextWindowExceeded"] as const) {
    it(`ends with "length" on ${reason} after tool calls`, () => {
      const end = finished({ reason: { case: reason, value: {} } })
      assert.deepStrictEqual(assembled([actions(add(toolCall("f"))), end]).told, [
        ToolCalled("c1", "f", "{}"),
        Finished("length")
      ])
    })
  }

  const mishaps: ReadonlyArray<readonly [string, Finished, string]> = [
    ["llm_unavailable", { reason: { case: "llmUnavailable", value: {} } }, "the model is not available"],
    ["internal_error", { reason: { case: "internalError", value: { message: "oops" } } }, "oops"],
    [
      "internal_error in markup",
      { reason: { case: "internalError", value: { message: "<b>x" } } },
      "an internal error"
    ],
    ["other", { reason: { case: "other", value: {} } }, "the stream ended for a reason that was not given"],
    [
      "invalid_api_key",
      { reason: { case: "invalidApiKey", value: { modelName: "m" } } },
      "the key that the account holds for the model's own provider is not accepted"
    ],
    ["a reason that is not known", {}, "the stream ended for a reason that is not known here"]
  ]
  for (const [name, end, detail] of mishaps) {
    it(`takes ${name} for the upstream's own trouble, never for a clean end`, () => {
      assert.deepStrictEqual(failureOf([actions(add(toolCall("f"))), finished(end)]), [
        "UpstreamUnavailable",
        "internal",
        detail
      ])
    })
  }
})
