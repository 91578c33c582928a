/** Who may call. Without keys the server is open to this machine alone; with keys every model route needs one. */
import { Context, Effect, Layer, Redacted } from "effect"
import type { Duration } from "effect"
import { Digest, Mac } from "effect/crypto"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { errorResponse, ForeignHost, Unauthorized } from "./Errors.ts"

/** What is known of whoever holds a key. */
export interface Client {
  /** For deduplication, turns in the queue and logs; never a key. */
  readonly name: string
  /** Of its requests when they do not say it, and the most they may ask for. */
  readonly priority: number | undefined
  /** Of its requests when they do not say it. */
  readonly timeout: Duration.Duration | undefined
}

/** Who calls. */
export class Caller extends Context.Service<Caller, Client>()("weirgate/http/Caller") {}

/** The name of all callers of a server without keys. */
export const local = "local"

const nobody: Client = { name: local, priority: undefined, timeout: undefined }

export class Access extends HttpApiMiddleware.Service<Access, { provides: Caller }>()("weirgate/http/Access", {
  security: { bearer: HttpApiSecurity.bearer }
}) {
  /**
   * Keys are compared in constant time over their digests. The nth of `clients`, which is asked for each request and so may
   * change, holds the nth key; one who is not among them is called `key-n`.
   */
  static readonly layerKeys = (
    keys: ReadonlyArray<Redacted.Redacted>,
    clients: () => ReadonlyArray<Client> = () => []
  ) =>
    Layer.effect(
      Access,
      Effect.gen(function* () {
        const digest = yield* Digest.Digest
        const hash = (key: Redacted.Redacted) =>
          Effect.orDie(digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(key))))
        const known = yield* Effect.forEach(keys, hash)
        const unnamed = keys.map((_, i): Client => ({ ...nobody, name: `key-${i + 1}` }))
        const identify = Effect.fnUntraced(function* (credential: Redacted.Redacted) {
          if (known.length === 0) return nobody
          const shown = yield* hash(credential)
          // Every key is compared, so that the time taken tells nothing of which one matched.
          const matches = known.map((key) => Mac.timingSafeEqual(key, shown))
          const holder = matches.indexOf(true)
          return clients()[holder] ?? unnamed[holder]
        })
        return Access.of({
          bearer: (handler, { credential }) =>
            Effect.flatMap(identify(credential), (client) =>
              client === undefined
                ? Effect.succeed(errorResponse(new Unauthorized()))
                : Effect.provideService(handler, Caller, client)
            )
        })
      })
    ).pipe(Layer.provide(Digest.layerWebCrypto))
}

const localHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/** An open server must not answer a web page that has had its own name resolved to this machine. */
export const refuseForeignHosts = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    localHost.test(request.headers["host"] ?? "") ? handler : Effect.succeed(errorResponse(new ForeignHost()))
  )

export const isLoopback = (host: string) =>
  localHost.test(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host)
