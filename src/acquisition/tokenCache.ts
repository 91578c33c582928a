/** The pure rules of the token cache: what is found, how long it lives, and what goes when it is full. */
import { Schema } from "effect"
import { TokenId, TokenKind } from "../domain/Token.ts"

/** What a cached token is good for. */
export interface CacheKey {
  readonly provider: string
  readonly kind: TokenKind
  /** A class of need, not an error text. */
  readonly context: string
}

export const Entry = Schema.Struct({
  provider: Schema.String,
  kind: TokenKind,
  context: Schema.String,
  token: TokenId,
  /** When the upstream refuses the secret the token came with. */
  expiresAt: Schema.optionalKey(Schema.Finite),
  cachedAt: Schema.Finite
})
export type Entry = typeof Entry.Type

/** Least recently used first. */
export const Entries = Schema.Struct({ entries: Schema.Array(Entry) })
export type Entries = typeof Entries.Type

export const empty: Entries = { entries: [] }

export interface CacheRules {
  /** Milliseconds. */
  readonly timeToLive: number
  readonly capacity: number
}

const fits = (entry: Entry, key: CacheKey) =>
  entry.provider === key.provider && entry.kind === key.kind && entry.context === key.context

const isAlive = (entry: Entry, now: number, { timeToLive }: CacheRules) =>
  // An age below zero is that of a clock which has jumped back: it must not lengthen the life.
  Math.abs(now - entry.cachedAt) < timeToLive && (entry.expiresAt === undefined || now < entry.expiresAt)

export const find = (current: Entries, key: CacheKey, now: number, rules: CacheRules): Entry | undefined =>
  current.entries.find((entry) => fits(entry, key) && isAlive(entry, now, rules))

export const touch = (current: Entries, key: CacheKey): Entries => {
  const used = current.entries.find((entry) => fits(entry, key))
  return used === undefined || used === current.entries.at(-1)
    ? current
    : { entries: [...current.entries.filter((entry) => entry !== used), used] }
}

export const put = (current: Entries, entry: Entry, { capacity }: CacheRules): Entries => {
  const entries = [...current.entries.filter((kept) => !fits(kept, entry)), entry]
  return { entries: entries.slice(Math.max(entries.length - capacity, 0)) }
}

/** Without the entries of a token; the same object when there are none. */
export const remove = (current: Entries, token: TokenId): Entries => keep(current, (entry) => entry.token !== token)

export const sweep = (current: Entries, now: number, rules: CacheRules): Entries =>
  keep(current, (entry) => isAlive(entry, now, rules))

const keep = (current: Entries, predicate: (entry: Entry) => boolean): Entries => {
  const entries = current.entries.filter(predicate)
  return entries.length === current.entries.length ? current : { entries }
}
