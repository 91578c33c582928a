/** The server that runs, asked over its contract: for what only its process knows. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Config, Context, Duration, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { onceWith } from "../client/exchange.ts"
import { checked } from "../client/options.ts"
import { withRetries } from "../client/retrying.ts"
import { type Reason, WeirgateError } from "../client/WeirgateError.ts"
import { reachOf } from "../config/baseUrl.ts"
import { variable } from "../config/environment.ts"
import { type SettingInvalid, Settings } from "../config/Settings.ts"
import type { CheckResult } from "../contract/admin.ts"
import type { ConsoleEvent, ConsoleToken, TraceSummary } from "../contract/console.ts"
import type { Overview } from "../contract/overview.ts"
import type { ProviderView, RouteView } from "../contract/providers.ts"
import type { TokenState } from "../contract/tokens.ts"
import { Routed } from "../http/Api.ts"
import type { Trace } from "../traffic/trace.ts"
import { settings } from "./layers.ts"
import { shown } from "./table.ts"

/** The server has not done what was asked, or there is none. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  /** Its address, or what is wrong with what was given. */
  where: Schema.String,
  reason: Schema.String,
  /** The server's word for programs, such as `provider_unknown`; ours when it did not answer. */
  code: Schema.String
}) {
  override get message() {
    return shown(`${this.where}: ${this.reason}`)
  }
}

type Asked<A> = Effect.Effect<A, ServerFailed>

/** Each waits ten seconds at most for its answer, and is asked once: whoever types a command can type it again. */
export class RunningServer extends Context.Service<
  RunningServer,
  {
    readonly overview: Asked<Overview>
    readonly providers: Asked<ReadonlyArray<ProviderView>>
    readonly routes: Asked<ReadonlyArray<RouteView>>
    resetProvider(name: string): Asked<ProviderView>
    /** What changes from now on. It fails when it is cut and when it ends, with the server or with the key: it is never over. */
    readonly events: Stream.Stream<typeof ConsoleEvent.Type, ServerFailed>
    /** Newest first. */
    requests(limit: number): Asked<ReadonlyArray<TraceSummary>>
    /** Needs a key of any role that may ask models; none on a server that asks for none. */
    request(id: string): Asked<Trace>
    /** All of them, by provider and name. */
    tokens(which: {
      readonly provider?: string | undefined
      readonly state?: TokenState | undefined
    }): Asked<ReadonlyArray<ConsoleToken>>
    /** Waits for the token's upstream, two minutes at most; null when that cannot be asked. */
    check(id: string): Asked<typeof CheckResult.Type | null>
  }
>()("weirgate/cli/RunningServer") {
  /**
   * At that address; without one, where these settings have it listen on this machine. Its key is in `WEIRGATE_API_KEY`, and crosses
   * the internet over https alone.
   */
  static readonly layerAt = (url: string | undefined): Layer.Layer<RunningServer, ServerFailed | SettingInvalid> =>
    Layer.effect(
      RunningServer,
      Effect.suspend(() => make(url))
    ).pipe(Layer.provide(NodeHttpClient.layerUndici))
}

/** Where a server of these settings is found from this machine. */
export const localUrl = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `http://${host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host}:${port}`

const local = Effect.provide(
  Effect.map(Settings, ({ server }) => localUrl(server)),
  settings
)

const responseMode = "response-only"
const quick = Duration.toMillis("10 seconds")
/** A check takes up to two minutes. */
const long = Duration.toMillis("130 seconds")
/** A page; the most that the contract gives. */
const page = 1_000

const decoders = {
  overview: HttpApiClient.decodeResponse(Routed, { group: "console", endpoint: "overview" }),
  providers: HttpApiClient.decodeResponse(Routed, { group: "providers", endpoint: "list" }),
  routes: HttpApiClient.decodeResponse(Routed, { group: "providers", endpoint: "routes" }),
  reset: HttpApiClient.decodeResponse(Routed, { group: "providers", endpoint: "reset" }),
  requests: HttpApiClient.decodeResponse(Routed, { group: "console", endpoint: "requests" }),
  events: HttpApiClient.decodeResponse(Routed, { group: "console", endpoint: "events" }),
  request: HttpApiClient.decodeResponse(Routed, { group: "traces", endpoint: "request" }),
  tokens: HttpApiClient.decodeResponse(Routed, { group: "console", endpoint: "tokens" }),
  check: HttpApiClient.decodeResponse(Routed, { group: "admin", endpoint: "check" })
}

