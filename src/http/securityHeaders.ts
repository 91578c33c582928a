/** What an answer says to a browser, so that a page of ours is nobody's frame, runs nothing but its own, and nothing else is a page. */
import { HttpServerResponse } from "effect/http"
import { hash } from "node:crypto"

const ofAll = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin"
}

/** No page: nothing may be loaded, run or framed. */
const noPage = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/**
 * What is no page is of this moment, and may be a secret, unless it says otherwise: whatever its path looks like, which the router
 * reads in many spellings.
 */
export const secured = (response: HttpServerResponse.HttpServerResponse) => {
  const { body } = response
  const isPage = response.headers["content-type"]?.startsWith("text/html") === true && body._tag === "Uint8Array"
  return HttpServerResponse.setHeaders(
    response,
    isPage
      ? { ...ofAll, "content-security-policy": pagePolicyOf(body.body) }
      : { "cache-control": "no-store", ...response.headers, ...ofAll, "content-security-policy": noPage }
  )
}

/** One for each page there is. */
const policies = new WeakMap<Uint8Array, string>()

/** What stands in the page itself may run by its digest, and only that: what is written into it later may not. */
const pagePolicyOf = (page: Uint8Array): string => {
  const known = policies.get(page)
  if (known !== undefined) return known
  const html = new TextDecoder().decode(page)
  const policy = [
    "default-src 'none'",
    `script-src 'self'${digestsOf(html, /<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)}`,
    `style-src 'self'${digestsOf(html, /<style[^>]*>([\s\S]*?)<\/style>/g)}`,
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'"
  ].join("; ")
  policies.set(page, policy)
  return policy
}

const digestsOf = (html: string, element: RegExp): string =>
  [...html.matchAll(element)].map(([, text = ""]) => ` 'sha256-${hash("sha256", text, "base64")}'`).join("")
