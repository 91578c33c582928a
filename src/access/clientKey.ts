/** A key that is made here, and the rules of its life. Pure: given the time, never takes it. */
import { Schema } from "effect"
import { Role } from "./Client.ts"
import type { KeyView, NewKey } from "./ClientKeys.ts"

export const KeyRecord = Schema.Struct({
  id: Schema.String,
  /** SHA-256 of the whole key, in hexadecimal digits. Nobody can guess 238 random bits, so that a slow hash would only be slow. */
  digest: Schema.String,
  name: Schema.String,
  role: Role,
  priority: Schema.optionalKey(Schema.Int),
  rpm: Schema.optionalKey(Schema.Int),
  models: Schema.optionalKey(Schema.Array(Schema.String)),
  expiresAt: Schema.optionalKey(Schema.Finite),
  createdAt: Schema.Finite,
  revokedAt: Schema.optionalKey(Schema.Finite)
})
export type KeyRecord = typeof KeyRecord.Type

/** All that had a name, newest first; at most one of them is live. */
export const Namesakes = Schema.Struct({ keys: Schema.Array(KeyRecord) })
export type Namesakes = typeof Namesakes.Type

/** Characters of a key's two random parts. */
export const idLength = 8
export const secretLength = 40
const whole = /^(wg-[a-z0-9]{8})[A-Za-z0-9]{32,}$/

/** The public part of what may be a key. */
export const idOf = (key: string): string | undefined => whole.exec(key)?.[1]

const allowed = /^(?!(?:key-\d+|local|console|weirgate|wg-[a-z0-9]{8})$)[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/iu

export const isName = (name: string): boolean => allowed.test(name)

/** Names that differ in case alone are one: a person takes them for one. */
export const nameKey = (name: string): string => name.toLowerCase()

export const stateOf = ({ expiresAt, revokedAt }: KeyRecord, now: number): KeyView["state"] =>
  revokedAt !== undefined ? "revoked" : expiresAt !== undefined && expiresAt <= now ? "expired" : "live"

const day = 24 * 60 * 60_000
const keptFor = 30 * day
const keptOfAName = 20

/** It has ended so long ago that nobody asks for it any more. */
export const isForgotten = ({ expiresAt = Infinity, revokedAt = Infinity }: KeyRecord, now: number): boolean =>
  Math.min(expiresAt, revokedAt) + keptFor <= now

/** Without those that are forgotten; undefined when none is left. */
export const remembered = (current: Namesakes | undefined, now: number): Namesakes | undefined => {
  const keys = current?.keys.filter((key) => !isForgotten(key, now)) ?? []
  if (keys.length === current?.keys.length) return current
  return keys.length === 0 ? undefined : { keys }
}

export const recordOf = (key: NewKey, id: string, digest: string, now: number): KeyRecord => ({
  id,
  digest,
  name: key.name,
  role: key.role,
  ...(key.priority === undefined ? {} : { priority: key.priority }),
  ...(key.rpm === undefined ? {} : { rpm: key.rpm }),
  ...(key.models === undefined ? {} : { models: [...new Set(key.models)] }),
  ...(key.expiresAt === undefined ? {} : { expiresAt: key.expiresAt }),
  createdAt: now
})

/** Undefined when a live key has the name. */
export const added = (current: Namesakes | undefined, record: KeyRecord, now: number): Namesakes | undefined => {
  const keys = current?.keys ?? []
  if (keys.some((key) => stateOf(key, now) === "live")) return undefined
  return { keys: [record, ...keys.filter((key) => !isForgotten(key, now))].slice(0, keptOfAName) }
}

/** Whom a person means by an id or a name: of namesakes the live one, else the newest. */
export const meant = (keys: ReadonlyArray<KeyRecord>, idOrName: string): KeyRecord | undefined =>
  keys.find(({ id }) => id === idOrName) ??
  keys
    .filter(({ name }) => nameKey(name) === nameKey(idOrName))
    .toSorted(
      (a, b) => Number(a.revokedAt !== undefined) - Number(b.revokedAt !== undefined) || b.createdAt - a.createdAt
    )[0]

/** An earlier revocation stays as it is. */
export const revoked = (current: Namesakes | undefined, id: string, now: number): Namesakes | undefined =>
  current?.keys.some((key) => key.id === id && key.revokedAt === undefined)
    ? { keys: current.keys.map((key) => (key.id === id ? { ...key, revokedAt: now } : key)) }
    : current

export const view = (record: KeyRecord, now: number, lastUsedAt: number | undefined): KeyView => ({
  id: record.id,
  name: record.name,
  role: record.role,
  priority: record.priority,
  rpm: record.rpm,
  models: record.models,
  expiresAt: record.expiresAt,
  createdAt: record.createdAt,
  revokedAt: record.revokedAt,
  lastUsedAt,
  state: stateOf(record, now),
  source: "made"
})
