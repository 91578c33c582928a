/** Takes in the tokens that people bring: all of them in one step, and none that is held already. */
import { Clock, Effect, Schema, Semaphore } from "effect"
import type { Redacted } from "effect"
import type { Credential, TokenId } from "../domain/Token.ts"
import { type Collection, type Records, type Store, StoreUnavailable } from "../store/Store.ts"
import { type Claimant, type Clash, clashesOf, TokensClash } from "./clashes.ts"
import { type Holdings, tokenCollection } from "./holdings.ts"
import * as Names from "./names.ts"
import { digestOf, type Possession } from "./possession.ts"
import { type Secrets, sealedOf } from "./secrets.ts"
import { fold } from "./tokenRules.ts"
import type { TokenRecord } from "./tokenState.ts"

/** A token that is not held yet. */
export interface Newcomer extends Names.Named {
  /** At least one secret. */
  readonly credential: Partial<Credential>
  /** Held, but not lent until someone enables it; this says why. */
  readonly disabled?: string | undefined
}

export interface Admission {
  addAll(newcomers: ReadonlyArray<Newcomer>): Effect.Effect<ReadonlyArray<TokenId>, TokensClash | StoreUnavailable>
  clashes(newcomers: ReadonlyArray<Newcomer>): Effect.Effect<ReadonlyArray<Clash>>
}

/** Grows with each admission, so that one that was decided on what is no longer so is decided again. */
const admissions: Collection<{ readonly count: number }> = {
  name: "token_admission",
  schema: Schema.Struct({ count: Schema.Int })
}
const only = "all"
const countIn = (records: Records) => records.get(admissions, only)?.count ?? 0

/** Each time another process was quicker. */
const maxAttempts = 20

export const make = (
  store: Store["Service"],
  holdings: Holdings,
  secrets: Secrets,
  possession: Possession
): Admission => {
  // Two at once would only make one another start over.
  const turn = Semaphore.makeUnsafe(1)
  /** What had been admitted when this process last looked. */
  let seen: number | undefined

  const clashes = Effect.fnUntraced(function* (newcomers: ReadonlyArray<Newcomer>) {
    const names = new Map<string, ReadonlySet<string>>()
    const owners = new Map<string, ReadonlyMap<string, TokenRecord>>()
    for (const provider of new Set(newcomers.map((newcomer) => newcomer.provider))) {
      owners.set(provider, yield* possession.of(provider))
      names.set(provider, new Set(holdings.of(provider).map(({ name }) => name)))
    }
    return clashesOf(newcomers.map(claimantOf), {
      bySecret: (provider, digest) => owners.get(provider)?.get(digest)?.name,
      hasName: (provider, name) => names.get(provider)?.has(name) ?? false
    })
  })

  const recordOf = Effect.fnUntraced(function* (newcomer: Newcomer, id: TokenId, now: number) {
    const { credential, disabled, kind, name, provider } = newcomer
    const sealed = yield* sealedOf(secrets, id, credential)
    const added = fold(undefined, now, {
      _tag: "Added",
      id,
      provider,
      name,
      kind,
      ...(sealed && { secrets: sealed })
    })
    return disabled === undefined ? added : fold(added, now, { _tag: "Disabled", why: disabled })
  })

  const recordsOf = Effect.fnUntraced(function* (newcomers: ReadonlyArray<Newcomer>) {
    const now = yield* Clock.currentTimeMillis
    const taken = new Set(Array.from(holdings.all(), ({ id }) => id))
    const made: Array<TokenRecord> = []
    for (const newcomer of newcomers) {
      const id = yield* Names.newIdBut(newcomer, taken)
      taken.add(id)
      const record = yield* recordOf(newcomer, id, now)
      if (record !== undefined) made.push(record)
    }
    return made
  })

  const attempt = Effect.fnUntraced(function* (newcomers: ReadonlyArray<Newcomer>) {
    const count = (yield* store.get(admissions, only))?.count ?? 0
    if (count !== seen) {
      yield* holdings.sync
      seen = count
    }
    const [clash, ...others] = yield* clashes(newcomers)
    if (clash !== undefined) return yield* new TokensClash({ clashes: [clash, ...others] })
    const made = yield* recordsOf(newcomers)
    const isStored = yield* store.transact((records) => {
      if (countIn(records) !== count || !made.every((record) => isFree(records, record))) return false
      for (const record of made) {
        records.set(tokenCollection, record.id, record)
        Names.set(records, record, record.id)
      }
      records.set(admissions, only, { count: count + 1 })
      return true
    })
    if (isStored) {
      yield* holdings.adopt(made)
      seen = count + 1
      return made.map(({ id }) => id)
    }
    seen = undefined
    return undefined
  }, Effect.uninterruptible)

  return {
    clashes,
    addAll: (newcomers) =>
      Effect.gen(function* () {
        if (newcomers.length === 0) return []
        for (let i = 0; i < maxAttempts; i++) {
          const ids = yield* attempt(newcomers)
          if (ids !== undefined) return ids
        }
        return yield* new StoreUnavailable({
          operation: "add tokens",
          detail: "other processes add tokens all the time"
        })
      }).pipe(turn.withPermit, Effect.withSpan("TokenPool.addAll"))
  }
}

const claimantOf = ({ credential: { access, refresh }, name, provider }: Newcomer): Claimant => ({
  provider,
  name,
  digests: [access, refresh].filter((secret): secret is Redacted.Redacted => secret !== undefined).map(digestOf)
})

/** Nobody has the id or the name. A name whose token is gone was left by one who died while removing it. */
const isFree = (records: Records, record: TokenRecord) => {
  if (records.get(tokenCollection, record.id) !== undefined) return false
  const id = Names.idIn(records, record)
  const other = id === undefined ? undefined : records.get(tokenCollection, id)
  return other === undefined || other.provider !== record.provider || other.name !== record.name
}
