/** What whoever runs the server may see and change, over HTTP: each change leaves an entry in the audit log. */
import { Clock, Effect, Option, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Audit } from "../access/Audit.ts"
import { ClientKeys, type KeyView } from "../access/ClientKeys.ts"
import { ConsoleAccount, type Session } from "../access/ConsoleAccount.ts"
import { consoleName } from "../access/Client.ts"
import { type KeyView as WireKey, SessionView } from "../contract/admin.ts"
import { TokenId } from "../domain/Token.ts"
import { HealthChecks } from "../health/HealthChecks.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Routed } from "./Api.ts"
import { auditing } from "./audited.ts"
import { answering } from "./Errors.ts"
import { BadRequest } from "./failures.ts"
import { paged } from "./journalPages.ts"
import { isOfOtherPage } from "./sameSite.ts"
import { cookieOf, withCookie, withoutCookie } from "./sessionCookie.ts"

export const loginRoutes = HttpApiBuilder.group(
  Routed,
  "login",
  Effect.fnUntraced(function* (handlers) {
    const account = yield* ConsoleAccount
    const audit = yield* Audit
    let wasCompared = true
    /** Of the attempts that nobody compared, the first in a row: all of them would push everything else out of the log. */
    const isNews = (isCompared: boolean) => {
      const before = wasCompared
      wasCompared = isCompared
      return before || isCompared
    }
    return handlers
      .handle("session", ({ request }) => answering(shownSession(account, request)))
      .handle("login", ({ payload, request }) =>
        Effect.gen(function* () {
          const address = addressOf(request)
          const entry = { actor: "console", address, action: "login", subject: "console" }
          const session = yield* account
            .login(payload.password, address)
            .pipe(
              Effect.tapError(({ _tag, message }) =>
                isNews(_tag === "LoginRefused")
                  ? audit.record({ ...entry, result: "refused", detail: message })
                  : Effect.void
              )
            )
          wasCompared = true
          yield* audit.record({ ...entry, result: "done" })
          const response = HttpServerResponse.jsonUnsafe(encodeSession(sessionView(session)))
          return withCookie(response, session, request, yield* Clock.currentTimeMillis)
        }).pipe(answering)
      )
  })
)

export const adminRoutes = HttpApiBuilder.group(
  Routed,
  "admin",
  Effect.fnUntraced(function* (handlers) {
    const account = yield* ConsoleAccount
    const audit = yield* Audit
    const checks = yield* HealthChecks
    const keys = yield* ClientKeys
    const pool = yield* TokenPool

    const audited = auditing(audit)
    const changeToken = (action: "disable" | "enable" | "reset", id: string) => {
      const token = TokenId.make(id)
      const change = action === "disable" ? pool.disable(token, "disabled by a person") : pool[action](token)
      return answering(Effect.as(audited(`token.${action}`, id, change), done))
    }

    return handlers
      .handle("logout", ({ request }) =>
        answering(
          Effect.gen(function* () {
            const cookie = cookieOf(request)
            if (cookie !== undefined) yield* audited("logout", "console", account.logout(cookie))
            return withoutCookie(HttpServerResponse.jsonUnsafe(done), request)
          })
        )
      )
      .handle("password", ({ payload, request }) =>
        answering(
          Effect.gen(function* () {
            const change = Effect.gen(function* () {
              // Whoever has the session need not know the password: it is asked for once more.
              const { secret } = yield* account.login(payload.current, addressOf(request))
              yield* account
                .setPassword(payload.password)
                .pipe(Effect.onError(() => Effect.ignore(account.logout(secret))))
            })
            yield* audited("password.change", "console", change)
            return withoutCookie(HttpServerResponse.jsonUnsafe(done), request)
          })
        )
      )
      .handle("keys", () => Effect.map(keys.list, (views) => ({ keys: views.map(keyView) })))
      .handle("createKey", ({ payload }) =>
        answering(
          Effect.gen(function* () {
            const { expires_at, ...rest } = payload
            if (expires_at !== undefined && expires_at <= (yield* Clock.currentTimeMillis)) {
              return yield* new BadRequest({ status: 400, param: "expires_at", reason: "expected a time to come" })
            }
            const making = keys.create({ ...rest, expiresAt: expires_at })
            const { key, view } = yield* audited("key.create", payload.name, making)
            return { key, ...keyView(view) }
          })
        )
      )
      .handle("revokeKey", ({ params }) =>
        // Whoever shows the whole key means it too: what was shown must not be kept.
        answering(
          Effect.map(
            audited("key.revoke", ({ id, name }) => `${name} (${id})`, keys.revoke(params.id)),
            keyView
          )
        )
      )
      .handle("audit", ({ query }) =>
        answering(Effect.map(paged(query, audit.page), ({ items, next }) => ({ entries: items, next })))
      )
      .handle("checks", ({ query }) => {
        const token = query.token === undefined || query.token === "" ? undefined : TokenId.make(query.token)
        const page = paged(query, (asked) => checks.historyPage({ ...asked, where: { token } }))
        return answering(Effect.map(page, ({ items, next }) => ({ checks: items, next })))
      })
      .handle("check", ({ params }) =>
        answering(
          Effect.gen(function* () {
            const { id } = yield* pool.get(TokenId.make(params.id))
            return { check: (yield* audited("token.check", id, checks.check(id))) ?? null }
          })
        )
      )
      .handle("disable", ({ params }) => changeToken("disable", params.id))
      .handle("enable", ({ params }) => changeToken("enable", params.id))
      .handle("reset", ({ params }) => changeToken("reset", params.id))
  })
)

const done = { done: true } as const

const addressOf = (request: HttpServerRequest.HttpServerRequest) =>
  Option.getOrElse(request.remoteAddress, () => "unknown")

/** A page of another site is told of none, and a new secret goes into the cookie. */
const shownSession = Effect.fnUntraced(function* (
  account: ConsoleAccount["Service"],
  request: HttpServerRequest.HttpServerRequest
) {
  const cookie = isOfOtherPage(request.headers) ? undefined : cookieOf(request)
  const found = cookie && (yield* account.session(cookie))
  if (found === undefined) return null
  const view = sessionView(found.session)
  if (!found.rotated) return view
  const response = HttpServerResponse.jsonUnsafe(encodeSession(view))
  return withCookie(response, found.session, request, yield* Clock.currentTimeMillis)
})

const encodeSession = Schema.encodeSync(SessionView)

const sessionView = ({ csrf, idleUntil, until }: Session): typeof SessionView.Type => ({
  actor: consoleName,
  csrf,
  idle_until: idleUntil,
  until
})

export const keyView = ({
  createdAt,
  expiresAt,
  lastUsedAt,
  models,
  priority,
  revokedAt,
  rpm,
  ...rest
}: KeyView): WireKey => ({
  ...rest,
  ...(priority !== undefined && { priority }),
  ...(rpm !== undefined && { rpm }),
  ...(models !== undefined && { models }),
  ...(expiresAt !== undefined && { expires_at: expiresAt }),
  created_at: createdAt ?? null,
  revoked_at: revokedAt ?? null,
  last_used_at: lastUsedAt ?? null
})
