/** The emulated Warp's model endpoint: a protobuf request in, a stream of protobuf events out. */
import { Clock, DateTime, Duration, Effect, Result } from "effect"
import { HttpRouter } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import { isWarp } from "../fault.ts"
import { Faults } from "../Faults.ts"
import { answer } from "../modelAnswer.ts"
import * as Paced from "../pacedBody.ts"
import { RequestLog } from "../RequestLog.ts"
import { hex } from "../seed.ts"
import { Statistics } from "../Statistics.ts"
import type { OpenCall } from "../Statistics.ts"
import { bearerOf } from "../bearer.ts"
import { dataOf, frame } from "./framing.ts"
import { decodeRequest } from "./modelRequest.ts"
import type { ModelRequest } from "./modelRequest.ts"
import { stepsOf } from "./streamSteps.ts"
import type { Exchange, Step } from "./streamSteps.ts"
import { strike } from "./strike.ts"
import { WarpAccounts } from "./WarpAccounts.ts"
import type { Account, BearerRefused } from "./WarpAccounts.ts"
import type { WarpFault } from "./warpFault.ts"
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
        const arrivedAt = yield* Clock.currentTimeMillis
        const asked = decodeRequest(new Uint8Array(yield* request.arrayBuffer))
        const account = yield* Effect.result(accounts.authenticate(yield* bearerOf))
        const answered =
          asked === undefined
            ? undefined
            : yield* log.add(logged(asked, Result.isSuccess(account) ? account.success.uid : null, arrivedAt))
        const response = yield* answerTo(asked, account, open, request)
        if (answered !== undefined) yield* answered(response.status)
        return response
      })

      const answerTo = Effect.fnUntraced(function* (
        asked: ModelRequest | undefined,
        account: Result.Result<Account, BearerRefused>,
        open: OpenCall,
        request: HttpServerRequest.HttpServerRequest
      ) {
        const struck = yield* strike(faults, open, "ai", asked?.model)
        if (struck !== undefined) return struck
        if (Result.isFailure(account)) return Responses.unauthorized(account.failure.reason)
        if (asked === undefined) return Responses.serverError()
        if (!models.has(asked.model)) return Responses.modelNotAllowed(asked.model)
        const ordinal = yield* accounts.spend(account.success)
        if (ordinal === undefined) return Responses.noQuota
        const taken = yield* faults.take({ provider: "warp", call: "ai", model: asked.model, phase: "accepted" })
        const fault = taken !== undefined && isWarp(taken) ? taken : undefined
        return Paced.pacedResponse(paced(stepsOf(exchangeOf(options.seed, ordinal, asked), fault), fault, latency), {
          request,
          open,
          contentType: fault?.kind === "no_content_type" ? undefined : "text/event-stream",
          headers: { "cache-control": "no-cache, no-transform" }
        })
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

/** The pause before each event after the first, and what leaves, as the fault frames it. */
const paced = (
  steps: ReadonlyArray<Step>,
  fault: WarpFault | undefined,
  latency: Duration.Duration
): ReadonlyArray<Paced.Step> =>
  steps.flatMap((step, index) => {
    switch (step._tag) {
      case "Send":
        return [...(index === 0 ? [] : Paced.wait(latency)), Paced.send(...frame(dataOf(step.event), fault?.kind))]
      case "SendData":
        return [...Paced.wait(latency), Paced.send(...frame(step.data, fault?.kind))]
      default:
        return [step]
    }
  })

const logged = (asked: ModelRequest, account: string | null, arrivedAt: number) => ({
  time: DateTime.formatIso(DateTime.makeUnsafe(arrivedAt)),
  arrivedAt,
  provider: "warp",
  call: "ai",
  account,
  conversationId: asked.conversationId ?? "",
  model: asked.model,
  query: asked.query,
  systemPrompt: asked.systemPrompt ?? null,
  historyLength: asked.historyLength,
  toolNames: asked.tools.map(({ name }) => name),
  toolResults: asked.toolResults.map(({ text }) => text)
})
