/** Answers a call of an emulated model that its provider's limits have let in or refused. */
import { Clock, Duration, Effect, Result } from "effect"
import { HttpServerResponse } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import * as Connection from "../connection.ts"
import { isOpenAi } from "../fault.ts"
import type { Faults } from "../Faults.ts"
import { delayOf } from "../faultTerms.ts"
import type { Struck } from "../faultTerms.ts"
import { pacedResponse } from "../pacedBody.ts"
import { chance, hex } from "../seed.ts"
import type { OpenCall } from "../Statistics.ts"
import { replyTo } from "./answers.ts"
import { streamSteps, wholeSteps } from "./answerSteps.ts"
import type { OpenAiFault } from "./openAiFault.ts"
import type { Arrival, OpenAiProviders, ProviderSettings } from "./OpenAiProviders.ts"
import { asServed, evenly, lengthOf, type Pace, serviceTimeOf } from "./pace.ts"
import { basePathOf, pathOf, providers } from "./providers.ts"
import type { OpenAiCall, ProviderName } from "./providers.ts"
import { tokensIn } from "./readCall.ts"
import type { AnswerEvent, ReadCall, Unreadable } from "./readCall.ts"
import { faultResponse, refused } from "./refusals.ts"

export interface Received {
  readonly provider: ProviderName
  readonly call: OpenAiCall
  readonly request: HttpServerRequest.HttpServerRequest
  readonly open: OpenCall
  /** Undefined when its key is not one of the provider's. */
  readonly account: string | undefined
  readonly arrival: Arrival
  /** Undefined for the list of models, which asks nothing. */
  readonly read: Result.Result<ReadCall, Unreadable> | undefined
}

/** A question that holds these words is filtered. */
const forbidden = "forbidden topic"

/** An answer that is ready to be sent, whole or as a stream. */
interface Ready {
  readonly stream: boolean
  readonly whole: () => unknown
  readonly events: ReadonlyArray<AnswerEvent>
  /** The tokens that a model works on, and the call's chance to take more or less time; undefined where no model works. */
  readonly work: { readonly prompt: number; readonly completion: number; readonly chance: () => number } | undefined
}

