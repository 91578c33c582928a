/** `GET /metrics`. Off the loopback it is for whoever runs the server: it tells who the providers are and what is asked of them. */
import { Effect, Layer, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Access } from "../contract/Access.ts"

class Guarded extends HttpApi.make("metrics").add(
  HttpApiGroup.make("metrics")
    .add(HttpApiEndpoint.get("read", "/metrics", { success: Schema.String }))
    .middleware(Access)
) {}

const handlers = HttpApiBuilder.group(Guarded, "metrics", (handlers) =>
  handlers.handleRaw("read", () =>
    Effect.map(PrometheusMetrics.format(), (text) =>
      HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
    )
  )
)

export const onThisMachine = PrometheusMetrics.layerHttp()
export const onTheNetwork = HttpApiBuilder.layer(Guarded).pipe(Layer.provide(handlers))
