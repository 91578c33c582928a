/**
 * A console session: what its cookie holds, what of it is stored, and how long it lives. Pure: given the time and the random
 * bytes.
 */
import { Redacted, Schema } from "effect"
import { createHmac, hash, timingSafeEqual } from "node:crypto"
import type { Session } from "./ConsoleAccount.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** After so long without a request it ends (the original's session of 3,600 seconds). */
export const idleFor = hour
/** Ends in any case. */
export const longest = 12 * hour
export const rotatedEvery = 15 * minute
/** The secret before is good for so long, for requests that are on their way. */
export const grace = 30 * second
/** That it is in use is stored no more often. */
export const notedEvery = minute

export const SessionRecord = Schema.Struct({
  /** SHA-256 of the cookie, in base64url. */
  digest: Schema.String,
  previous: Schema.optionalKey(Schema.Struct({ digest: Schema.String, until: Schema.Finite })),
  /** Of the password it was begun with: with another one it is none. */
  generation: Schema.Int,
  createdAt: Schema.Finite,
  seenAt: Schema.Finite,
  rotatedAt: Schema.Finite
})
export type SessionRecord = typeof SessionRecord.Type

/**
 * Its three parts in the cookie. The id finds the record. The seed stays as it is, and the CSRF secret follows from it, so that
 * a page keeps that over rotations and nothing of it is stored. The nonce is what rotates. The digest is of all three.
 */
export interface Parts {
  readonly id: string
  readonly seed: string
  readonly nonce: string
}

export const bytesOf = { id: 12, seed: 32, nonce: 32 } as const
export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url")

const cookie = /^([\w-]{16})\.([\w-]{43})\.([\w-]{43})$/

export const partsOf = (secret: Redacted.Redacted): Parts | undefined => {
  const [, id, seed, nonce] = cookie.exec(Redacted.value(secret)) ?? []
  return id === undefined || seed === undefined || nonce === undefined ? undefined : { id, seed, nonce }
}

const written = ({ id, nonce, seed }: Parts) => `${id}.${seed}.${nonce}`
const digestOf = (parts: Parts) => hash("sha256", written(parts), "base64url")

export const begun = (parts: Parts, generation: number, now: number): SessionRecord => ({
  digest: digestOf(parts),
  generation,
  createdAt: now,
  seenAt: now,
  rotatedAt: now
})

/** `replayed` is the secret before, after its grace: somebody has it who should not, or its owner never got the new one. */
export type Standing = "current" | "graced" | "replayed" | "ended" | "foreign"

export const standing = (record: SessionRecord, parts: Parts, generation: number, now: number): Standing => {
  if (isOver(record, generation, now)) return "ended"
  const shown = digestOf(parts)
  if (isSame(shown, record.digest)) return "current"
  if (record.previous === undefined || !isSame(shown, record.previous.digest)) return "foreign"
  return now < record.previous.until ? "graced" : "replayed"
}

export const isOver = ({ createdAt, generation, seenAt }: SessionRecord, current: number, now: number): boolean =>
  generation !== current || seenAt + idleFor <= now || createdAt + longest <= now

export const isDueToRotate = ({ rotatedAt }: SessionRecord, now: number): boolean => rotatedAt + rotatedEvery <= now

export const rotated = (record: SessionRecord, next: Parts, now: number): SessionRecord => ({
  ...record,
  digest: digestOf(next),
  previous: { digest: record.digest, until: now + grace },
  seenAt: now,
  rotatedAt: now
})

/** The record itself when it was noted a moment ago. */
export const seen = (record: SessionRecord, now: number): SessionRecord =>
  record.seenAt + notedEvery <= now ? { ...record, seenAt: now } : record

export const view = (parts: Parts, { createdAt, seenAt }: SessionRecord): Session => {
  const until = createdAt + longest
  return {
    secret: Redacted.make(written(parts)),
    csrf: Redacted.make(createHmac("sha256", parts.seed).update(`weirgate csrf ${parts.id}`).digest("base64url")),
    idleUntil: Math.min(until, seenAt + idleFor),
    until
  }
}

const isSame = (a: string, b: string) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
