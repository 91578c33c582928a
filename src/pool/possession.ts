/** Tells which token a secret is of. Secrets are kept sealed and each time differently, so they are opened to be compared. */
import { Effect, Redacted } from "effect"
import { hash } from "node:crypto"
import type { Sealed } from "../store/Vault.ts"
import type { Holdings } from "./holdings.ts"
import type { Secrets } from "./secrets.ts"
import type { TokenRecord } from "./tokenState.ts"

/** Of a secret; stays in memory. Comparing it tells nothing of how much of a guess was right. */
export type Digest = string

export const digestOf = (secret: Redacted.Redacted): Digest => hash("sha256", Redacted.value(secret), "base64url")

export interface Possession {
  /** The tokens of a provider, as they were when one last changed, by what they were added with, are called with and are renewed with. */
  of(provider: string): Effect.Effect<ReadonlyMap<Digest, TokenRecord>>
}

const parts = ["origin", "access", "refresh"] as const
const sealedOf = (record: TokenRecord, part: (typeof parts)[number]): Sealed | undefined =>
  part === "access" ? record.access?.sealed : record[part]

export const make = (holdings: Holdings, secrets: Secrets): Possession => {
  /** By provider; at most three for each token held. Undefined is what our key does not open. */
  const opened = new Map<string, ReadonlyMap<Sealed, Digest | undefined>>()
  /** Found when the holdings had changed so often. */
  const current = new Map<string, { readonly changes: number; readonly found: ReadonlyMap<Digest, TokenRecord> }>()

  return {
    of: Effect.fnUntraced(function* (provider) {
      const changes = holdings.changes()
      const known = current.get(provider)
      if (known?.changes === changes) return known.found
      const before = opened.get(provider)
      const now = new Map<Sealed, Digest | undefined>()
      const found = new Map<Digest, TokenRecord>()
      for (const record of holdings.of(provider)) {
        for (const part of parts) {
          const sealed = sealedOf(record, part)
          if (sealed === undefined) continue
          let digest = before?.get(sealed)
          if (digest === undefined && before?.has(sealed) !== true) {
            const secret = yield* secrets.open(record.id, part, sealed)
            digest = secret && digestOf(secret)
          }
          now.set(sealed, digest)
          if (digest !== undefined && !found.has(digest)) found.set(digest, record)
        }
      }
      opened.set(provider, now)
      current.set(provider, { changes, found })
      return found
    })
  }
}
