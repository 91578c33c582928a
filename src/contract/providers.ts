/** The providers and the routes to them: what each can do now, and whether a person lets it. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Access } from "./Access.ts"
import { failures as error } from "./wire.ts"

/** Epoch milliseconds. */
const Instant = Schema.Finite
const Count = Schema.Int

export const TargetView = Schema.Struct({
  /** The provider's own name for the model. */
  model: Schema.String,
  /** `open`: nothing is sent there; `half_open`: the next request tries it; `returning`: few at once at first. */
  circuit: Schema.Literals(["closed", "open", "half_open", "returning"]),
  /** Until when it is open, and whether the upstream said so. */
  until: Schema.NullOr(Instant),
  source: Schema.NullOr(Schema.Literals(["stated", "guessed"]))
}).annotate({ identifier: "ProviderTarget" })

export const LimitView = Schema.Struct({
  /** As it is kept now; null when there is none. */
  most: Schema.NullOr(Schema.Finite),
  /** Nobody told us: it is learned from what the upstream refuses. */
  learned: Schema.Boolean
}).annotate({ identifier: "ProviderLimit" })

export const ProviderView = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["openai", "warp"]),
  /** Nothing starts there until it is resumed. */
  paused: Schema.Boolean,
  paused_since: Schema.NullOr(Instant),
  limits: Schema.Struct({
    /** Calls at once. */
    concurrency: LimitView,
    /** Calls in any 60 seconds. */
    rpm: LimitView,
    /** Model tokens in any 60 seconds; never learned. */
    tpm: LimitView
  }),
  /** Calls at work. */
  in_use: Count,
  /** Calls in the minute that ends now. */
  last_minute: Count,
  /** Requests that wait for it, perhaps for others too. */
  waiting: Count,
  /** Until when nothing is sent there, because none of its tokens can be used or it has asked for a pause. */
  held_until: Schema.NullOr(Instant),
  /** Those of its routes, and those that were asked for otherwise. */
  targets: Schema.Array(TargetView),
  tokens: Schema.Struct({ held: Count, usable: Count })
}).annotate({ identifier: "Provider" })
export type ProviderView = typeof ProviderView.Type

export const RouteView = Schema.Struct({
  /** The public name. */
  model: Schema.String,
  /** In order of preference. */
  targets: Schema.Array(
    Schema.Struct({
      provider: Schema.String,
      /** The provider's own name for it. */
      model: Schema.String,
      /** As `GET /v1/models` has it. */
      state: Schema.Literals(["ready", "busy", "paused", "held", "open", "half_open"]),
      until: Schema.NullOr(Instant)
    })
  )
}).annotate({ identifier: "Route" })
export type RouteView = typeof RouteView.Type

const params = Schema.Struct({ name: Schema.String.check(Schema.isMaxLength(200)) })

export class ProvidersApi extends HttpApiGroup.make("providers")
  .add(
    HttpApiEndpoint.get("list", "/api/admin/providers", {
      success: Schema.Struct({ providers: Schema.Array(ProviderView) }),
      error
    }).annotate(OpenApi.Summary, "What each provider can do now"),
    HttpApiEndpoint.get("routes", "/api/admin/routes", {
      success: Schema.Struct({ routes: Schema.Array(RouteView) }),
      error
    }).annotate(OpenApi.Summary, "The public names, and who serves them"),
    HttpApiEndpoint.post("pause", "/api/admin/providers/:name/pause", {
      params,
      success: ProviderView,
      error
    }).annotate(OpenApi.Summary, "Starts nothing at a provider until it is resumed; what is under way goes on"),
    HttpApiEndpoint.post("resume", "/api/admin/providers/:name/resume", {
      params,
      success: ProviderView,
      error
    }).annotate(OpenApi.Summary, "Lets a provider's line go on"),
    HttpApiEndpoint.post("reset", "/api/admin/providers/:name/reset", {
      params,
      success: ProviderView,
      error
    }).annotate(OpenApi.Summary, "Takes all targets of a provider for in order again")
  )
  .middleware(Access) {}
