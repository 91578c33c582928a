import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Redacted, Schedule, Scope, Stream } from "effect"
import type { Duration } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import type { ChatEvent, ChatRequest } from "../../src/domain/Chat.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { WarpClient } from "../../src/upstream/WarpClient.ts"

/** The sandbox on a free port, the client before it, and time as it is. */
const live = (http: Layer.Layer<HttpClient.HttpClient>, idle: Duration.Input = "300 millis") =>
  Layer.unwrap(
    Effect.map(Sandbox, ({ apiKey, url }) =>
      WarpClient.layerWith({
        baseUrl: url,
        identityUrl: url,
        tokenUrl: url,
        apiKey,
        minting: true,
        timeouts: { account: "2 seconds", headers: "1 second", idle }
      })
    )
  ).pipe(
    Layer.provideMerge(Layer.fresh(Sandbox.layerWith({ port: 0 }))),
    Layer.provideMerge(http),
    Layer.provideMerge(Logger.layer([]))
  )

const id = TokenId.make("token-1")
const ask = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: "auto",
  messages: [{ role: "user", content }],
  ...more
})

const fault = Effect.fnUntraced(function* (fault: object) {
  const { url } = yield* Sandbox
  const client = yield* HttpClient.HttpClient
  const request = HttpClientRequest.post(`${url}/_sandbox/faults`).pipe(HttpClientRequest.bodyJsonUnsafe(fault))
  assert.strictEqual((yield* client.execute(request)).status, 200)
})

const statistics = Effect.gen(function* () {
  const { url } = yield* Sandbox
  const response = yield* (yield* HttpClient.HttpClient).get(`${url}/_sandbox/stats`)
  return (yield* response.json) as { readonly aborted: number; readonly open: number }
})

/** The personal account of the sandbox, whose quota is large. */
const personal = Effect.gen(function* () {
  const { personalRefreshToken } = yield* Sandbox
  const { access } = yield* WarpClient.use((client) => client.refresh(personalRefreshToken))
  return { id, access }
})

const answer = Effect.fnUntraced(function* (request: ChatRequest) {
  const token = yield* personal
  const told: Array<ChatEvent> = []
  const exit = yield* WarpClient.use((client) => client.chat(request, token)).pipe(
    Effect.flatMap(Stream.runForEach((event) => Effect.sync(() => told.push(event)))),
    Effect.scoped,
    Effect.exit
  )
  return { told, exit }
})

const textOf = (told: ReadonlyArray<ChatEvent>) =>
  told.map((event) => (event._tag === "Text" ? event.text : "")).join("")

const failureOf = (exit: Exit.Exit<void, unknown>) =>
  JSON.parse(JSON.stringify(Exit.isFailure(exit) ? exit.cause.reasons[0] : null)) as {
    readonly error?: { readonly _tag: string; readonly reason?: string }
  } | null

