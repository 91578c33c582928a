/** `GET /metrics`. Off the loopback it is for whoever runs the server: it tells who the providers are and what is asked of them. */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Access } from "../contract/Access.ts"
import { Scrape } from "../overview/Scrape.ts"

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

export const onThisMachine = Layer.effectDiscard(
  Effect.gen(function* () {
    const answer = yield* page
    yield* (yield* HttpRouter.HttpRouter).add("GET", "/metrics", answer)
  })
)
export const onTheNetwork = HttpApiBuilder.layer(Guarded).pipe(Layer.provide(handlers))
