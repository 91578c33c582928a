/** What a fault does to a connection below HTTP. This is the one place where the sandbox touches Node's own objects. */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"

const socketOf = (request: HttpServerRequest.HttpServerRequest) =>
  NodeHttpServerRequest.toIncomingMessage(request).socket

/** Sends the headers ahead of the body, which Node would otherwise hold back until the first write. */
export const sendHeaders = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<void> =>
  Effect.sync(() => {
    const response = NodeHttpServerRequest.toServerResponse(request)
    if ("flushHeaders" in response) response.flushHeaders()
  })

/** Resets the connection (TCP RST). Never returns: the lost connection interrupts the handler. */
export const reset = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<never> =>
  Effect.andThen(
    Effect.sync(() => void socketOf(request).resetAndDestroy()),
    Effect.never
  )

/** Closes the connection once what was written has left. Never returns: the lost connection interrupts the handler. */
export const hangUp = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<never> =>
  Effect.andThen(
    Effect.sync(() => socketOf(request).destroySoon()),
    Effect.never
  )