for (const [name, http] of [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const) {
  describe(`WarpClient before the sandbox, through ${name}`, () => {
    it.live("a new user comes into being, is exchanged, renewed, served and counted", () =>
      Effect.gen(function* () {
        const client = yield* WarpClient
        const custom = yield* client.createAnonymousUser
        const credential = yield* client.exchange(custom)
        const renewed = yield* client.refresh(credential.refresh ?? Redacted.make(""))
        const token = { id, access: renewed.access }
        const before = yield* client.quota(token)
        const told = yield* Effect.scoped(Effect.flatMap(client.chat(ask("hello"), token), Stream.runCollect))
        assert.isAbove(textOf(told).length, 0)
        const last = told.at(-1)
        assert.strictEqual(last?._tag === "Finished" && last.reason, "stop")
        assert.isAbove((last?._tag === "Finished" && last.usage?.prompt) || 0, 0)
        const after = yield* client.quota(token)
        assert.isAbove(after.used, before.used)
        assert.isDefined(after.resetAt)
      }).pipe(Effect.provide(live(http)))
    )

    it.live("every spelling of the stream tells the same answer", () =>
      Effect.gen(function* () {
        const plain = textOf((yield* answer(ask("tell me something"))).told)
        for (const kind of ["crlf", "multi_line", "comments", "quoted", "unpadded", "split", "no_content_type"]) {
          yield* fault({ call: "ai", kind })
          const { exit, told } = yield* answer(ask("tell me something"))
          assert.deepStrictEqual(exit, Exit.void, kind)
          assert.strictEqual(textOf(told), plain, kind)
        }
      }).pipe(Effect.provide(live(http)))
    )

    it.live("every fault is told as what it is", () =>
      Effect.gen(function* () {
        for (const [kind, tag, reason] of [
          ["quota", "QuotaExhausted"],
          ["out_of_credits", "QuotaExhausted"],
          ["quota_in_stream", "QuotaExhausted"],
          ["rate_limit", "Throttled"],
          ["cloud_armor", "Throttled"],
          ["unauthorized", "AccessRejected"],
          ["blocked", "AccountBlocked"],
          ["model_not_allowed", "RequestRejected"],
          ["server_error", "UpstreamUnavailable", "status"],
          ["reset", "UpstreamUnavailable", "connection"],
          ["silence", "UpstreamUnavailable", "timeout"],
          ["cut", "UpstreamUnavailable", "cut"],
          ["truncated", "UpstreamUnavailable", "cut"],
          ["stall", "UpstreamUnavailable", "timeout"],
          ["malformed", "UpstreamUnavailable", "malformed"],
          ["rollback_in_stream", "UpstreamUnavailable", "malformed"],
          ["llm_unavailable_in_stream", "UpstreamUnavailable", "internal"],
          ["internal_error_in_stream", "UpstreamUnavailable", "internal"],
          ["other_in_stream", "UpstreamUnavailable", "internal"]
        ] as const) {
          yield* fault({ call: "ai", kind })
          const { exit } = yield* answer(ask("hello"))
          const failure = failureOf(exit)?.error
          assert.strictEqual(failure?._tag, tag, kind)
          if (reason !== undefined) assert.strictEqual(failure?.reason, reason, kind)
        }
        yield* fault({ call: "ai", kind: "context_exceeded_in_stream" })
        assert.strictEqual(failureOf((yield* answer(ask("hello"))).exit)?.error?._tag, "RequestRejected")
        for (const kind of ["max_tokens_in_stream", "context_exceeded_in_stream"]) {
          yield* fault({ call: "ai", kind, afterEvents: 3 })
          const last = (yield* answer(ask("hello"))).told.at(-1)
          assert.strictEqual(last?._tag === "Finished" && last.reason, "length", kind)
        }
      }).pipe(Effect.provide(live(http)))
    )

    it.live("tools are offered, called, and answered", () =>
      Effect.gen(function* () {
        const tools: NonNullable<ChatRequest["tools"]> = [
          {
            type: "function",
            function: {
              name: "weather",
              parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
            }
          }
        ]
        const asked = ask("use the tool weather", { tools })
        const { told } = yield* answer(asked)
        const call = told.find((event) => event._tag === "ToolCalled")
        assert.strictEqual(call?.name, "weather")
        assert.deepStrictEqual(Object.keys(JSON.parse(call?.arguments ?? "{}")), ["city"])
        const last = told.at(-1)
        assert.strictEqual(last?._tag === "Finished" && last.reason, "tool_calls")
        const { exit } = yield* answer({
          ...asked,
          messages: [
            ...asked.messages,
            {
              role: "assistant",
              tool_calls: [
                {
                  id: call?.id ?? "",
                  type: "function",
                  function: { name: "weather", arguments: call?.arguments ?? "" }
                }
              ]
            },
            { role: "tool", tool_call_id: call?.id ?? "", content: "sunny" }
          ]
        })
        assert.deepStrictEqual(exit, Exit.void)
      }).pipe(Effect.provide(live(http)))
    )

    it.live("an interrupted stream is aborted at the upstream, and so is one that nobody reads", () =>
      Effect.gen(function* () {
        const client = yield* WarpClient
        const token = yield* personal
        yield* fault({ call: "ai", kind: "stall", times: 2 })
        const reading = yield* Effect.forkChild(
          Effect.scoped(Effect.flatMap(client.chat(ask("hello"), token), Stream.runDrain)),
          { startImmediately: true }
        )
        const scope = yield* Scope.make()
        yield* Effect.asVoid(Scope.provide(client.chat(ask("hello"), token), scope))
        const until = (open: number) =>
          statistics.pipe(
            Effect.repeat({ until: (counted) => counted.open === open, schedule: Schedule.spaced("5 millis") }),
            Effect.timeout("5 seconds")
          )
        yield* until(2)
        yield* Fiber.interrupt(reading)
        yield* until(1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* until(0)).aborted, 2)
      }).pipe(Effect.provide(live(http, "1 minute")))
    )
  })
}
