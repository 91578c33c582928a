/** Writes a streamed answer as it comes, no faster than its client takes it. */
import { Cause, Effect } from "effect"
import type { ServerResponse } from "node:http"
import type { CallFailure } from "../domain/Failure.ts"
import type { StreamedAnswer } from "../upstream/ModelClient.ts"
import { brokenStreamBody, defectBody } from "./Errors.ts"
import { ShuttingDown } from "./failures.ts"

/**
 * The headers are written already. A stream that breaks ends in an error event and without `[DONE]`: it must not look like a
 * whole answer. Answers whether it was a whole one.
 */
export const writeStream = (
  response: ServerResponse,
  answer: StreamedAnswer,
  isShuttingDown: () => boolean
): Effect.Effect<boolean> => {
  const written = (bytes: Uint8Array) => (response.write(bytes) ? Effect.void : taken(response))
  const piece = Effect.flatMap(answer.next, written)
  const all = Effect.andThen(written(answer.first), Effect.forever(piece))
  const end = (cause: Cause.Cause<CallFailure | Cause.Done>) => {
    const failure = cause.reasons.find(Cause.isFailReason)?.error
    if (failure !== undefined && Cause.isDone(failure)) {
      return Effect.sync(() => {
        response.end()
        return true
      })
    }
    const body = failure === undefined ? defectBody : brokenStreamBody(isShuttingDown() ? new ShuttingDown() : failure)
    const told = Effect.sync(() => {
      response.end(`data: ${JSON.stringify(body)}\n\n`)
      return false
    })
    if (failure !== undefined) return told
    return Effect.andThen(
      Effect.logError("a stream broke", Cause.pretty(cause)).pipe(Effect.annotateLogs({ service: "Http" })),
      told
    )
  }
  return Effect.catchCause(all, (cause) => (Cause.hasInterrupts(cause) ? Effect.interrupt : end(cause)))
}

/** As long as nginx waits for a client (`send_timeout`): slot and token are held for it. */
const patience = "60 seconds"

/** Waits until the client has taken what was written. One that takes nothing is cut off: it has left, though nobody was told. */
const taken = (response: ServerResponse): Effect.Effect<void> =>
  Effect.timeoutOrElse(drained(response), {
    duration: patience,
    orElse: () =>
      Effect.andThen(
        Effect.sync(() => void response.destroy()),
        Effect.interrupt
      )
  })

const drained = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const go = () => resume(Effect.void)
    response.once("drain", go)
    return Effect.sync(() => response.off("drain", go))
  })
