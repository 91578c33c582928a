/** Lets in whoever may come: by a key, by a session of the console, or, while there is no key, everyone on this machine. */
import { Clock, Duration, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { ClientKeys, type Verdict } from "../access/ClientKeys.ts"
import { ConsoleAccount, type Session } from "../access/ConsoleAccount.ts"
import { type Client, consoleName, nobody } from "../access/Client.ts"
import { Access, Caller } from "../contract/Access.ts"
import { responseFor } from "./Errors.ts"
import { CrossSite, Forbidden, KeyRateLimited, Unauthorized } from "./failures.ts"
import { type Rule, ruleOf } from "./permissions.ts"
import { isOfOtherPage, isSafe, sameText } from "./sameSite.ts"
import { cookieOf, withCookie } from "./sessionCookie.ts"

export type Refusal = Unauthorized | Forbidden | KeyRateLimited

/** Who asks, if the key may do it; counts the request. */
export const admitted = (keys: ClientKeys["Service"], verdict: Verdict, { roles }: Rule): Client | Refusal => {
  if (verdict._tag === "Refused") return new Unauthorized({ why: verdict.why })
  const { client } = verdict
  if (!roles.includes(client.role)) return new Forbidden({ role: client.role, needed: roles })
  const wait = keys.spend(verdict)
  return wait === undefined ? client : new KeyRateLimited({ retryAfter: Duration.millis(wait) })
}

/** `isOpen`: whether models may be asked without a key. */
export const layerWith = (isOpen: () => boolean) =>
  Layer.effect(
    Access,
    Effect.gen(function* () {
      const keys = yield* ClientKeys
      const account = yield* ConsoleAccount

      /** A key that is not known may have been made by another process a moment ago. */
      const judged = (key: string): Effect.Effect<Verdict> => {
        const verdict = keys.judge(key)
        return verdict._tag === "Refused" && verdict.why === "unknown" ? keys.judgeAfresh(key) : Effect.succeed(verdict)
      }

      const sessionOf = (request: HttpServerRequest.HttpServerRequest) => {
        const cookie = cookieOf(request)
        // While the store is away nobody has one.
        return cookie === undefined ? Effect.undefined : Effect.orElseSucceed(account.session(cookie), () => undefined)
      }

      return Access.of({
        bearer: Effect.fnUntraced(function* (handler, { credential, group }) {
          const request = yield* HttpServerRequest.HttpServerRequest
          const rule = ruleOf(group.identifier)
          const address = Option.getOrUndefined(request.remoteAddress)
          const serve = (client: Client) => Effect.provideService(handler, Caller, { ...client, address })
          const refuse = (failure: Refusal | CrossSite) => Effect.succeed(responseFor(request.url, failure))

          const key = Redacted.value(credential)
          const session = key === "" && rule.roles.includes("admin") ? yield* sessionOf(request) : undefined
          if (session !== undefined) {
            // Reading is not harmless: it may lend a token.
            if (isOfOtherPage(request.headers)) return yield* refuse(new CrossSite({ reason: "origin" }))
            if (!isSafe(request.method) && !showsCsrf(request, session.session)) {
              return yield* refuse(new CrossSite({ reason: "token" }))
            }
            const response = yield* serve(console)
            return session.rotated ? withCookie(response, session.session, request, yield* now) : response
          }
          if (!rule.always && isOpen()) return yield* serve(nobody)
          if (key === "") return yield* refuse(new Unauthorized({ why: "missing" }))
          const client = admitted(keys, yield* judged(key), rule)
          return yield* "_tag" in client ? refuse(client) : serve(client)
        })
      })
    })
  )

const now = Clock.currentTimeMillis

const showsCsrf = ({ headers }: HttpServerRequest.HttpServerRequest, { csrf }: Session) =>
  sameText(headers["x-csrf-token"] ?? "", Redacted.value(csrf))

/** Whoever has logged in. */
const console: Client = { ...nobody, name: consoleName, role: "admin" }

/** The same for the requests of one connection, which mostly show the same key: it is judged once a second, and when it ends. */
export const remembering = (keys: ClientKeys["Service"], now: () => number) => {
  const shown = new WeakMap<object, Memo>()
  return (authorization: string | undefined, connection: object): Verdict => {
    const last = shown.get(connection)
    const at = now()
    if (
      last !== undefined &&
      last.authorization === authorization &&
      last.version === keys.version() &&
      at < last.until
    ) {
      return last.verdict
    }
    const verdict = keys.judge(keyOf(authorization))
    if (verdict._tag === "Admitted") {
      const until = Math.min(at + rejudged, verdict.expiresAt ?? Infinity)
      shown.set(connection, { authorization, verdict, version: keys.version(), until })
    }
    return verdict
  }
}

interface Memo {
  readonly authorization: string | undefined
  readonly verdict: Verdict
  readonly version: number
  readonly until: number
}

const rejudged = 1_000

const bearer = /^bearer +(\S+) *$/i

/** The key of an `Authorization` header; empty when it holds none. */
export const keyOf = (authorization: string | undefined): string => bearer.exec(authorization ?? "")?.[1] ?? ""

const localHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

export const isLocalHost = (host: string | undefined): boolean => localHost.test(host ?? "")

export const isLoopback = (host: string) =>
  localHost.test(host.includes(":") && !host.startsWith("[") ? `[${host}]` : host)
