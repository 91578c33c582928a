/** Passwords as they are stored: by scrypt, which costs an attacker with the database memory and time for every guess. */
import { Effect, Redacted, Schema } from "effect"
import { scrypt, timingSafeEqual } from "node:crypto"

/** What one guess costs: `128 · N · r` bytes of memory, `p` times over. */
export const Cost = Schema.Struct({ N: Schema.Int, r: Schema.Int, p: Schema.Int })
export type Cost = typeof Cost.Type

/** 32 MiB; as strong as OWASP's minimum, Password Storage Cheat Sheet, which gives it beside N = 2^17, p = 1 with 128 MiB. */
export const defaultCost: Cost = { N: 2 ** 15, r: 8, p: 3 }

/** Its cost is stored with it, so that it can grow. */
export const PasswordHash = Schema.Struct({
  algorithm: Schema.Literal("scrypt"),
  cost: Cost,
  /** Both in base64url. */
  salt: Schema.String,
  digest: Schema.String
})
export type PasswordHash = typeof PasswordHash.Type

export const saltLength = 16
const digestLength = 32

export const shortest = 12
export const longest = 1_024

/** The same characters, however a keyboard composes them (NIST SP 800-63B, 3.1.1.2). */
const normal = (password: Redacted.Redacted) => Redacted.value(password).normalize("NFKC")

/** Why it may not be a password. */
export const flawOf = (password: Redacted.Redacted): string | undefined => {
  const characters = Array.from(normal(password))
  if (characters.length < shortest) return `expected at least ${shortest} characters`
  if (characters.length > longest) return `expected at most ${longest} characters`
  if (new Set(characters).size < 4) return "expected more than three different characters"
  return undefined
}

/** In a thread of its own, where it cannot be stopped: who waits for it waits to its end. */
const derive = (password: Redacted.Redacted, salt: Uint8Array, { N, p, r }: Cost): Effect.Effect<Buffer> =>
  Effect.callback<Buffer>((resume) =>
    // Node's own bound of 32 MiB is less than the work needs.
    scrypt(normal(password), salt, digestLength, { N, r, p, maxmem: 256 * N * r }, (error, digest) =>
      resume(error === null ? Effect.succeed(digest) : Effect.die(error))
    )
  ).pipe(Effect.uninterruptible)

export const hashed = (password: Redacted.Redacted, salt: Uint8Array, cost: Cost): Effect.Effect<PasswordHash> =>
  Effect.map(derive(password, salt, cost), (digest) => ({
    algorithm: "scrypt",
    cost,
    salt: Buffer.from(salt).toString("base64url"),
    digest: digest.toString("base64url")
  }))

/** In constant time. */
export const matches = (password: Redacted.Redacted, { cost, digest, salt }: PasswordHash): Effect.Effect<boolean> =>
  Effect.map(derive(password, Buffer.from(salt, "base64url"), cost), (derived) => {
    const expected = Buffer.from(digest, "base64url")
    return derived.length === expected.length && timingSafeEqual(derived, expected)
  })

/** What guessing costs where there is no password yet: as much. */
export const matchesNone = (password: Redacted.Redacted, cost: Cost): Effect.Effect<false> =>
  Effect.as(derive(password, Buffer.alloc(saltLength), cost), false)

export const isWeaker = (hash: PasswordHash, cost: Cost): boolean =>
  hash.cost.N * hash.cost.r * hash.cost.p < cost.N * cost.r * cost.p
