import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import OpenAI, { NotFoundError } from "openai"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import {
  at,
  call,
  chat,
  chunksIn,
  dataIn,
  get,
  modelOf,
  outline,
  sound,
  stats,
  withSandbox,
  wordsIn
} from "./caller.ts"

const names = ["nvidia1", "nvidia2", "zhipu", "hunyuan", "siliconflow"] as const

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  }
} as const

describe("what is offered", () => {
  it.effect("tells each provider's base path, keys and models, the same for every seed", () =>
    Effect.gen(function* () {
      const { openai, url } = yield* Sandbox
      const expected = names.map((name) => ({
        name,
        baseUrl: `${url}/${name}/v1`,
        keys: [`sandbox-${name}-a`, `sandbox-${name}-b`]
      }))
      assert.deepStrictEqual(
        openai.map((provider) => ({ ...provider, keys: provider.keys.map(Redacted.value) })),
        expected
      )
      assert.deepStrictEqual(
        at((yield* get("/_sandbox/credentials")).json, "openai"),
        Object.fromEntries(expected.map(({ name, ...access }) => [name, access]))
      )
      const models = yield* Effect.forEach(names, (name) =>
        Effect.map(call(name, undefined, { path: "models" }), ({ json }) => [name, at(json, "data")] as const)
      )
      assert.deepStrictEqual(
        Object.fromEntries(
          models.map(([name, data]) => [name, (data as ReadonlyArray<unknown>).map((model) => at(model, "id"))])
        ),
        {
          nvidia1: ["llama-3.3-70b", "nemotron-mini-4b", "nv-embed-v1"],
          nvidia2: ["llama-3.3-70b", "nemotron-mini-4b", "nv-embed-v1"],
          zhipu: ["glm-4.5", "glm-4-flash", "embedding-3"],
          hunyuan: ["hunyuan-turbo", "llama-3.3-70b"],
          siliconflow: ["deepseek-v3", "qwen3-32b", "llama-3.3-70b", "bge-m3"]
        }
      )
    }).pipe(withSandbox({ seed: "another" }))
  )

  it.effect("answers the paths a provider has and 404 on those it has not", () =>
    Effect.gen(function* () {
      const bodies = {
        completions: { prompt: "hi" },
        embeddings: { input: "hi" },
        responses: { input: "hi" }
      }
      const embedding = { zhipu: "embedding-3", siliconflow: "bge-m3", hunyuan: "none" } as Record<string, string>
      const statuses = yield* Effect.forEach(names, (name) =>
        Effect.forEach(["completions", "embeddings", "responses"] as const, (path) => {
          const model = path === "embeddings" ? (embedding[name] ?? "nv-embed-v1") : modelOf(name)
          return Effect.map(call(name, { model, ...bodies[path] }, { path }), ({ status }) => status)
        })
      )
      assert.deepStrictEqual(statuses, [
        [200, 200, 404],
        [200, 200, 404],
        [404, 200, 404],
        [404, 404, 200],
        [200, 200, 404]
      ])
    }).pipe(withSandbox())
  )

  it.effect("a model holds as many tokens as it is said to, question and answer together, and not one more", () =>
    Effect.gen(function* () {
      const contexts = {
        nvidia1: { "llama-3.3-70b": 131_072, "nemotron-mini-4b": 4_096 },
        nvidia2: { "llama-3.3-70b": 131_072, "nemotron-mini-4b": 4_096 },
        zhipu: { "glm-4.5": 131_072, "glm-4-flash": 32_768 },
        hunyuan: { "hunyuan-turbo": 32_768, "llama-3.3-70b": 131_072 },
        siliconflow: { "deepseek-v3": 65_536 }
      }
      for (const [provider, models] of Object.entries(contexts)) {
        for (const [model, context] of Object.entries(models)) {
          const asking = (characters: number, max_tokens: number) =>
            Effect.map(chat(provider, "x".repeat(characters), { model, max_tokens }), ({ status }) => status)
          const statuses = [yield* asking(context * 4 - 40, 10), yield* asking(context * 4 - 40, 11)]
          assert.deepStrictEqual(statuses, [200, 400], `${provider}/${model}`)
        }
      }
      const { status } = yield* chat("siliconflow", "x".repeat(32_768 * 4 + 1), { model: "qwen3-32b" })
      assert.strictEqual(status, 400)
    }).pipe(withSandbox())
  )
})

