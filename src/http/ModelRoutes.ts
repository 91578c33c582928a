/** `POST /v1/chat/completions`: OpenAI's wire in, events of a model out. */
import { Cause, Clock, Effect, Schema, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type ChatEvent, ChatRequest } from "../domain/Chat.ts"
import type { CallFailure } from "../domain/Failure.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import { Completions } from "../traffic/Completions.ts"
import { Caller } from "./Access.ts"
import { Drain } from "./Drain.ts"
import { BadRequest, brokenStreamBody, defectBody, errorResponse, type ShuttingDown } from "./Errors.ts"
import { type Answer, chunksOf, completionOf, openingChunk } from "./openai.ts"

/** Takes what it needs once; the handler then answers when the first event has come, so that until then a failure still
 * has its own status. What a request takes is held by the request's own scope. */
export const makeComplete = Effect.gen(function* () {
  const completions = yield* Completions
  const random = yield* SecureRandom.SecureRandom
  const drain = yield* Drain

  return Effect.gen(function* () {
    const { name } = yield* Caller
    const request = yield* decode(yield* body)
    const answer: Answer = {
      id: `chatcmpl-${(yield* random.uuidV4()).replaceAll("-", "")}`,
      created: Math.floor((yield* Clock.currentTimeMillis) / 1000),
      model: request.model
    }
    const completion = yield* Effect.raceFirst(completions.complete(request, name), drain.over)
    const events = Stream.interruptWhen(completion.events, drain.over)
    const headers = { "x-weirgate-attempts": String(completion.attempts), "x-request-id": answer.id }
    if (request.stream !== true) {
      return HttpServerResponse.jsonUnsafe(completionOf(answer, yield* Stream.runCollect(events)), { headers })
    }
    return HttpServerResponse.stream(streamed(answer, events, request.stream_options?.include_usage === true), {
      contentType: "text/event-stream",
      headers: { ...headers, "cache-control": "no-cache, no-transform" }
    })
  }).pipe(Effect.catch((failure) => Effect.succeed(errorResponse(failure))))
})

/** A stream that breaks ends in an error event and without `[DONE]`: it must not look like a whole answer. */
const streamed = (
  answer: Answer,
  events: Stream.Stream<ChatEvent, CallFailure | ShuttingDown>,
  includeUsage: boolean
) => {
  let tools = 0
  const chunks = (event: ChatEvent) => {
    const made = chunksOf(answer, event, tools, includeUsage)
    if (event._tag === "ToolCalled") tools++
    return made.map(frame)
  }
  return Stream.make(frame(openingChunk(answer))).pipe(
    Stream.concat(Stream.flatMap(events, (event) => Stream.fromIterable(chunks(event)))),
    Stream.concat(Stream.make("data: [DONE]\n\n")),
    Stream.catch((failure) => Stream.make(frame(brokenStreamBody(failure)))),
    Stream.catchCause((cause) =>
      Stream.fromEffect(
        Effect.as(
          Effect.logError("a stream broke", Cause.pretty(cause)).pipe(Effect.annotateLogs({ service: "Http" })),
          frame(defectBody)
        )
      )
    ),
    Stream.encodeText
  )
}

const frame = (data: object) => `data: ${JSON.stringify(data)}\n\n`

const body = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const type = request.headers["content-type"] ?? ""
  if (!/^application\/([\w.-]+\+)?json\b/i.test(type)) {
    return yield* new BadRequest({ status: 415, param: null, reason: "the body must be application/json" })
  }
  return yield* Effect.mapError(request.json, (error) =>
    HttpServerError.isHttpServerError(error) && isTooLarge(error)
      ? new BadRequest({ status: 413, param: null, reason: "the body is larger than this server accepts" })
      : new BadRequest({ status: 400, param: null, reason: "the body is not valid JSON" })
  )
})

const isTooLarge = ({ reason }: HttpServerError.HttpServerError) =>
  reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"

const decodeRequest = Schema.decodeUnknownEffect(ChatRequest)

const decode = (json: unknown) =>
  Effect.mapError(decodeRequest(json), ({ issue }) => {
    const { field, reason } = firstIssue(issue)
    return new BadRequest({ status: 400, param: field === "" ? null : field, reason })
  })
