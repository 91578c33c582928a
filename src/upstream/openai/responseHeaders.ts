/** The headers of an answer that tell us something. */
import type { Headers } from "./statedWait.ts"

type Incoming = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** One that is there twice counts as it was written first. */
export const headersOf = (incoming: Incoming): Headers => {
  const headers: Record<string, string | undefined> = {}
  for (const name of names) {
    const value = incoming[name]
    if (value !== undefined) headers[name] = typeof value === "string" ? value : value[0]
  }
  return headers
}

const names = [
  "content-type",
  "content-length",
  "retry-after",
  "retry-after-ms",
  "x-ratelimit-reset",
  "x-ratelimit-remaining",
  "x-ratelimit-reset-after",
  "x-ratelimit-reset-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-tokens",
  "x-ratelimit-remaining-tokens",
  "ratelimit-reset",
  "ratelimit-remaining"
]