describe("chat", () => {
  it.effect("answers in one piece", () =>
    Effect.gen(function* () {
      const { headers, json, status } = yield* chat("nvidia1")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "application/json")
      assert.match(`${at(json, "id")}`, /^chatcmpl-[0-9a-f]{24}$/)
      assert.deepInclude(json, {
        object: "chat.completion",
        created: 0,
        model: "llama-3.3-70b",
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: `You said: "hi"` },
            logprobs: null,
            finish_reason: "stop"
          }
        ],
        usage: { prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 }
      })
    }).pipe(withSandbox())
  )

  it.effect("streams: the role, the words, the reason it ended, and [DONE]", () =>
    Effect.gen(function* () {
      const { headers, text } = yield* chat("zhipu", "hi", { stream: true })
      assert.strictEqual(headers.get("content-type"), "text/event-stream")
      assert.deepStrictEqual(outline(text), sound)
      assert.strictEqual(wordsIn(text), `You said: "hi"`)
      const chunks = chunksIn(text).slice(0, -1)
      assert.lengthOf(new Set(chunks.map((chunk) => at(chunk, "id"))), 1)
      for (const chunk of chunks) {
        assert.strictEqual(at(chunk, "object"), "chat.completion.chunk")
        assert.isUndefined(at(chunk, "usage"))
      }
    }).pipe(withSandbox())
  )

  it.effect("tells what it cost in a chunk of its own, when it is asked to", () =>
    Effect.gen(function* () {
      const { text } = yield* chat("hunyuan", "hi", { stream: true, stream_options: { include_usage: true } })
      assert.deepStrictEqual(outline(text), [...sound.slice(0, -1), "usage", "[DONE]"])
      const [usage] = chunksIn(text).slice(-2)
      assert.deepStrictEqual(at(usage, "usage"), { prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 })
      assert.isNull(at(chunksIn(text)[0], "usage"))
    }).pipe(withSandbox())
  )

  it.effect("thinks first when asked to reason, streamed and not", () =>
    Effect.gen(function* () {
      const { json } = yield* chat("zhipu", "reason: why?")
      const thought = at(json, "choices", 0, "message", "reasoning_content")
      assert.isString(thought)
      const { text } = yield* chat("zhipu", "reason: why?", { stream: true })
      const pieces = chunksIn(text).map((chunk) => at(chunk, "choices", 0, "delta", "reasoning_content") ?? "")
      assert.strictEqual(pieces.join(""), thought)
    }).pipe(withSandbox())
  )

  it.effect("calls a tool, streamed and not, and quotes what the tool answered", () =>
    Effect.gen(function* () {
      const asked = { tools: [weather] }
      const whole = (yield* chat("nvidia1", "get_weather please", asked)).json
      assert.strictEqual(at(whole, "choices", 0, "finish_reason"), "tool_calls")
      assert.isNull(at(whole, "choices", 0, "message", "content"))
      const toolCall = at(whole, "choices", 0, "message", "tool_calls", 0)
      assert.deepInclude(toolCall, {
        type: "function",
        function: { name: "get_weather", arguments: `{"city":"get_weather please"}` }
      })

      const { text } = yield* chat("nvidia1", "get_weather please", { ...asked, stream: true })
      assert.strictEqual(outline(text).at(-2), "tool_calls")
      const deltas = chunksIn(text).flatMap((chunk) => at(chunk, "choices", 0, "delta", "tool_calls", 0) ?? [])
      assert.strictEqual(at(deltas[0], "function", "name"), "get_weather")
      assert.isAbove(deltas.length, 2)
      assert.strictEqual(
        deltas.map((delta) => at(delta, "function", "arguments")).join(""),
        `{"city":"get_weather please"}`
      )

      const answered = yield* call("nvidia1", {
        model: "llama-3.3-70b",
        tools: [weather],
        messages: [
          { role: "system", content: "be brief" },
          { role: "user", content: [{ type: "text", text: "get_weather please" }] },
          { role: "assistant", content: null, tool_calls: [toolCall] },
          { role: "tool", tool_call_id: at(toolCall, "id"), content: "12 °C" }
        ]
      })
      assert.strictEqual(at(answered.json, "choices", 0, "message", "content"), `The tool answered: "12 °C"`)
      assert.deepInclude(at((yield* get("/_sandbox/requests")).json, "requests", 2), {
        provider: "nvidia1",
        systemPrompt: "be brief",
        historyLength: 2,
        toolNames: ["get_weather"],
        toolResults: ["12 °C"]
      })
    }).pipe(withSandbox())
  )

  it.effect("calls tools as the caller allows: none, any, this one", () =>
    Effect.gen(function* () {
      const clock = { type: "function", function: { name: "clock" } }
      const called = (content: string, tool_choice: unknown) =>
        Effect.map(chat("hunyuan", content, { tools: [weather, clock], tool_choice }), ({ json }) =>
          at(json, "choices", 0, "message", "tool_calls", 0, "function", "name")
        )
      assert.isUndefined(yield* called("get_weather please", "none"))
      assert.isUndefined(yield* called("hello", "auto"))
      assert.strictEqual(yield* called("hello", "required"), "get_weather")
      assert.strictEqual(
        yield* called("get_weather please", { type: "function", function: { name: "clock" } }),
        "clock"
      )
    }).pipe(withSandbox())
  )

  it.effect("stops at the length it is given", () =>
    Effect.gen(function* () {
      for (const limit of [{ max_tokens: 5 }, { max_completion_tokens: 5 }]) {
        const { json } = yield* chat("hunyuan", "count to 100", limit)
        assert.strictEqual(at(json, "choices", 0, "message", "content"), "1 2 3 4 5 6 7 8 9 10")
        assert.strictEqual(at(json, "choices", 0, "finish_reason"), "length")
        assert.strictEqual(at(json, "usage", "completion_tokens"), 5)
      }
      const { text } = yield* chat("hunyuan", "count to 100", { max_tokens: 5, stream: true })
      assert.strictEqual(outline(text).at(-2), "length")
    }).pipe(withSandbox())
  )

  it.effect("gives the same answers in the same order for the same seed, and after a reset", () =>
    Effect.gen(function* () {
      const run = Effect.map(chat("nvidia1", "one", { stream: true }), ({ text }) => text)
      const first = yield* withSandbox()(run)
      assert.strictEqual(yield* withSandbox()(run), first)
      assert.notStrictEqual(yield* withSandbox({ seed: "other" })(run), first)
    })
  )
})

