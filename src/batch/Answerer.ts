/** Who answers a batch's requests: the gateway of this process, or a server that runs already. */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { Usage } from "../domain/Chat.ts"
import { errorBody, errorResponse } from "../http/Errors.ts"
import { Gateway } from "../traffic/Gateway.ts"
import type { GatewayFailure } from "../traffic/GatewayFailure.ts"
import { Governor, type ProviderStanding } from "../traffic/Governor.ts"
import * as Journey from "../traffic/journey.ts"
import type { Answer } from "../upstream/ModelClient.ts"
import { isObject, parsed, type Question } from "./requestLine.ts"

/** How the batch wants its requests treated. */
export interface Treatment {
  /** 0 to 9, 9 being the most urgent. */
  readonly priority: number
  /** For one try, its wait in line included. */
  readonly timeout: Duration.Duration
  /** Who asks: clients are served in turns. */
  readonly client: string
}

export type Asked =
  /** `body` is the text of a JSON object. */
  | {
      readonly _tag: "Answered"
      readonly status: number
      readonly requestId: string
      readonly body: string
      readonly usage: Usage | undefined
    }
  /** The request itself is at fault: asked again, it would be told the same. `body` is OpenAI's error. */
  | {
      readonly _tag: "Refused"
      readonly status: number
      readonly requestId: string
      readonly body: string
      readonly code: string | null
    }
  /** It may be answered another time. `wasCalled`: an upstream has failed on it, and may fail on it again. */
  | {
      readonly _tag: "Unanswered"
      readonly reason: string
      readonly retryAfter: Duration.Duration | undefined
      readonly wasCalled: boolean
    }

/** A request under way. */
export interface Asking {
  /** Waits for a slot and the whole answer. Interruption aborts the call and gives everything back. */
  readonly asked: Effect.Effect<Asked>
  /** Whether it has had a slot: one that only waits in line loses nothing when it leaves. */
  readonly isAtWork: () => boolean
}

export class Answerer extends Context.Service<
  Answerer,
  {
    ask(question: Question, treatment: Treatment): Asking
    /** What the providers can do now, or could a moment ago. Never waits. */
    readonly standings: Effect.Effect<ReadonlyArray<ProviderStanding>>
  }
>()("weirgate/batch/Answerer") {
  /** The gateway of this process: its limits, its line, its keys. */
  static readonly layer: Layer.Layer<Answerer, never, Gateway | Governor> = Layer.effect(
    Answerer,
    Effect.gen(function* () {
      const gateway = yield* Gateway
      const governor = yield* Governor
      const random = yield* SecureRandom.SecureRandom
      const origin = (yield* random.uuidV4()).slice(0, 13)
      let ordinal = 0
      return Answerer.of({
        standings: governor.providers,
        ask: ({ body, endpoint, model }, treatment) => {
          const id = `req-${origin}-${(++ordinal).toString(36)}`
          const journey = Journey.make(false)
          const sent = gateway.send({ id, endpoint, body, model, stream: false, journey, ...treatment })
          return {
            isAtWork: () => journey.target !== undefined,
            asked: Effect.gen(function* () {
              const answered = yield* Effect.result(Effect.scoped(sent))
              return answered._tag === "Success"
                ? answeredBy(answered.success, id)
                : failedBy(answered.failure, id, journey.attempts > 0, yield* Clock.currentTimeMillis)
            })
          }
        }
      })
    })
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

const decoder = new TextDecoder()

const answeredBy = (answer: Answer, requestId: string): Asked => {
  const body = answer._tag === "Whole" ? decoder.decode(answer.body) : ""
  // What is not JSON would break the line that it is written to.
  return isObject(parsed(body))
    ? { _tag: "Answered", status: 200, requestId, body, usage: answer._tag === "Whole" ? answer.usage : undefined }
    : { _tag: "Unanswered", reason: "the answer was no JSON object", retryAfter: undefined, wasCalled: true }
}

const failedBy = (failure: GatewayFailure, requestId: string, wasCalled: boolean, now: number): Asked => {
  const unanswered = (retryAfter: Duration.Duration | undefined, wasCalled = false): Asked => ({
    _tag: "Unanswered",
    reason: failure.message,
    retryAfter,
    wasCalled
  })
  switch (failure._tag) {
    case "RequestRejected":
    case "ModelNotServed": {
      const body = errorBody(failure)
      const { status } = errorResponse(failure)
      return { _tag: "Refused", status, requestId, body: JSON.stringify(body), code: body.error.code }
    }
    case "UpstreamUnavailable":
      return unanswered(failure.retryAfter, wasCalled)
    case "DeadlineExceeded":
      return unanswered(undefined, wasCalled)
    case "QuotaExhausted":
      return unanswered(failure.resetAt === undefined ? undefined : Duration.millis(Math.max(0, failure.resetAt - now)))
    case "Throttled":
    case "SlotRefused":
    case "NoCapacity":
      return unanswered(failure.retryAfter)
    case "AccessRejected":
    case "AccountBlocked":
    case "StoreUnavailable":
      return unanswered(undefined)
  }
}
