/** A model's stream: bytes in, chat events out. Ends at once after `Finished`, or it has failed. */
import { Array as Arr, Cause, Duration, Effect, Result, Scope, Stream } from "effect"
import type { Pull } from "effect"
import { Sse } from "effect/encoding"
import type { ChatEvent } from "../../domain/Chat.ts"
import { type CallFailure, UpstreamUnavailable } from "../../domain/Failure.ts"
import { decodeEventData } from "./eventData.ts"
import * as Response from "./response.ts"

export interface EventStreamOptions extends Response.ResponseContext {
  /** Longest silence before the stream has failed. */
  readonly idle: Duration.Duration
}

/** A longer event has failed the stream. */
const maxEventSize = 4 * 1024 * 1024

/** How long the connection is given to end, once the scope closes; one that is read to its end can be used again. */
const farewell = Duration.millis(250)

export const chatEvents = <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  options: EventStreamOptions
): Stream.Stream<ChatEvent, CallFailure> =>
  Stream.transformPull(bytes, (pull, scope) =>
    Effect.gen(function* () {
      const read = makeReader(options)
      const unavailable = (reason: "cut" | "timeout", detail: string) =>
        Effect.fail(new UpstreamUnavailable({ provider: options.provider, reason, detail }))
      const receive = pull.pipe(
        Effect.catch((error) =>
          unavailable(
            "cut",
            Cause.isDone(error) ? "the stream ended before its end was told" : "the connection broke off"
          )
        ),
        Effect.timeoutOrElse({
          duration: options.idle,
          orElse: () => unavailable("timeout", `the stream was silent for ${Duration.format(options.idle)}`)
        })
      )
      let end: End | undefined
      // In the scope's own time: the caller has all of the answer and must not wait for the connection.
      yield* Scope.addFinalizer(
        scope,
        Effect.suspend(() =>
          end !== undefined && Result.isSuccess(end)
            ? Effect.forever(pull).pipe(Effect.timeoutOption(farewell), Effect.ignore)
            : Effect.void
        )
      )
      return Effect.suspend(function next(): Pull.Pull<Arr.NonEmptyReadonlyArray<ChatEvent>, CallFailure> {
        if (end !== undefined) return Result.isSuccess(end) ? Cause.done() : Effect.fail(end.failure)
        return Effect.flatMap(receive, (chunks) => {
          const [events, ended] = read(chunks)
          end = ended
          return Arr.isReadonlyArrayNonEmpty(events) ? Effect.succeed(events) : next()
        })
      })
    })
  )

/** That the answer is complete, or why it will not be. */
type End = Result.Result<void, CallFailure>

/** Takes the stream in as it comes, however it is cut into chunks. */
const makeReader = (context: Response.ResponseContext) => {
  const decoder = new TextDecoder()
  let state = Response.initial
  let events: Array<ChatEvent> = []
  let end: End | undefined

  const malformed = (detail: string) =>
    new UpstreamUnavailable({ provider: context.provider, reason: "malformed", detail })
  const parser = Sse.makeParser(
    (event) => {
      // A `retry:` is advice to a browser; `Sse.decode` would take it for the end.
      if (event._tag === "Retry" || end !== undefined) return
      const taken = Result.flatMap(Result.mapError(decodeEventData(event.data), malformed), (decoded) =>
        Response.step(state, decoded, context)
      )
      if (Result.isFailure(taken)) {
        end = Result.fail(taken.failure)
        return
      }
      events.push(...taken.success[0])
      state = taken.success[1]
      if (state.finished) end = Result.void
    },
    { maxEventSize }
  )

  return (chunks: ReadonlyArray<Uint8Array>): readonly [ReadonlyArray<ChatEvent>, End | undefined] => {
    events = []
    for (const chunk of chunks) {
      if (end !== undefined) break
      const tooLarge = parser.feed(decoder.decode(chunk, { stream: true }))
      if (tooLarge !== undefined) end ??= Result.fail(malformed(tooLarge.message))
    }
    return [events, end]
  }
}