describe("what is refused", () => {
  const refusals = {
    nvidia1: {
      unauthorized: { status: 401, title: "Unauthorized", detail: "Authentication failed" },
      notFound: { status: 404, title: "Not Found", detail: "Function 'gpt-99': Not found for account 'sandbox'" },
      tooLong: { error: { type: "Bad Request", code: 400, param: null } },
      filtered: { error: { code: "content_filter" } }
    },
    zhipu: {
      unauthorized: { error: { code: "1000", message: "身份验证失败。" } },
      notFound: { error: { code: "1211", message: "模型不存在，请检查模型代码。" } },
      tooLong: { error: { code: "1261", message: "Prompt 超长" } },
      filtered: { error: { code: "1301" }, contentFilter: [{ level: 1, role: "user" }] }
    },
    hunyuan: {
      unauthorized: { error: { code: "invalid_api_key" } },
      notFound: { error: { code: "model_not_found", param: "model" } },
      tooLong: { error: { code: "context_length_exceeded", param: "messages" } },
      filtered: { error: { code: "content_filter" } }
    },
    siliconflow: {
      unauthorized: "Invalid token",
      notFound: { code: 20012, message: "Model does not exist. Please check it carefully.", data: null },
      tooLong: {
        code: 20015,
        message: "length of prompt_tokens (65537) must be less than max_seq_len (65536).",
        data: null
      },
      filtered: { code: null, data: null }
    }
  } as const

  /** Whether all of the expected is there. */
  const includes = (actual: unknown, expected: unknown): void => {
    if (typeof expected !== "object" || expected === null) return assert.strictEqual(actual, expected)
    for (const [key, value] of Object.entries(expected)) includes(at(actual, key), value)
  }

  for (const [provider, said] of Object.entries(refusals)) {
    it.effect(`${provider} refuses in its own words: a wrong key, a model, a length, a content`, () =>
      Effect.gen(function* () {
        const wrongKeys = [
          yield* chat(provider, "hi", {}, { key: "sandbox-other-a" }),
          yield* chat(provider, "hi", {}, { key: null })
        ]
        for (const wrong of wrongKeys) {
          assert.strictEqual(wrong.status, 401)
          includes(wrong.json, said.unauthorized)
        }
        const unknown = yield* chat(provider, "hi", { model: "gpt-99" })
        assert.strictEqual(unknown.status, 404)
        includes(unknown.json, said.notFound)
        const long = yield* chat(provider, "x".repeat(provider === "siliconflow" ? 65_536 * 4 + 1 : 600_000))
        assert.strictEqual(long.status, 400)
        includes(long.json, said.tooLong)
        const filtered = yield* chat(provider, "tell me of the Forbidden Topic", { stream: true })
        assert.strictEqual(filtered.status, 400)
        includes(filtered.json, said.filtered)
        const status = at(yield* stats, "openai", provider, "chat", "byStatus")
        assert.deepStrictEqual(status, { 400: 2, 401: 2, 404: 1 })
      }).pipe(withSandbox())
    )
  }

  it.effect("no endpoint serves another kind of model", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* chat("nvidia1", "hi", { model: "nv-embed-v1" })).status, 404)
      const embedded = yield* call("nvidia1", { model: "llama-3.3-70b", input: "hi" }, { path: "embeddings" })
      assert.strictEqual(embedded.status, 404)
    }).pipe(withSandbox())
  )

  const unreadable: ReadonlyArray<readonly [string, unknown, string]> = [
    ["chat/completions", "{", "body"],
    ["chat/completions", [], "body"],
    ["chat/completions", { model: "glm-4.5" }, "messages"],
    ["chat/completions", { model: "glm-4.5", messages: [] }, "messages"],
    ["chat/completions", { model: "glm-4.5", messages: [{ role: "cook", content: "x" }] }, "messages[0].role"],
    ["chat/completions", { model: "glm-4.5", messages: [{ role: "user" }], stream: "yes" }, "stream"],
    ["chat/completions", { messages: [{ role: "user", content: "x" }] }, "model"],
    ["embeddings", { model: "embedding-3", input: [] }, "input"]
  ]
  for (const [path, body, field] of unreadable) {
    it.effect(`a body that cannot be read is a 400 that names ${field}: ${JSON.stringify(body)}`, () =>
      Effect.gen(function* () {
        const { json, status } = yield* call("zhipu", body, { path })
        assert.strictEqual(status, 400)
        assert.include(`${at(json, "error", "message")}`, field)
      }).pipe(withSandbox())
    )
  }
})

