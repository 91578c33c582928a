/** A server that answers by script, under virtual time. */
import { Clock, Effect, Layer, Logger, Redacted } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import type { HttpClientRequest } from "effect/http"
import { type ClientOptions, WeirgateClient } from "../../src/client/index.ts"

export const apiKey = "wg-synthetic-key-0001"

export interface Seen {
  readonly at: number
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Readonly<Record<string, unknown>> | undefined
}

type Sent = Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>
export type Reply = (request: HttpClientRequest.HttpClientRequest) => Sent

const fault =
  (cause: unknown): Reply =>
  (request) =>
    Effect.fail(new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }))

/** As Node's `fetch` tells it. */
export const refused = fault(
  new TypeError("fetch failed", { cause: Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }) })
)
export const reset = fault(
  new TypeError("fetch failed", { cause: Object.assign(new Error("socket"), { code: "ECONNRESET" }) })
)
export const silent: Reply = () => Effect.never

export const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}): Reply =>
  (request) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers })
      )
    )

export const refusal = (status: number, type: string, more: object = {}, headers: Record<string, string> = {}) =>
  answer(status, { code: status, success: false, error: `refused: ${type}`, type, param: null, ...more }, headers)

export const lent = (n: number, token = `synthetic-token-${n}`) =>
  answer(200, {
    code: 200,
    success: true,
    data: {
      token,
      name: `Token-${n}`,
      id: `token-${n}`,
      provider: "wopan",
      lease: `lease-${n}`,
      lease_expires_at: "2026-01-01T00:10:00.000Z",
      expires_at: null
    }
  })

const named = { id: "token-1", name: "Token-1", provider: "wopan" }
export const done = answer(200, { code: 200, success: true, message: "done", data: { ...named, state: "active" } })

/** Answers each request with the next reply for its path, the last one for ever. */
export const server = (replies: Readonly<Record<string, ReadonlyArray<Reply>>>) => {
  const seen: Array<Seen> = []
  const client = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const { pathname: path, search } = url
      const nth = seen.filter((other) => other.path.split("?")[0] === path).length
      const { method } = request
      const at = yield* Clock.currentTimeMillis
      const body =
        request.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(request.body.body)) : undefined
      seen.push({ at, method, path: `${path}${search}`, authorization: request.headers["authorization"], body })
      const script = replies[path] ?? []
      const reply = script[Math.min(nth, script.length - 1)]
      return yield* reply === undefined ? Effect.die(`no reply was scripted for ${path}`) : reply(request)
    })
  )
  return {
    seen,
    /** When each request for the path came, in milliseconds. */
    times: (path: string) => seen.filter((one) => one.path.split("?")[0] === path).map(({ at }) => at),
    bodies: (path: string) => seen.filter((one) => one.path === path).map(({ body }) => body),
    use: <A, E, R>(
      call: (client: WeirgateClient["Service"]) => Effect.Effect<A, E, R>,
      options: Partial<ClientOptions> = {}
    ) =>
      WeirgateClient.use(call).pipe(
        Effect.provide(
          WeirgateClient.layerWith({
            baseUrl: "http://weirgate.test/",
            apiKey: Redacted.make(apiKey),
            ...options
          }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)), Layer.provideMerge(Logger.layer([])))
        )
      )
  }
}

export const paths = {
  get: "/api/token/get",
  add: "/api/token/add",
  remove: "/api/token/remove",
  report: "/api/token/report",
  stats: "/api/token/stats",
  folders: "/api/folders"
} as const