export const serveCall = (faults: Faults["Service"], states: OpenAiProviders["Service"], seed: string) => {
  const strike = (
    { account, call, provider, read }: Received,
    phase: Struck["phase"]
  ): Effect.Effect<OpenAiFault | undefined> => {
    const asked = read === undefined ? undefined : Result.getOrUndefined(read)
    const struck = { provider, call, account, model: asked?.model, stream: asked?.stream, phase }
    return Effect.map(faults.take(struck), (fault) => (fault !== undefined && isOpenAi(fault) ? fault : undefined))
  }

  /** The answer that takes the place of the real one, if a fault has one; `undefined` when the call goes on. */
  const struckOnArrival = Effect.fnUntraced(function* (received: Received) {
    const fault = yield* strike(received, "arrival")
    if (fault === undefined) return undefined
    yield* Effect.sleep(delayOf(fault, fault.kind === "slow" ? Duration.seconds(1) : Duration.zero))
    switch (fault.kind) {
      case "silence":
        return yield* Effect.never
      case "reset":
        return yield* dropped(received)
      default: {
        const { call, provider, read } = received
        const asked = read === undefined ? undefined : Result.getOrUndefined(read)
        const context = modelOf(provider, call, asked?.model ?? "")?.context ?? 4_096
        return faultResponse(fault, {
          dialect: providers[provider].dialect,
          basePath: basePathOf(provider),
          model: asked?.model ?? "",
          stream: asked?.stream === true,
          length: {
            context,
            prompt: Math.max(context + 1, ...(asked?.inputLengths ?? []).map(tokensIn)),
            completion: undefined
          }
        })
      }
    }
  })

  /** The answer to a call that is sound; else its refusal. */
  const ready = Effect.fnUntraced(function* (
    { call, provider, read }: Received,
    fault: Effect.Effect<OpenAiFault | undefined>
  ) {
    const { dialect } = providers[provider]
    if (read === undefined) {
      return [{ stream: false, whole: () => modelList(provider), events: [], work: undefined }, yield* fault] as const
    }
    if (Result.isFailure(read)) return refused(dialect.badRequest(read.failure.field, read.failure.reason))
    const asked = read.success
    const model = modelOf(provider, call, asked.model)
    if (model === undefined) return refused(dialect.modelNotFound(asked.model))
    const prompt = Math.max(...asked.inputLengths.map(tokensIn))
    if (prompt + (asked.maxTokens ?? 0) > model.context) {
      return refused(dialect.contextExceeded({ context: model.context, prompt, completion: asked.maxTokens }))
    }
    if (asked.questions.some(({ query }) => query.toLowerCase().includes(forbidden))) {
      return refused(dialect.contentFiltered())
    }
    const struck = yield* fault
    const drawn = [provider, call, yield* states.ordinal(provider)] as const
    const reply = replyTo(asked, {
      id: hex(24, seed, ...drawn),
      created: Math.floor((yield* Clock.currentTimeMillis) / 1_000),
      context: model.context,
      fault: struck
    })
    const answer: Ready = {
      stream: struck?.kind === "stream_instead_of_json" || (asked.stream && struck?.kind !== "json_instead_of_stream"),
      whole: () => asked.whole(reply),
      events: asked.events(reply),
      work: {
        prompt: reply.usage.prompt,
        // Nothing is generated for an embedding.
        completion: call === "embeddings" ? 0 : reply.usage.completion,
        chance: () => chance(seed, "service", ...drawn)
      }
    }
    return [answer, struck] as const
  })

  return Effect.fnUntraced(function* (received: Received) {
    const { account, arrival, call, open, provider, request } = received
    const { calls, dialect } = providers[provider]
    if (!calls.has(call)) return refused(dialect.notOffered(basePathOf(provider) + pathOf[call]))
    if (account === undefined) return refused(dialect.unauthorized())
    if (arrival.refused !== undefined) {
      const fault = yield* strike(received, "refused")
      return fault === undefined ? refused(dialect.tooMany(arrival.refused)) : yield* dropped(received)
    }
    const struck = yield* struckOnArrival(received)
    if (struck !== undefined) return struck
    const prepared = yield* ready(received, strike(received, "accepted"))
    if (HttpServerResponse.isHttpServerResponse(prepared)) return prepared
    const [answer, fault] = prepared
    const pace = paceOf(answer, yield* states.settings(provider))
    const named = fault?.kind !== "no_content_type"
    if (answer.stream) {
      return pacedResponse(streamSteps(answer.events, fault, pace), {
        request,
        open,
        completing: arrival.over,
        contentType: named ? "text/event-stream" : undefined,
        headers: { "cache-control": "no-cache, no-transform" }
      })
    }
    const duration = lengthOf(pace, answer.events)
    if (!Duration.isZero(duration)) yield* Effect.sleep(duration)
    const body = JSON.stringify(answer.whole())
    const steps = fault === undefined ? undefined : wholeSteps(body, fault)
    return steps === undefined
      ? HttpServerResponse.text(body, { contentType: "application/json" })
      : pacedResponse(steps, {
          request,
          open,
          completing: arrival.over,
          contentType: named ? "application/json" : undefined,
          contentLength: fault?.kind === "malformed" ? undefined : Buffer.byteLength(body)
        })
  })
}

const dropped = ({ open, request }: Received): Effect.Effect<never> =>
  Effect.andThen(open.breaking, Connection.reset(request))

/** A model of the kind that the call is for. */
const modelOf = (provider: ProviderName, call: OpenAiCall, name: string) =>
  providers[provider].models.find(
    (model) => model.name === name && model.kind === (call === "embeddings" ? "embedding" : "chat")
  )

const modelList = (provider: ProviderName) => ({
  object: "list",
  data: providers[provider].models.map(({ name }) => ({
    id: name,
    object: "model",
    created: 1_735_689_600,
    owned_by: provider
  }))
})

const paceOf = ({ events, work }: Ready, { firstToken, latency, service }: ProviderSettings): Pace => {
  if (service === null) return evenly(firstToken, latency)
  return asServed(work === undefined ? { first: 0, rest: 0 } : serviceTimeOf(service, work, work.chance()), events)
}