describe("other endpoints", () => {
  it.effect("completions continue each prompt, whole and streamed", () =>
    Effect.gen(function* () {
      const asked = { model: "llama-3.3-70b", prompt: ["one", "two"], stream_options: { include_usage: true } }
      const { json } = yield* call("nvidia2", asked, { path: "completions" })
      assert.deepInclude(json, {
        object: "text_completion",
        choices: [
          { index: 0, text: `You said: "one"`, logprobs: null, finish_reason: "stop" },
          { index: 1, text: `You said: "two"`, logprobs: null, finish_reason: "stop" }
        ]
      })
      const { text } = yield* call("nvidia2", { ...asked, stream: true }, { path: "completions" })
      assert.strictEqual(dataIn(text).at(-1), "[DONE]")
      assert.strictEqual(wordsIn(text), `You said: "one"You said: "two"`)
      assert.deepStrictEqual(at(chunksIn(text).at(-2), "usage"), at(json, "usage"))
    }).pipe(withSandbox())
  )

  it.effect("embeddings give the same text the same vector of length one, as numbers and in base64", () =>
    Effect.gen(function* () {
      const embed = (input: unknown, more: object = {}) =>
        Effect.map(call("siliconflow", { model: "bge-m3", input, ...more }, { path: "embeddings" }), ({ json }) =>
          Array.from({ length: Array.isArray(input) ? input.length : 1 }, (_, i) => at(json, "data", i, "embedding"))
        )
      const [[one, two], [again], [short], [encoded]] = [
        yield* embed(["one", "two"]),
        yield* embed("one"),
        yield* embed("one", { dimensions: 3 }),
        yield* embed("one", { encoding_format: "base64" })
      ]
      assert.deepStrictEqual(again, one)
      assert.notDeepEqual(one, two)
      assert.lengthOf(short as ReadonlyArray<number>, 3)
      const numbers = one as ReadonlyArray<number>
      assert.closeTo(Math.hypot(...numbers), 1, 1e-6)
      const bytes = Buffer.from(`${encoded}`, "base64")
      assert.deepStrictEqual(
        numbers.map((_, index) => bytes.readFloatLE(index * 4)),
        numbers
      )
    }).pipe(withSandbox())
  )

  it.effect("embeddings measure each text by itself against the model's context", () =>
    Effect.gen(function* () {
      const embed = (input: unknown) =>
        Effect.map(call("zhipu", { model: "embedding-3", input }, { path: "embeddings" }), ({ status }) => status)
      const longest = "x".repeat(8_192 * 4)
      assert.deepStrictEqual(
        [yield* embed([longest, longest]), yield* embed(["x", `${longest}x`]), yield* embed([[1, 2], [3]])],
        [200, 400, 200]
      )
    }).pipe(withSandbox())
  )

  it.effect("responses answer in items, and stream named and numbered events that end without [DONE]", () =>
    Effect.gen(function* () {
      const asked = { model: "hunyuan-turbo", input: "hi", instructions: "be brief" }
      const { json } = yield* call("hunyuan", asked, { path: "responses" })
      assert.deepInclude(json, { object: "response", status: "completed", error: null })
      const said = `You said: "hi"\nMy instructions: "be brief"`
      assert.strictEqual(at(json, "output", 0, "content", 0, "text"), said)
      assert.deepInclude(at(json, "usage"), { input_tokens: 3, output_tokens: 11, total_tokens: 14 })

      const { text } = yield* call("hunyuan", { ...asked, stream: true }, { path: "responses" })
      const chunks = chunksIn(text)
      const types = text.match(/^event: (.+)$/gm)?.map((line) => line.slice(7))
      assert.deepStrictEqual(
        chunks.map((chunk) => at(chunk, "type")),
        types
      )
      assert.deepStrictEqual(
        chunks.map((chunk) => at(chunk, "sequence_number")),
        chunks.map((_, index) => index)
      )
      assert.deepStrictEqual([types?.[0], types?.at(-1)], ["response.created", "response.completed"])
      const deltas = chunks.filter((chunk) => at(chunk, "type") === "response.output_text.delta")
      assert.strictEqual(deltas.map((chunk) => at(chunk, "delta")).join(""), said)
      assert.strictEqual(at(chunks.at(-1), "response", "output", 0, "content", 0, "text"), said)
      const cut = yield* call("hunyuan", { ...asked, max_output_tokens: 1 }, { path: "responses" })
      assert.deepInclude(cut.json, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
    }).pipe(withSandbox())
  )

  it.effect("the official client understands all of it", () =>
    Effect.gen(function* () {
      const { openai } = yield* Sandbox
      const client = (name: string) => {
        const provider = openai.find((one) => one.name === name)
        const [key] = provider?.keys ?? []
        return new OpenAI({
          baseURL: provider?.baseUrl ?? "",
          apiKey: key === undefined ? "" : Redacted.value(key),
          maxRetries: 0
        })
      }
      yield* Effect.promise(async () => {
        const nvidia = client("nvidia1")
        const hunyuan = client("hunyuan")
        const model = "llama-3.3-70b"
        const messages = [{ role: "user", content: "get_weather please" }] as const
        const stream = nvidia.chat.completions.stream({ model, messages: [...messages], tools: [weather] })
        const [toolCall] = (await stream.finalMessage()).tool_calls ?? []
        assert.strictEqual(
          toolCall?.type === "function" ? toolCall.function.arguments : "",
          `{"city":"get_weather please"}`
        )
        const embedded = await nvidia.embeddings.create({ model: "nv-embed-v1", input: "hi" })
        assert.lengthOf(embedded.data[0]?.embedding ?? [], 64)
        const completed = await nvidia.completions.create({ model, prompt: "hi" })
        assert.strictEqual(completed.choices[0]?.text, `You said: "hi"`)
        assert.include(
          (await Array.fromAsync(nvidia.models.list())).map(({ id }) => id),
          model
        )
        const response = hunyuan.responses.stream({ model, input: "hi" })
        assert.strictEqual((await response.finalResponse()).output_text, `You said: "hi"`)
        const tool = { type: "function", name: "clock", parameters: null, strict: null } as const
        const called = await hunyuan.responses.stream({ model, input: "clock", tools: [tool] }).finalResponse()
        assert.deepInclude(called.output[0], { type: "function_call", name: "clock", arguments: "{}" })
        const unknown = await nvidia.chat.completions
          .create({ model: "gpt-99", messages: [...messages] })
          .then(undefined, (error: unknown) => error)
        assert.instanceOf(unknown, NotFoundError)
      })
    }).pipe(withSandbox())
  )
})

describe("what is recorded", () => {
  it.effect("logs each call with its arrival, account, model and status", () =>
    Effect.gen(function* () {
      yield* chat("nvidia1", "first", { messages: [{ role: "user", content: "first" }] })
      yield* chat("siliconflow", "second", { model: "gpt-99" }, { key: "sandbox-siliconflow-b" })
      yield* call("zhipu", { model: "embedding-3", input: ["a", "b"] }, { path: "embeddings", key: "wrong" })
      yield* call("hunyuan", undefined, { path: "models" })
      const { json, text } = yield* get("/_sandbox/requests")
      const entries = at(json, "requests") as ReadonlyArray<unknown>
      assert.lengthOf(entries, 3)
      const [first, second, third] = entries
      assert.deepStrictEqual<unknown>(first, {
        time: "1970-01-01T00:00:00.000Z",
        arrivedAt: 0,
        provider: "nvidia1",
        call: "chat",
        account: "nvidia1-a",
        conversationId: "",
        model: "llama-3.3-70b",
        query: "first",
        systemPrompt: null,
        historyLength: 0,
        toolNames: [],
        toolResults: [],
        status: 200
      })
      assert.deepInclude(second, { account: "siliconflow-b", model: "gpt-99", status: 404 })
      assert.deepInclude(third, { call: "embeddings", account: null, query: "a\nb", status: 401 })
      assert.notInclude(text, "sandbox-")
    }).pipe(withSandbox())
  )

  it.effect("counts every call by provider, kind and status", () =>
    Effect.gen(function* () {
      yield* chat("hunyuan")
      yield* chat("hunyuan", "hi", { stream: true })
      yield* call("hunyuan", {}, { path: "embeddings" })
      yield* call("hunyuan", undefined, { path: "models" })
      const none = { total: 0, byStatus: {}, aborted: 0, open: 0 }
      const counted = yield* stats
      assert.deepStrictEqual(at(counted, "openai", "hunyuan"), {
        chat: { ...none, total: 2, byStatus: { 200: 2 } },
        completions: none,
        embeddings: { ...none, total: 1, byStatus: { 404: 1 } },
        responses: none,
        models: { ...none, total: 1, byStatus: { 200: 1 } },
        limits: { concurrency: 5, rpm: null },
        atOnceMost: 1,
        minuteMost: 2,
        refusedByLimit: 0
      })
      assert.deepStrictEqual([at(counted, "open"), at(counted, "aborted"), at(counted, "ai", "total")], [0, 0, 0])
    }).pipe(withSandbox())
  )
})