const make = Effect.fnUntraced(function* (given: string | undefined) {
  const key = yield* variable("WEIRGATE_API_KEY", Config.Redacted)
  const url = given ?? (yield* local)
  const { baseUrl } = yield* Effect.mapError(
    Effect.fromResult(checked({ baseUrl: url, apiKey: key ?? Redacted.make("none") })),
    ({ reason: { code, detail, ...reason } }) => {
      const isKey = "param" in reason && reason.param === "apiKey"
      return new ServerFailed({
        where: isKey ? "WEIRGATE_API_KEY" : "--server",
        reason: detail.replace(/^\w+: /, ""),
        code
      })
    }
  )
  // Where these settings have it listen is this machine, whatever the address.
  if (given !== undefined && key !== undefined && baseUrl.startsWith("http:") && reachOf(baseUrl) === "far") {
    return yield* new ServerFailed({
      where: "--server",
      reason: "the key would cross the internet in clear text: give an https URL, or a tunnel to it on this machine",
      code: "insecure_url"
    })
  }
  const once = onceWith(key)
  const client = yield* HttpClient.HttpClient
  const { admin, console, providers, traces } = yield* HttpApiClient.makeWith(Routed, {
    httpClient: key === undefined ? client : HttpClient.mapRequest(client, HttpClientRequest.bearerToken(key)),
    baseUrl
  })
  const asking = <A>(attempt: Effect.Effect<A, Reason>, within = quick): Asked<A> =>
    withRetries(() => attempt, "once", { tries: 1, delay: 0, longestWait: 0, timeout: within, deadline: within }).pipe(
      Effect.mapError(
        (error) => new ServerFailed({ where: baseUrl, reason: reasonOf(error, key !== undefined), code: error.code })
      )
    )

  return RunningServer.of({
    overview: asking(once(console.overview({ responseMode }), decoders.overview)),
    providers: Effect.map(asking(once(providers.list({ responseMode }), decoders.providers)), (all) => all.providers),
    routes: Effect.map(asking(once(providers.routes({ responseMode }), decoders.routes)), ({ routes }) => routes),
    resetProvider: (name) => asking(once(providers.reset({ params: { name }, responseMode }), decoders.reset)),
    events: Stream.unwrap(
      Effect.map(asking(once(console.events({ responseMode }), decoders.events)), (events) =>
        events.pipe(
          Stream.mapError(() => broken(baseUrl)),
          Stream.concat(Stream.fail(broken(baseUrl)))
        )
      )
    ),
    requests: (limit) =>
      Effect.map(
        asking(once(console.requests({ query: { limit }, responseMode }), decoders.requests)),
        ({ requests }) => requests
      ),
    request: (id) => asking(once(traces.request({ params: { id }, responseMode }), decoders.request)),
    tokens: Effect.fnUntraced(function* ({ provider, state }) {
      const found: Array<ConsoleToken> = []
      let cursor: string | undefined
      do {
        const query = {
          limit: page,
          ...(provider !== undefined && { provider }),
          ...(state !== undefined && { state }),
          ...(cursor !== undefined && { cursor })
        }
        const { next, tokens } = yield* asking(once(console.tokens({ query, responseMode }), decoders.tokens))
        for (const token of tokens) found.push(token)
        // Each page has more of them: one that does not would lead on for ever.
        if (next !== null && tokens.length === 0) return yield* endless(baseUrl)
        cursor = next ?? undefined
      } while (cursor !== undefined)
      return found
    }),
    check: (id) =>
      Effect.map(
        asking(once(admin.check({ params: { id }, responseMode }), decoders.check), long),
        ({ check }) => check
      )
  })
})

const endless = (where: string) =>
  new ServerFailed({ where, reason: "its pages of tokens have no end", code: "not_the_contract" })

const broken = (where: string) =>
  new ServerFailed({
    where,
    reason: "the events have ended: the server stopped, or the key ended",
    code: "events_ended"
  })

/** What a person at the command line can do about it. */
const reasonOf = ({ reason }: WeirgateError, hasKey: boolean): string => {
  switch (reason._tag) {
    case "Unauthorized":
      return hasKey
        ? `it refuses the key in WEIRGATE_API_KEY: ${reason.detail}`
        : "it asks for a key, in WEIRGATE_API_KEY; `weirgate key create --name NAME --role admin` makes one. " +
            "Once there is any key, models too are served only to who shows one"
    case "Forbidden":
      return `the key in WEIRGATE_API_KEY may not do this: ${reason.detail}`
    case "Unavailable":
      return reason.status === undefined ? `${reason.detail}; is it running there?` : reason.detail
    default:
      return reason.detail
  }
}
