/** Who may call. Without keys the server is open to this machine alone; with keys every model route needs one. */
import { Context, Effect, Layer, Redacted } from "effect"
import type { Duration } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { hash, timingSafeEqual } from "node:crypto"
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
  static readonly layerFor = (holderOf: HolderOf) =>
    Layer.succeed(
      Access,
      Access.of({
        bearer: (handler, { credential }) =>
          Effect.suspend(() => {
            const holder = holderOf(Redacted.value(credential))
            return holder === undefined
              ? Effect.succeed(errorResponse(new Unauthorized()))
              : Effect.provideService(handler, Caller, holder())
          })
      })
    )
}

/** What is known of a key's holder by now. */
export type Holder = () => Client

/** Whose the key is; nobody's when it is none of those that are known. Without keys, everyone is `local`. */
export type HolderOf = (key: string) => Holder | undefined

/**
 * Keys are compared in constant time over their digests. The nth of `clients`, which is asked for each request and so may
 * change, holds the nth key; one who is not among them is called `key-n`.
 */
export const holders = (
  keys: ReadonlyArray<Redacted.Redacted>,
  clients: () => ReadonlyArray<Client> = () => []
): HolderOf => {
  const known = keys.map((key) => digestOf(Redacted.value(key)))
  const all = keys.map((_, i): Holder => {
    const unnamed: Client = { ...nobody, name: `key-${i + 1}` }
    return () => clients()[i] ?? unnamed
  })
  return (key) => {
    if (known.length === 0) return everyone
    const shown = digestOf(key)
    // Every key is compared, so that the time taken tells nothing of which one matched.
    const matches = known.map((each) => timingSafeEqual(each, shown))
    return all[matches.indexOf(true)]
  }
}

const everyone: Holder = () => nobody

/** The same for the requests of one connection, which mostly show the same key: it is looked for once. */
export const remembering = (holderOf: HolderOf) => {
  const shown = new WeakMap<object, { readonly authorization: string | undefined; readonly holder: Holder }>()
  return (authorization: string | undefined, connection: object): Holder | undefined => {
    const last = shown.get(connection)
    if (last !== undefined && last.authorization === authorization) return last.holder
    const holder = holderOf(keyOf(authorization))
    if (holder !== undefined) shown.set(connection, { authorization, holder })
    return holder
  }
}

/** By Node's own hash, which is made at once: WebCrypto's would be a turn of the event loop for each request. */
const digestOf = (key: string) => hash("sha256", key, "buffer")

const bearer = /^bearer +(\S+) *$/i

/** The key of an `Authorization` header; empty when it holds none. */
export const keyOf = (authorization: string | undefined): string => bearer.exec(authorization ?? "")?.[1] ?? ""

const localHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

export const isLocalHost = (host: string | undefined): boolean => localHost.test(host ?? "")

/** An open server must not answer a web page that has had its own name resolved to this machine. */
export const refuseForeignHosts = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    isLocalHost(request.headers["host"]) ? handler : Effect.succeed(errorResponse(new ForeignHost()))
  )

export const isLoopback = (host: string) =>
  localHost.test(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host)
