/** The emulated Warp's model endpoint: a protobuf request in, a stream of protobuf events out. */
import { Clock, DateTime, Duration, Effect, Result, Stream } from "effect"
import { HttpBody, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Connection from "../connection.ts"
import { Faults } from "../Faults.ts"
import type { Fault } from "../faultList.ts"
import { answer } from "../modelAnswer.ts"
import { RequestLog } from "../RequestLog.ts"
import { hex } from "../seed.ts"
import { Statistics } from "../Statistics.ts"
import type { OpenCall } from "../Statistics.ts"
import { bearerOf } from "./bearer.ts"
import { dataOf, frame } from "./framing.ts"
import { decodeRequest } from "./modelRequest.ts"
import type { ModelRequest } from "./modelRequest.ts"
import { stepsOf } from "./streamSteps.ts"
import type { Exchange, Step } from "./streamSteps.ts"
import { strike } from "./strike.ts"
import { WarpAccounts } from "./WarpAccounts.ts"
import { warpModels } from "../../upstream/warp/models.ts"
import * as Responses from "./warpResponses.ts"

export interface ModelRouteOptions {
  readonly seed: string
  /** The pause before each event after the first (default 1 millisecond). */
  readonly latency?: Duration.Input | undefined
  /** The models an account may use. */
  readonly models?: ReadonlyArray<string> | undefined
}

export const modelRoute = (options: ModelRouteOptions) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const accounts = yield* WarpAccounts
      const faults = yield* Faults
      const log = yield* RequestLog
      const statistics = yield* Statistics
      const models = new Set(options.models ?? warpModels)
      const latency = Duration.fromInputUnsafe(options.latency ?? "1 millis")

      const respond = Effect.fnUntraced(function* (open: OpenCall, request: HttpServerRequest.HttpServerRequest) {
        const asked = decodeRequest(new Uint8Array(yield* request.arrayBuffer))
        const account = yield* Effect.result(accounts.authenticate(yield* bearerOf))
        if (asked !== undefined) {
          yield* log.add(
            logged(asked, Result.isSuccess(account) ? account.success.uid : null, yield* Clock.currentTimeMillis)
          )
        }
        const struck = yield* strike(faults, open, "ai", asked?.model)
        if (struck !== undefined) return struck
        if (Result.isFailure(account)) return Responses.unauthorized(account.failure.reason)
        if (asked === undefined) return Responses.serverError()
        if (!models.has(asked.model)) return Responses.modelNotAllowed(asked.model)
        const ordinal = yield* accounts.spend(account.success)
        if (ordinal === undefined) return Responses.noQuota
        const fault = yield* faults.take({ provider: "warp", call: "ai", model: asked.model, phase: "accepted" })
        return streamed(stepsOf(exchangeOf(options.seed, ordinal, asked), fault), { fault, latency, open, request })
      })

      yield* router.add("POST", "/ai/multi-agent", (request) =>
        statistics.track("warp", "ai", (open) => respond(open, request))
      )
    })
  )

const exchangeOf = (seed: string, ordinal: number, asked: ModelRequest): Exchange => {
  const reply = answer(asked)
  const written =
    reply.text + (reply.reasoning ?? "") + reply.toolCalls.map(({ args }) => JSON.stringify(args)).join("")
  return {
    names: {
      conversationId: asked.conversationId ?? `conversation-${hex(16, seed, "conversation", ordinal)}`,
      requestId: `request-${hex(16, seed, "request", ordinal)}`,
      taskId: asked.taskId ?? `task-${hex(16, seed, "task", ordinal)}`,
      newTask: asked.taskId === undefined
    },
    answer: reply,
    cost: { model: asked.model, input: tokensIn(asked.inputLength), output: tokensIn(written.length) }
  }
}

/** Four characters make a token, as a rule of thumb. */
const tokensIn = (characters: number): number => Math.max(1, Math.ceil(characters / 4))

const streamed = (
  steps: ReadonlyArray<Step>,
  context: {
    readonly fault: Fault | undefined
    readonly latency: Duration.Duration
    readonly open: OpenCall
    readonly request: HttpServerRequest.HttpServerRequest
  }
) => {
  const { fault, latency, open, request } = context
  const pause = Duration.isZero(latency) ? Effect.void : Effect.sleep(latency)
  const frames = (data: string) => frame(data, fault?.kind)
  const body = Stream.fromIterable(steps).pipe(
    Stream.mapEffect((step, index) => {
      switch (step._tag) {
        case "Wait":
          return Effect.as(Duration.isFinite(step.duration) ? Effect.sleep(step.duration) : Effect.never, [])
        case "HangUp":
          return Effect.andThen(open.breaking, Connection.hangUp(request))
        case "Send":
          return Effect.as(index === 0 ? Effect.void : pause, frames(dataOf(step.event)))
        case "SendData":
          return Effect.as(pause, frames(step.data))
      }
    }),
    Stream.flatMap(Stream.fromIterable),
    // Each piece of a frame leaves in a write of its own, and on its own if the network lets it.
    Stream.mapEffect((piece) => Effect.as(Effect.yieldNow, piece)),
    Stream.encodeText
  )
  const named = fault?.kind !== "no_content_type"
  const response = HttpServerResponse.setBody(
    HttpServerResponse.empty({ status: 200, headers: { "cache-control": "no-cache, no-transform" } }),
    HttpBody.stream(
      Stream.concat(Stream.drain(Stream.fromEffect(Connection.sendHeaders(request))), body),
      // A body that names its type would bring the header back.
      named ? "text/event-stream" : ""
    )
  )
  return named ? response : HttpServerResponse.removeHeader(response, "content-type")
}

const logged = (asked: ModelRequest, account: string | null, now: number) => ({
  time: DateTime.formatIso(DateTime.makeUnsafe(now)),
  provider: "warp",
  account,
  conversationId: asked.conversationId ?? "",
  model: asked.model,
  query: asked.query,
  systemPrompt: asked.systemPrompt ?? null,
  historyLength: asked.historyLength,
  toolNames: asked.tools.map(({ name }) => name),
  toolResults: asked.toolResults.map(({ text }) => text)
})
