/** The keys as this process knows them, ready to be compared. Given the time, never takes it; asks nobody but the configuration. */
import { Redacted } from "effect"
import { hash, timingSafeEqual } from "node:crypto"
import * as RateWindow from "../domain/rateWindow.ts"
import type { Client } from "./Client.ts"
import { idOf, type KeyRecord, stateOf } from "./clientKey.ts"
import type { Admitted, ConfiguredKey, KeyView, Verdict } from "./ClientKeys.ts"

export interface Keyring {
  /** All that were made, as the store has them. */
  load(records: ReadonlyArray<KeyRecord>): void
  /** One of them, new or changed. */
  put(record: KeyRecord): void
  made(): ReadonlyArray<KeyRecord>
  configured(): ReadonlyArray<KeyView>
  /** Of the key of the configuration that this is, if it is one. */
  configuredId(key: string): string | undefined
  judge(key: string, now: number): Verdict
  /** Milliseconds until the next may come, when this one may not. */
  spend(admitted: Admitted, now: number): number | undefined
  /** Another number whenever a verdict may have become another, but for the time's passing. */
  version(): number
  usedAt(keyId: string): number | undefined
  /** When each key was used last, of those that were since it was asked before. */
  takeUses(): ReadonlyArray<readonly [keyId: string, at: number]>
  /** Uses that could not be stored: to be taken again. */
  returnUses(uses: ReadonlyArray<readonly [keyId: string, at: number]>): void
}

interface Known {
  readonly digest: Buffer
  readonly admitted: Admitted
}
interface Made extends Known {
  readonly record: KeyRecord
}

const refusal = (why: "missing" | "unknown" | "expired" | "revoked"): Verdict => ({ _tag: "Refused", why })
const missing = refusal("missing")
const unknown = refusal("unknown")
const expired = refusal("expired")
const revoked = refusal("revoked")

/** By Node's own hash, which is made at once: WebCrypto's would be a turn of the event loop for each request. */
export const digestOf = (text: string): Buffer => hash("sha256", text, "buffer")

export const make = (configured: () => ReadonlyArray<ConfiguredKey>): Keyring => {
  let version = 0
  let written: ReadonlyArray<ConfiguredKey> = []
  let ofConfiguration: ReadonlyArray<Known> = []
  /** One a key that is listed. */
  let made = new Map<string, Made>()
  /** One a key that has a limit, each with as many places as that at most; gone with its key. */
  const windows = new Map<string, RateWindow.RateWindow>()
  /** One a key; gone with its key. */
  const lastUsed = new Map<string, number>()
  const unsaved = new Map<string, number>()

  const isKnown = (keyId: string) => made.has(keyId) || ofConfiguration.some(({ admitted }) => admitted.keyId === keyId)
  const dropUnknown = () => {
    for (const each of [windows, lastUsed, unsaved]) {
      for (const keyId of each.keys()) if (!isKnown(keyId)) each.delete(keyId)
    }
  }

  /** Takes the configuration over where it has changed. */
  const follow = () => {
    const current = configured()
    if (current === written) return
    const isSame =
      current.length === written.length &&
      current.every(({ client, key }, i) => client === written[i]?.client && key === written[i]?.key)
    written = current
    if (isSame) return
    const holders = new Map<string, number>()
    ofConfiguration = current.map(({ client, key }) => {
      // Of several keys of one holder, each has a minute of its own.
      const nth = (holders.get(client.name) ?? 0) + 1
      holders.set(client.name, nth)
      const keyId = `configured:${client.name}${nth === 1 ? "" : `#${nth}`}`
      return {
        digest: digestOf(Redacted.value(key)),
        admitted: { _tag: "Admitted", client, keyId, expiresAt: undefined }
      }
    })
    dropUnknown()
    version += 1
  }

  const use = (keyId: string, now: number) => {
    lastUsed.set(keyId, now)
    unsaved.set(keyId, now)
  }

  return {
    load: (records) => {
      let changes = records.length !== made.size
      made = new Map(
        records.map((record) => {
          const before = made.get(record.id)
          if (before !== undefined && isSameRecord(before.record, record)) return [record.id, before]
          changes = true
          return [record.id, known(record)]
        })
      )
      if (!changes) return
      dropUnknown()
      version += 1
    },
    put: (record) => {
      made.set(record.id, known(record))
      version += 1
    },
    made: () => [...made.values()].map(({ record }) => record),
    configured: () => {
      follow()
      return ofConfiguration.map(({ admitted: { client, keyId } }) => ({
        id: keyId,
        name: client.name,
        role: client.role,
        priority: client.priority,
        rpm: client.rpm,
        models: client.models === undefined ? undefined : [...client.models],
        expiresAt: undefined,
        createdAt: undefined,
        revokedAt: undefined,
        lastUsedAt: lastUsed.get(keyId),
        state: "live",
        source: "configuration"
      }))
    },
    configuredId: (key) => {
      follow()
      const shown = digestOf(key)
      return ofConfiguration.find(({ digest }) => timingSafeEqual(digest, shown))?.admitted.keyId
    },
    judge: (key, now) => {
      if (key === "") return missing
      follow()
      const shown = digestOf(key)
      let found: Known | undefined
      // Every key is compared, so that the time taken tells nothing of which one matched.
      for (const each of ofConfiguration) if (timingSafeEqual(each.digest, shown)) found ??= each
      if (found === undefined) {
        const candidate = made.get(idOf(key) ?? "")
        if (candidate === undefined || !timingSafeEqual(candidate.digest, shown)) return unknown
        const state = stateOf(candidate.record, now)
        if (state === "revoked") return revoked
        if (state === "expired") return expired
        found = candidate
      }
      use(found.admitted.keyId, now)
      return found.admitted
    },
    spend: ({ client: { rpm }, keyId }, now) => {
      if (rpm !== undefined) {
        let window = windows.get(keyId)
        if (window === undefined) windows.set(keyId, (window = RateWindow.make(rpm, 0)))
        window.limit = rpm
        const at = window.earliest(now, 1) ?? now
        if (at > now) return at - now
        window.stamp(window.take(1), now)
      }
      use(keyId, now)
      return undefined
    },
    version: () => {
      follow()
      return version
    },
    usedAt: (keyId) => lastUsed.get(keyId),
    takeUses: () => {
      const taken = [...unsaved]
      unsaved.clear()
      return taken
    },
    returnUses: (uses) => {
      for (const [keyId, at] of uses) {
        if (isKnown(keyId)) unsaved.set(keyId, Math.max(at, unsaved.get(keyId) ?? at))
      }
    }
  }
}

const known = (record: KeyRecord): Made => ({
  record,
  digest: Buffer.from(record.digest, "hex"),
  admitted: { _tag: "Admitted", client: clientOf(record), keyId: record.id, expiresAt: record.expiresAt }
})

const clientOf = ({ models, name, priority, role, rpm }: KeyRecord): Client => ({
  name,
  role,
  priority,
  timeout: undefined,
  models: models === undefined ? undefined : new Set(models),
  rpm
})

/** Nothing of a key changes but that it is revoked. */
const isSameRecord = (a: KeyRecord, b: KeyRecord) => a.digest === b.digest && a.revokedAt === b.revokedAt
