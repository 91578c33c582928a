/** OpenAI's paths that ask a model: the wire in, what the gateway could get out. */
import { Cause, Effect, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { CallFailure } from "../domain/Failure.ts"
import { nameOf } from "../domain/Provider.ts"
import { Gateway } from "../traffic/Gateway.ts"
import * as Journey from "../traffic/journey.ts"
import type { Endpoint, StreamedAnswer } from "../upstream/ModelClient.ts"
import { Caller } from "./Access.ts"
import { Drain } from "./Drain.ts"
import { BadRequest, brokenStreamBody, defectBody, errorResponse, ShuttingDown } from "./Errors.ts"
import * as ModelRequest from "./modelRequest.ts"

/**
 * Takes what it needs once; the handler of an endpoint then answers when the first content has come, so that until then a
 * failure still has its own status. What a request takes is held by the request's own scope.
 */
export const make = Effect.gen(function* () {
  const gateway = yield* Gateway
  const random = yield* SecureRandom.SecureRandom
  const drain = yield* Drain

  /** A stream that breaks ends in an error event and without `[DONE]`: it must not look like a whole answer. */
  const broken = (cause: Cause.Cause<CallFailure | Cause.Done>) => {
    const failure = cause.reasons.find(Cause.isFailReason)?.error
    if (failure === undefined) {
      const logged = Effect.logError("a stream broke", Cause.pretty(cause)).pipe(
        Effect.annotateLogs({ service: "Http" })
      )
      return Effect.as(logged, defectBody)
    }
    return Cause.isDone(failure)
      ? Effect.fail(failure)
      : Effect.succeed(brokenStreamBody(drain.isOver() ? new ShuttingDown() : failure))
  }

  const bodyOf = (answer: StreamedAnswer) => {
    let phase: "first" | "next" | "over" = "first"
    const next = answer.next.pipe(
      Effect.catchCauseIf(
        (cause) => !Cause.hasInterrupts(cause),
        (cause) =>
          Effect.map(broken(cause), (body) => {
            phase = "over"
            return encoder.encode(`data: ${JSON.stringify(body)}\n\n`)
          })
      ),
      Effect.map((bytes): readonly [Uint8Array] => [bytes])
    )
    // One pull for all that has come meanwhile: nothing is made for each event.
    return Stream.fromPull(
      Effect.succeed(
        Effect.suspend((): typeof next => {
          if (phase === "over") return Cause.done()
          if (phase === "next") return next
          phase = "next"
          return Effect.succeed([answer.first])
        })
      )
    )
  }

  const serve = Effect.fnUntraced(function* (endpoint: Endpoint, id: string, journey: Journey.Journey) {
    const caller = yield* Caller
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const wanted = ModelRequest.treatment(headers, caller)
    if (wanted instanceof BadRequest) return yield* wanted
    const request = yield* ModelRequest.read(endpoint)
    const answer = yield* Effect.raceFirst(gateway.send({ id, endpoint, ...request, ...wanted, journey }), drain.over)
    if (answer._tag === "Streamed") yield* drain.onOver(answer.cut)
    return answer
  })

  // Unique among processes and restarts, without drawing anew for each request.
  const origin = (yield* random.uuidV4()).slice(0, 13)
  let ordinal = 0

  return (endpoint: Endpoint) =>
    Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const id = `req-${origin}-${(++ordinal).toString(36)}`
      const journey = Journey.make(ModelRequest.wantsExplanation(headers))
      const answer = yield* Effect.result(serve(endpoint, id, journey))
      const told = headersOf(id, journey)
      if (answer._tag === "Failure") return HttpServerResponse.setHeaders(errorResponse(answer.failure), told)
      const { success } = answer
      return success._tag === "Whole"
        ? HttpServerResponse.uint8Array(success.body, { contentType: success.contentType, headers: told })
        : HttpServerResponse.stream(bodyOf(success), {
            contentType: "text/event-stream",
            headers: { ...told, "cache-control": "no-cache, no-transform" }
          })
    })
})

const encoder = new TextEncoder()

/** What became of the request, on each answer, good or bad. */
const headersOf = (id: string, { attempts, queuedMs, steps, target }: Journey.Journey) => ({
  "x-request-id": id,
  "x-weirgate-attempts": String(attempts),
  "x-weirgate-queue-ms": String(Math.round(queuedMs)),
  // A model's name may hold what a header cannot.
  ...(target !== undefined && { "x-weirgate-target": encodeURI(nameOf(target).toWellFormed()) }),
  ...(steps !== undefined && { "x-weirgate-trace": id })
})
