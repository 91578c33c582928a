/** Whether the server lives, and whether it can serve. */
import { DateTime, Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Store } from "../store/Store.ts"
import { Routed } from "./Api.ts"
import { errorResponse } from "./Errors.ts"

export const probeRoutes = HttpApiBuilder.group(
  Routed,
  "probes",
  Effect.fnUntraced(function* (handlers) {
    const store = yield* Store
    return handlers
      .handle("health", () =>
        Effect.map(DateTime.now, (now) => ({
          status: "healthy" as const,
          service: "Weirgate" as const,
          timestamp: DateTime.formatIso(now)
        }))
      )
      .handle("healthz", () => Effect.succeed({ status: "ok" }))
      .handleRaw("readyz", () =>
        store.get(anything, "readyz").pipe(
          Effect.as(HttpServerResponse.jsonUnsafe({ status: "ready" })),
          Effect.catch((failure) => Effect.succeed(errorResponse(failure)))
        )
      )
  })
)

const anything = { name: "probe", schema: Schema.Json }
