/** Work that only one process may do at a time: the probe of a token or provider, its check, the renewal of a secret. */
import { Schema } from "effect"

/** Void after `until`, so that a process that died blocks nobody. */
export const Claim = Schema.Struct({ by: Schema.String, until: Schema.Finite })
export type Claim = typeof Claim.Type

export const isVoid = (claim: Claim | undefined, now: number): boolean => claim === undefined || claim.until <= now

/** Whether `by` may claim it: nobody else has. */
export const isFree = (claim: Claim | undefined, by: string, now: number): boolean =>
  isVoid(claim, now) || claim?.by === by

/** The record without that claim, if it is `by`'s. */
export const withoutClaim = <K extends "check" | "probe" | "renewal", R extends { readonly [P in K]?: Claim }>(
  record: R,
  key: K,
  by: string | undefined
): R | Omit<R, K> => {
  const claim: Claim | undefined = record[key]
  if (claim === undefined || claim.by !== by) return record
  const { [key]: _, ...rest } = record
  return rest
}
