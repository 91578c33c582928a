import type { MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { Hex } from "effect/encoding"
import { TestClock } from "effect/testing"
import type { Request_Input_UserInputSchema } from "../../../src/upstream/warp/warp_pb.ts"
import { warpModels } from "../../../src/upstream/warp/models.ts"
import {
  accessOf,
  ask,
  at,
  callModel,
  createUser,
  dataIn,
  eventsIn,
  eventually,
  exchange,
  get,
  idTokenOf,
  outline,
  quota,
  stats,
  text,
  withSandbox,
  wordsIn
} from "../warpCaller.ts"

/** A request as a client of 2025 sent it: "hi" to the model "auto". */
const golden = Result.getOrThrow(
  Hex.decode(
    "0a00120a32080a060a040a0268691a0b0a060a046175746f4a01092220121e0a0a656e747279706f696e7412101a0e555345525f494e49544941544544"
  )
)

const weather = {
  name: "get_weather",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}

const toolCallsIn = (body: string) =>
  eventsIn(body)
    .flatMap(({ type }) => (type.case === "clientActions" ? type.value.actions : []))
    .flatMap(({ action }) => (action.case === "addMessagesToTask" ? action.value.messages : []))
    .flatMap(({ message }) => (message.case === "toolCall" ? [message.value] : []))

describe("modelRoute", () => {
  it.effect("streams an answer: opening, task, first piece, further pieces, end", () =>
    Effect.gen(function* () {
      const answer = yield* callModel(yield* accessOf("personal"), golden)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers["content-type"], "text/event-stream")
      assert.deepStrictEqual(outline(answer.text), [
        "init",
        "createTask",
        "addMessagesToTask",
        "appendToMessageContent",
        "appendToMessageContent",
        "finished:done"
      ])
      assert.strictEqual(wordsIn(answer.text), `You said: "hi"`)
    }).pipe(withSandbox())
  )

  it.effect("puts one event into each message, in padded base64 of the URL alphabet", () =>
    Effect.gen(function* () {
      const { text } = yield* callModel(yield* accessOf("personal"), ask("~~~ ÿþ ???"))
      for (const data of dataIn(text)) assert.match(data, /^(?:[\w-]{4})*(?:[\w-]{2}==|[\w-]{3}=)?$/)
    }).pipe(withSandbox())
  )

  it.effect("appends to the text by its path, in the task the conversation already has", () =>
    Effect.gen(function* () {
      const tasks = [
        {
          id: "t1",
          messages: [
            { id: "m1", message: { case: "userQuery", value: { query: "before" } } },
            { id: "m2", message: { case: "agentOutput", value: { text: "indeed" } } }
          ]
        }
      ] as const
      const { text } = yield* callModel(
        yield* accessOf("personal"),
        ask("and now", { tasks: [{ ...tasks[0], messages: [...tasks[0].messages] }], conversationId: "c1" })
      )
      const events = eventsIn(text)
      assert.notInclude(outline(text), "createTask")
      const [init] = events
      assert.strictEqual(init?.type.case === "init" ? init.type.value.conversationId : "", "c1")
      for (const { type } of events) {
        for (const { action } of type.case === "clientActions" ? type.value.actions : []) {
          assert.strictEqual("taskId" in (action.value ?? {}) ? at(action.value, "taskId") : "t1", "t1")
          if (action.case === "appendToMessageContent")
            assert.deepStrictEqual(action.value.mask?.paths, ["agent_output.text"])
        }
      }
      assert.strictEqual(at((yield* get("/_sandbox/requests")).json, "requests", 0, "historyLength"), 2)
    }).pipe(withSandbox())
  )

  it.effect("counts tokens by the length of what it read and wrote", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      const usage = Effect.fnUntraced(function* (query: string) {
        const last = eventsIn((yield* callModel(access, ask(query, { model: "gpt-5" }))).text).at(-1)
        return last?.type.case === "finished" ? last.type.value.tokenUsage[0] : undefined
      })
      assert.deepInclude(yield* usage("hi"), { modelId: "gpt-5", totalInput: 1, output: 4 })
      assert.deepInclude(yield* usage("x".repeat(400)), { totalInput: 100, output: 103 })
    }).pipe(withSandbox())
  )

  it.effect("gives the same answers in the same order for the same seed", () =>
    Effect.gen(function* () {
      const run = Effect.gen(function* () {
        const access = yield* accessOf("anonymous")
        return [(yield* callModel(access, ask("one"))).text, (yield* callModel(access, ask("two"))).text]
      })
      assert.deepStrictEqual(yield* withSandbox()(run), yield* withSandbox()(run))
    })
  )

  it.effect("mentions the system prompt, and thinks aloud when asked to", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      assert.include(wordsIn((yield* callModel(access, ask("hi", { systemPrompt: "be brief" }))).text), "be brief")
      const thoughts = eventsIn((yield* callModel(access, ask("reason: why?"))).text)
        .flatMap(({ type }) => (type.case === "clientActions" ? type.value.actions : []))
        .filter(({ action }) => at(action.value, "messages", 0, "message", "case") === "agentReasoning")
      assert.lengthOf(thoughts, 1)
    }).pipe(withSandbox())
  )

  it.effect("calls a tool, and then quotes what the tool answered", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      const [call] = toolCallsIn((yield* callModel(access, ask("get_weather please", { tools: [weather] }))).text)
      assert.deepStrictEqual(call?.tool.value?.name, "get_weather")
      assert.deepStrictEqual(call?.tool.value?.args, { city: "get_weather please" })
      const result = (id: string, value: string): MessageInitShape<typeof Request_Input_UserInputSchema> => ({
        input: {
          case: "toolCallResult",
          value: {
            toolCallId: id,
            result: {
              case: "callMcpTool",
              value: {
                result: { case: "success", value: { results: [{ result: { case: "text", value: { text: value } } }] } }
              }
            }
          }
        }
      })
      const answer = yield* callModel(
        access,
        ask("", { inputs: [result(call?.toolCallId ?? "", "12 °C"), result("other", "rain")], tools: [weather] })
      )
      assert.strictEqual(wordsIn(answer.text), `The tool answered: "12 °C"\nThe tool answered: "rain"`)
      assert.deepStrictEqual(at((yield* get("/_sandbox/requests")).json, "requests", 1, "toolResults"), [
        "12 °C",
        "rain"
      ])
    }).pipe(withSandbox())
  )

  it.effect("answers until the quota is used up, and then says so for that account alone", () =>
    Effect.gen(function* () {
      const limitOf = Effect.fnUntraced(function* (access: string) {
        return at((yield* quota(access)).json, "data", "user", "user", "requestLimitInfo", "requestLimit")
      })
      const access = text((yield* exchange(idTokenOf(yield* createUser()))).json, "idToken")
      const limit = yield* limitOf(access)
      let served = 0
      let last = yield* callModel(access, ask("hi"))
      while (last.status === 200) {
        served++
        last = yield* callModel(access, ask("hi"))
      }
      assert.strictEqual(served, limit)
      assert.isTrue(served >= 10 && served <= 20)
      assert.strictEqual(last.status, 429)
      assert.include(last.headers["content-type"], "application/json")
      assert.deepStrictEqual(last.json, { error: "No remaining quota: No AI requests remaining" })
      assert.isUndefined(last.headers["retry-after"])
      assert.strictEqual((yield* callModel(yield* accessOf("anonymous"), ask("hi"))).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("refuses an expired bearer in the upstream's words, an unknown one, and none", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* TestClock.adjust("1 hour")
      const expired = yield* callModel(access, ask("hi"))
      assert.strictEqual(expired.status, 401)
      assert.deepStrictEqual(expired.json, { error: "ID token has expired at: 3600" })
      assert.strictEqual((yield* callModel("nonsense", ask("hi"))).status, 401)
      assert.strictEqual((yield* callModel("", ask("hi"))).status, 401)
    }).pipe(withSandbox())
  )

  it.effect("answers a body that is no request with an empty 500, and charges nothing for it", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      for (const body of [
        new Uint8Array(),
        new Uint8Array([1, 2]),
        new Uint8Array([255, 255, 255]),
        ask("", { inputs: [] })
      ]) {
        const answer = yield* callModel(access, body)
        assert.strictEqual(answer.status, 500)
        assert.strictEqual(answer.headers["content-length"], "0")
        assert.strictEqual(answer.headers["server"], "Google Frontend")
      }
      const { json } = yield* quota(access)
      assert.strictEqual(at(json, "data", "user", "user", "requestLimitInfo", "requestsUsedSinceLastRefresh"), 0)
    }).pipe(withSandbox())
  )

  it.effect("refuses a model the account may not use, and charges nothing for it", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      const refused = yield* callModel(access, ask("hi", { model: "gpt-99" }))
      assert.strictEqual(refused.status, 400)
      assert.include(refused.text, "requested base model gpt-99 is not allowed for your account")
      for (const model of warpModels) assert.strictEqual((yield* callModel(access, ask("hi", { model }))).status, 200)
      const { json } = yield* quota(access)
      assert.strictEqual(
        at(json, "data", "user", "user", "requestLimitInfo", "requestsUsedSinceLastRefresh"),
        warpModels.length
      )
    }).pipe(withSandbox())
  )

  it.effect("pauses before each event after the first", () =>
    Effect.gen(function* () {
      const answer = yield* Effect.forkChild(callModel(yield* accessOf("personal"), golden))
      yield* eventually(stats, (counted) => at(counted, "ai", "byStatus", "200") === 1)
      // Six events, so five pauses; the clock moves on only once the sandbox waits for it.
      for (let pause = 0; pause < 5; pause++) {
        assert.isUndefined(answer.pollUnsafe())
        yield* stats
        yield* TestClock.adjust("10 millis")
      }
      assert.strictEqual((yield* Fiber.join(answer)).status, 200)
    }).pipe(withSandbox({ latency: "10 millis" }))
  )
})
