/** Tells a request of our own page from one that a page of another site has made a browser send. */
import { timingSafeEqual } from "node:crypto"

export const isSafe = (method: string): boolean => method === "GET" || method === "HEAD" || method === "OPTIONS"

/**
 * Browsers say where a change comes from; programs do not, and need not: they send no cookie by themselves. The name is taken
 * from `Host`, so that it holds behind a proxy too.
 */
export const isForeign = (headers: Readonly<Record<string, string | undefined>>): boolean => {
  const { origin, host } = headers
  if (headers["sec-fetch-site"] === "cross-site") return true
  if (origin === undefined) return false
  return !URL.canParse(origin) || new URL(origin).host !== host
}

/** A page of another port of the same machine is of the same site: the session's cookie goes with whatever it asks. */
export const isOfOtherPage = (headers: Readonly<Record<string, string | undefined>>): boolean =>
  headers["sec-fetch-site"] === "same-site" || headers["sec-fetch-site"] === "cross-site"

/** In constant time for texts of one length. */
export const sameText = (a: string, b: string): boolean => {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
