/** Who may call. Without keys the server is open to this machine alone; with keys every model route needs one. */
import { Context, Effect, Layer, Redacted } from "effect"
import { Digest, Mac } from "effect/crypto"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { errorResponse, ForeignHost, Unauthorized } from "./Errors.ts"

/** Names who calls, for deduplication and logs; never a key. */
export class Caller extends Context.Service<Caller, { readonly name: string }>()("weirgate/http/Caller") {}

export class Access extends HttpApiMiddleware.Service<Access, { provides: Caller }>()("weirgate/http/Access", {
  security: { bearer: HttpApiSecurity.bearer }
}) {
  /** Keys are compared in constant time over their digests; the nth key's holder is called `key-n`. */
  static readonly layerKeys = (keys: ReadonlyArray<Redacted.Redacted>) =>
    Layer.effect(
      Access,
      Effect.gen(function* () {
        const digest = yield* Digest.Digest
        const hash = (key: Redacted.Redacted) =>
          Effect.orDie(digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(key))))
        const known = yield* Effect.forEach(keys, hash)
        const identify = Effect.fnUntraced(function* (credential: Redacted.Redacted) {
          if (known.length === 0) return "local"
          const shown = yield* hash(credential)
          // Every key is compared, so that the time taken tells nothing of which one matched.
          const matches = known.map((key) => Mac.timingSafeEqual(key, shown))
          return matches.includes(true) ? `key-${matches.indexOf(true) + 1}` : undefined
        })
        return Access.of({
          bearer: (handler, { credential }) =>
            Effect.flatMap(identify(credential), (name) =>
              name === undefined
                ? Effect.succeed(errorResponse(new Unauthorized()))
                : Effect.provideService(handler, Caller, { name })
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
