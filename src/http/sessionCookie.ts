/** The cookie that holds a session of the console. */
import { Duration, Redacted } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Session } from "../access/ConsoleAccount.ts"

const name = "weirgate_session"

export const cookieOf = (request: HttpServerRequest.HttpServerRequest): Redacted.Redacted | undefined => {
  const value = request.cookies[name]
  return value === undefined || value === "" ? undefined : Redacted.make(value)
}

const loopback = /^(localhost|127\.|\[::1\])/i

/**
 * A change says where its page is from. What only reads does not; but browsers send `Sec-Fetch-Site` only where nobody can
 * listen, which is over TLS and to this machine itself.
 */
const isOverTls = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const { host = "", origin } = headers
  if (origin !== undefined) return origin.startsWith("https:")
  return headers["sec-fetch-site"] !== undefined && !loopback.test(host)
}

/** Unseen by scripts, unsent by other sites' pages; and over TLS only, where the page itself has come that way. */
const options = (request: HttpServerRequest.HttpServerRequest) =>
  ({ path: "/", httpOnly: true, sameSite: "strict", secure: isOverTls(request) }) as const

/** Unless the answer says something of the cookie already. */
export const withCookie = (
  response: HttpServerResponse.HttpServerResponse,
  session: Session,
  request: HttpServerRequest.HttpServerRequest,
  now: number
) =>
  name in response.cookies.cookies
    ? response
    : HttpServerResponse.setCookieUnsafe(response, name, Redacted.value(session.secret), {
        ...options(request),
        maxAge: Duration.millis(Math.max(0, session.until - now))
      })

export const withoutCookie = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest
) => HttpServerResponse.expireCookieUnsafe(response, name, options(request))
