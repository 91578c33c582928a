/** The live events of the console on the wire: server-sent, for as long as whoever asked may have them. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Cause, Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { ClientKeys } from "../access/ClientKeys.ts"
import type { ConsoleAccount } from "../access/ConsoleAccount.ts"
import type { Feed, Live, Watcher } from "../overview/Live.ts"
import { keyOf } from "./Access.ts"
import { ruleOf } from "./permissions.ts"
import { cookieOf } from "./sessionCookie.ts"

export interface Admission {
  readonly account: ConsoleAccount["Service"]
  readonly keys: ClientKeys["Service"]
}

export const eventStream = Effect.fnUntraced(function* (
  live: Live["Service"],
  request: HttpServerRequest.HttpServerRequest,
  admission: Admission
) {
  const response = NodeHttpServerRequest.toServerResponse(request)
  const feed = yield* live.open({ mayGoOn: mayGoOn(request, admission), cut: () => void response.destroy() })
  // Also when the client is gone before it is written to.
  response.once("close", feed.close)
  if (response.destroyed) feed.close()
  return HttpServerResponse.stream(events(feed), {
    contentType: "text/event-stream",
    headers: {
      "cache-control": "no-cache, no-transform",
      // A proxy of nginx's kind would hold it back.
      "x-accel-buffering": "no"
    }
  })
})

const events = (feed: Feed) => {
  const encoder = new TextEncoder()
  const pull = Effect.flatMap(feed.next, (text) =>
    text === undefined ? Cause.done() : Effect.succeed([encoder.encode(text)] as const)
  )
  return Stream.fromPull(Effect.succeed(pull))
}

/** By what it was let in by: the key, as it is now, or the session, whose secret may have become another. */
const mayGoOn = (request: HttpServerRequest.HttpServerRequest, { account, keys }: Admission): Watcher["mayGoOn"] => {
  const key = keyOf(request.headers["authorization"])
  if (key !== "") {
    return Effect.sync(() => {
      const verdict = keys.judge(key)
      return verdict._tag === "Admitted" && ruleOf("console").roles.includes(verdict.client.role)
    })
  }
  const cookie = cookieOf(request)
  return cookie === undefined ? Effect.succeed(false) : account.goesOn(cookie)
}
