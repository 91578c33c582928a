/** Sends an answer's body step by step, with pauses, and breaks it off where a fault says so. */
import { Duration, Effect, Stream } from "effect"
import { HttpBody, HttpServerResponse } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import * as Connection from "./connection.ts"
import type { OpenCall } from "./Statistics.ts"

export type Step =
  /** Each piece leaves in a write of its own, and on its own if the network lets it. */
  | { readonly _tag: "Send"; readonly pieces: ReadonlyArray<string | Uint8Array> }
  | { readonly _tag: "Wait"; readonly duration: Duration.Duration }
  | { readonly _tag: "HangUp" }

export const send = (...pieces: ReadonlyArray<string | Uint8Array>): Step => ({ _tag: "Send", pieces })

/** Nothing, where there is nothing to wait for. */
export const wait = (duration: Duration.Duration): ReadonlyArray<Step> =>
  Duration.isZero(duration) ? [] : [{ _tag: "Wait", duration }]

export const hangUp: Step = { _tag: "HangUp" }

/** What the steps do besides sending. */
export interface Effects {
  /** Run when the body is about to be complete, before its last bytes leave: a client that has them finds it done. */
  readonly completing: Effect.Effect<void>
  readonly hangUp: Effect.Effect<never>
}

export const pacedBody = (steps: ReadonlyArray<Step>, { completing, hangUp }: Effects): Stream.Stream<Uint8Array> => {
  const last = steps.length - 1
  return Stream.fromIterable(steps).pipe(
    Stream.mapEffect((step, index) => {
      switch (step._tag) {
        case "Wait":
          return Effect.as(Duration.isFinite(step.duration) ? Effect.sleep(step.duration) : Effect.never, [])
        case "HangUp":
          return hangUp
        case "Send":
          return Effect.as(index === last ? completing : Effect.void, step.pieces)
      }
    }),
    Stream.flatMap(Stream.fromIterable),
    Stream.mapEffect((piece) => Effect.as(Effect.yieldNow, typeof piece === "string" ? encoder.encode(piece) : piece))
  )
}

const encoder = new TextEncoder()

export interface PacedOptions {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly open: OpenCall
  /** Default nothing. */
  readonly completing?: Effect.Effect<void> | undefined
  /** Undefined for an answer that does not name its type. */
  readonly contentType: string | undefined
  readonly contentLength?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A 200 whose headers leave at once. */
export const pacedResponse = (
  steps: ReadonlyArray<Step>,
  { completing = Effect.void, contentLength, contentType, headers = {}, open, request }: PacedOptions
): HttpServerResponse.HttpServerResponse => {
  const body = pacedBody(steps, { completing, hangUp: Effect.andThen(open.breaking, Connection.hangUp(request)) })
  const response = HttpServerResponse.setBody(
    HttpServerResponse.empty({ status: 200, headers }),
    HttpBody.stream(
      Stream.concat(Stream.drain(Stream.fromEffect(Connection.sendHeaders(request))), body),
      // A body that names its type would bring the header back.
      contentType ?? "",
      contentLength
    )
  )
  return contentType === undefined ? HttpServerResponse.removeHeader(response, "content-type") : response
}
