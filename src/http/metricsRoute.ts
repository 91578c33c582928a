/** `GET /metrics`. Beyond this machine it is for whoever runs the server: it tells who the providers are and what is asked of them. */
import { Effect, Layer, Schema } from "effect"
import { type Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { ClientKeys } from "../access/ClientKeys.ts"
import { Access } from "../contract/Access.ts"
import { Scrape } from "../overview/Scrape.ts"
import { admitted, isLocalHost, keyOf } from "./Access.ts"
import { responseFor } from "./Errors.ts"
import { ruleOf } from "./permissions.ts"

class Guarded extends HttpApi.make("metrics").add(
  HttpApiGroup.make("metrics")
    .add(HttpApiEndpoint.get("read", "/metrics", { success: Schema.String }))
    .middleware(Access)
) {}

const page = Effect.map(Scrape, ({ refresh }) =>
  refresh.pipe(
    Effect.andThen(PrometheusMetrics.format()),
    Effect.map((text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" }))
  )
)

const handlers = HttpApiBuilder.group(
  Guarded,
  "metrics",
  Effect.fnUntraced(function* (handlers) {
    const answer = yield* page
    return handlers.handleRaw("read", () => answer)
  })
)

/** Whoever asks for itself is on this machine; what a page or a proxy passes on may come from anywhere, and needs a key. */
export const onThisMachine = Layer.effectDiscard(
  Effect.gen(function* () {
    const answer = yield* page
    const keys = yield* ClientKeys
    const router = yield* HttpRouter.HttpRouter
    yield* router.add(
      "GET",
      "/metrics",
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
        if (isOwn(headers)) return answer
        const client = admitted(keys, keys.judge(keyOf(headers["authorization"])), ruleOf("metrics"))
        return "_tag" in client ? Effect.succeed(responseFor(url, client)) : answer
      })
    )
  })
)

const passedOn = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]

const isOwn = (headers: Headers.Headers) =>
  isLocalHost(headers["host"]) && passedOn.every((name) => headers[name] === undefined)

export const onTheNetwork = HttpApiBuilder.layer(Guarded).pipe(Layer.provide(handlers))
