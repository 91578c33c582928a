import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { APIError, BadRequestError, NotFoundError, RateLimitError } from "openai"
import { get, running } from "../support/running.ts"

const user = (content: string) => [{ role: "user" as const, content }]
const weather = {
  type: "function" as const,
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  }
}

const fieldsOf = (error: unknown) =>
  error instanceof APIError ? error : assert.fail(`not an error of the API: ${String(error)}`)

describe("the official openai client", () => {
  it.live("gets a whole answer with its usage", () =>
    Effect.gen(function* () {
      const { openai } = yield* running()
      const answer = yield* Effect.promise(() =>
        openai.chat.completions.create({ model: "auto", messages: user("synthetic question") })
      )
      assert.strictEqual(answer.object, "chat.completion")
      assert.include(answer.choices[0]?.message.content ?? "", "synthetic question")
      assert.strictEqual(answer.choices[0]?.finish_reason, "stop")
      assert.isAbove(answer.usage?.total_tokens ?? 0, 0)
    })
  )

  it.live("gets a streamed answer that adds up to the whole one, with its usage when asked for", () =>
    Effect.gen(function* () {
      const { openai } = yield* running()
      const whole = yield* Effect.promise(() =>
        openai.chat.completions.create({ model: "auto", messages: user("stream me") })
      )
      const chunks = yield* Effect.promise(async () => {
        const stream = await openai.chat.completions.create({
          model: "auto",
          messages: user("stream me"),
          stream: true,
          stream_options: { include_usage: true }
        })
        return Array.fromAsync(stream)
      })
      const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")
      assert.strictEqual(text, whole.choices[0]?.message.content)
      assert.isAbove(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length, 1)
      assert.deepStrictEqual(
        chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []),
        ["stop"]
      )
      assert.deepStrictEqual(chunks.at(-1)?.usage, whole.usage)
    })
  )

  it.live("gets a tool call, whole and streamed, and the answer to the tool's result", () =>
    Effect.gen(function* () {
      const { openai } = yield* running()
      const ask = { model: "auto", messages: user("use get_weather for Oslo"), tools: [weather] }
      const answer = yield* Effect.promise(() => openai.chat.completions.create(ask))
      const call = answer.choices[0]?.message.tool_calls?.[0]
      if (call?.type !== "function") return assert.fail("no function was called")
      assert.strictEqual(answer.choices[0]?.finish_reason, "tool_calls")
      assert.strictEqual(call.function.name, "get_weather")
      assert.property(JSON.parse(call.function.arguments), "city")

      const streamed = yield* Effect.promise(() => openai.chat.completions.stream(ask).finalChatCompletion())
      assert.strictEqual(streamed.choices[0]?.message.tool_calls?.[0]?.type, "function")
      assert.strictEqual(streamed.choices[0]?.finish_reason, "tool_calls")

      const last = yield* Effect.promise(() =>
        openai.chat.completions.create({
          model: "auto",
          tools: [weather],
          messages: [
            ...ask.messages,
            { role: "assistant", content: null, tool_calls: [call] },
            { role: "tool", tool_call_id: call.id, content: "eleven degrees and rain" }
          ]
        })
      )
      assert.include(last.choices[0]?.message.content ?? "", "eleven degrees and rain")
    })
  )

  it.live("carries the system message and the earlier turns", () =>
    Effect.gen(function* () {
      const { openai, sandbox } = yield* running()
      yield* Effect.promise(() =>
        openai.chat.completions.create({
          model: "gpt-4o",
          messages: [
            { role: "system", content: "be synthetic" },
            { role: "user", content: "first" },
            { role: "assistant", content: "second" },
            { role: "user", content: "third" }
          ]
        })
      )
      const seen = (yield* get(`${sandbox}/_sandbox/requests`)).json.requests.at(-1)
      assert.strictEqual(seen.query, "third")
      assert.strictEqual(seen.systemPrompt, "be synthetic")
      assert.strictEqual(seen.model, "gpt-4o")
    })
  )

  it.live("gets typed errors: a bad request, a model that is not there, and a lack of tokens", () =>
    Effect.gen(function* () {
      const { openai } = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
      const failing = (model: string, messages: Array<{ role: "user"; content: string }>) =>
        Effect.promise(() => openai.chat.completions.create({ model, messages }).then(undefined, (e: unknown) => e))
      const bad = yield* failing("auto", [])
      assert.instanceOf(bad, BadRequestError)
      assert.strictEqual(fieldsOf(bad).param, "messages")
      const unknown = yield* failing("no-such-model", user("hi"))
      assert.instanceOf(unknown, NotFoundError)
      assert.strictEqual(fieldsOf(unknown).code, "model_not_found")
      const answers = yield* Effect.forEach(Array.from({ length: 21 }), () => failing("auto", user("hi")))
      const limited = answers.at(-1)
      assert.instanceOf(limited, RateLimitError)
      assert.isAbove(Number(fieldsOf(limited).headers?.get("retry-after")), 0)
    })
  )

  it.live("is told when a stream breaks, in an error and not in a clean-looking end", () =>
    Effect.gen(function* () {
      const { openai, faults } = yield* running()
      yield* faults({ call: "ai", kind: "cut", afterEvents: 4 })
      const outcome = yield* Effect.promise(async () => {
        const stream = await openai.chat.completions.create({ model: "auto", messages: user("cut me"), stream: true })
        return Array.fromAsync(stream).then(
          () => "ended",
          (error: unknown) => error
        )
      })
      assert.instanceOf(outcome, APIError)
      assert.strictEqual(fieldsOf(outcome).code, "upstream_cut")
    })
  )
})
