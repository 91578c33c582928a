/** Warp as any other model client: its events written as OpenAI's wire has them. */
import { Cause, Clock, Deferred, Duration, Effect, Schema, Stream } from "effect"
import type { Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChatEvent, ChatRequest, type Usage } from "../domain/Chat.ts"
import { type CallFailure, RequestRejected, UpstreamUnavailable } from "../domain/Failure.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import { warpProvider } from "../domain/Provider.ts"
import type { Answer, ModelCall, ModelClient, StreamedAnswer } from "./ModelClient.ts"
import { type Answer as Wire, chunksOf, completionOf, openingChunk } from "./warp/openaiWire.ts"
import { WarpClient } from "./WarpClient.ts"

export const make = Effect.gen(function* () {
  const warp = yield* WarpClient
  const random = yield* SecureRandom.SecureRandom

  const call = Effect.fnUntraced(function* (asked: ModelCall) {
    const request = yield* requestOf(asked)
    const startedAt = yield* Clock.currentTimeMillis
    const wire: Wire = {
      id: `chatcmpl-${(yield* random.uuidV4()).replaceAll("-", "")}`,
      created: Math.floor(startedAt / 1000),
      model: asked.publicModel
    }
    // Warp's client holds the deadlines of each phase; the request's own bounds them all.
    const end = Math.min(asked.deadline, startedAt + Duration.toMillis(asked.timeouts.total))
    const events = yield* inTime(warp.chat(request, asked.token), end).pipe(
      Effect.tap(() => Effect.sync(asked.sent)),
      Effect.tapError((failure) => Effect.sync(() => void (isOwn(failure) || asked.sent())))
    )
    return yield* asked.stream ? streamed(wire, events, request, end) : inTime(whole(wire, events), end)
  })

  const client: ModelClient = { endpoints: new Set(["/chat/completions"]), call }
  return client
})

const late = new UpstreamUnavailable({ provider: warpProvider, reason: "timeout", detail: "it took too long in all" })
/** Until then, or not at all. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>, end: number): Effect.Effect<A, E | UpstreamUnavailable, R> =>
  Effect.clockWith((clock) =>
    Effect.timeoutOrElse(effect, {
      duration: Math.max(0, end - clock.currentTimeMillisUnsafe()),
      orElse: () => Effect.fail(late)
    })
  )

/** A field that could not be written in Warp's words was refused here: nothing has left. */
const isOwn = (failure: CallFailure) => failure._tag === "RequestRejected" && failure.param !== undefined

const empty = new UpstreamUnavailable({
  provider: warpProvider,
  reason: "cut",
  detail: "the answer ended before it began"
})

const ended = new UpstreamUnavailable({
  provider: warpProvider,
  reason: "internal",
  detail: "the answer was ended here"
})

const whole = <E>(wire: Wire, events: Stream.Stream<ChatEvent, E>) =>
  Effect.map(Stream.runCollect(events), (all): Answer => {
    let usage: Usage | undefined
    for (const event of all) if (event._tag === "Finished") usage = event.usage
    return {
      _tag: "Whole",
      contentType: "application/json",
      body: encoder.encode(JSON.stringify(completionOf(wire, all))),
      usage
    }
  })

const streamed = Effect.fnUntraced(function* (
  wire: Wire,
  events: Stream.Stream<ChatEvent, CallFailure>,
  request: ChatRequest,
  end: number
): Effect.fn.Return<StreamedAnswer, CallFailure, Scope.Scope> {
  let tools = 0
  let isDone = false
  let usage: Usage | undefined
  const includeUsage = request.stream_options?.include_usage === true
  const written = (batch: ReadonlyArray<ChatEvent>) => {
    let text = ""
    for (const event of batch) {
      for (const chunk of chunksOf(wire, event, tools, includeUsage)) text += frame(chunk)
      if (event._tag === "ToolCalled") tools++
      if (event._tag === "Finished") usage = event.usage
    }
    return text
  }
  const pull = yield* Stream.toPull(events)
  const first = yield* inTime(pull, end).pipe(Effect.catchIf(Cause.isDone, () => Effect.fail(empty)))
  const isCut = yield* Deferred.make<never, UpstreamUnavailable>()
  const next = inTime(pull, end).pipe(
    Effect.raceFirst(Deferred.await(isCut)),
    Effect.map((batch) => encoder.encode(written(batch))),
    Effect.catchIf(Cause.isDone, (done) => {
      if (isDone) return Effect.fail(done)
      isDone = true
      return Effect.succeed(lastFrame)
    })
  )
  return {
    _tag: "Streamed",
    first: encoder.encode(frame(openingChunk(wire)) + written(first)),
    next,
    cut: () => Deferred.doneUnsafe(isCut, Effect.fail(ended)),
    usage: () => usage
  }
})

const encoder = new TextEncoder()
const frame = (data: object) => `data: ${JSON.stringify(data)}\n\n`
const lastFrame = encoder.encode("data: [DONE]\n\n")

const decode = Schema.decodeUnknownEffect(ChatRequest)

/** What Warp has no counterpart for is refused by its field, before anything is sent: another target may have it. */
const requestOf = (asked: ModelCall) =>
  decode(asked.body.json).pipe(
    Effect.map((request): ChatRequest => ({ ...request, model: asked.model, stream: asked.stream })),
    Effect.mapError(({ issue }) => {
      const { field, reason } = firstIssue(issue)
      return new RequestRejected({ provider: warpProvider, status: 400, code: null, param: field, reason })
    })
  )
