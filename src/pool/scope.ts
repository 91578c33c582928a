/** Tells a limit of the provider, or of our address, from a limit of one token (D2): by who else met it just now. */
import { standing } from "./tokenState.ts"
import type { TokenId } from "../domain/Token.ts"
import type { TokenRecord } from "./tokenState.ts"

/** Equal answers within this time are one limit. */
export const togetherWithin = 10_000

/** A limit above the tokens: those it hit by mistake, since when, and its end where one was stated. */
export interface SharedLimit {
  readonly tokens: ReadonlyArray<TokenId>
  readonly since: number
  readonly until: number | undefined
}

/**
 * At least two tokens, and at least half of those that could be used, met the same 429 within ten seconds. So a token
 * without siblings is always taken to be limited itself.
 */
export const sharedLimit = (
  records: Iterable<TokenRecord>,
  signature: string,
  now: number
): SharedLimit | undefined => {
  const since = now - togetherWithin
  const hit: Array<TokenRecord> = []
  let spared = 0
  for (const record of records) {
    const { throttle } = record
    if (throttle !== undefined && throttle.signature === signature && throttle.at >= since) hit.push(record)
    else if (standing(record, now) !== "out") spared++
  }
  if (hit.length < 2 || hit.length < spared) return undefined
  const until = Math.max(...hit.map((record) => record.throttle?.until ?? 0))
  return { tokens: hit.map((record) => record.id), since, until: until > now ? until : undefined }
}
