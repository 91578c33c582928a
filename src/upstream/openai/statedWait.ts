/** How long an upstream asks us to stay away, in its headers or in what it says. */
import type { Duration } from "effect"
import * as RetryAfter from "../RetryAfter.ts"

export type Headers = Readonly<Record<string, string | undefined>>

/** The headers come first: what is said is written for people. */
export const statedWait = (headers: Headers, body: string, now: number): Duration.Duration | undefined =>
  RetryAfter.parse(headers, now) ?? saidWait(body, now)

/**
 * The wait that is meant for the refusal itself. The `x-ratelimit-reset` headers tell of limits on the rate, and are there
 * also when it was something else that went wrong.
 */
export const explicitWait = (headers: Headers, body: string, now: number): Duration.Duration | undefined =>
  RetryAfter.parse({ "retry-after-ms": headers["retry-after-ms"], "retry-after": headers["retry-after"] }, now) ??
  saidWait(body, now)

/** Such as “try again in 6m0s”, “retry after 20 seconds”, `"retryDelay": "34s"`, `"retry_after": 1.5`. */
const saidWait = (body: string, now: number): Duration.Duration | undefined => {
  const said = sentence.exec(body)?.[1] ?? field.exec(body)?.[1]
  if (said === undefined) return undefined
  const wait = said
    .toLowerCase()
    .replace(/\s+/g, "")
    .replace(/[a-z]+/g, symbolOf)
  return RetryAfter.parse({ "retry-after": wait }, now)
}

/** Run together, as in `1h2m3.5s`, or written out. */
const length = String.raw`(?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])\s*)+`

const sentence = new RegExp(
  String.raw`(?:try again|retry|wait|available again|resets?)(?: again)?(?: in| after| for)?:?\s+(${length})`,
  "i"
)
const field = new RegExp(String.raw`"retry_?(?:delay|after)(?:_seconds)?"\s*:\s*"?(${length}|\d+(?:\.\d+)?)`, "i")

const symbolOf = (unit: string) => (unit === "ms" || unit.startsWith("mil") ? "ms" : unit.slice(0, 1))
