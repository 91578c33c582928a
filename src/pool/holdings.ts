/** The tokens and limits as this process knows them, in step with the store; when that fails, in memory alone. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { TokenId } from "../domain/Token.ts"
import * as Replicas from "../store/Replicas.ts"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"
import * as providerState from "./providerState.ts"
import { defaultRules, isStatistic, merged, type Rules } from "./outcomeRules.ts"
import * as telling from "./telling.ts"
import { foldWith } from "./tokenRules.ts"
import { TokenRecord } from "./tokenState.ts"
import type { TokenEvent } from "./tokenState.ts"

export interface Holdings {
  get(id: TokenId): TokenRecord | undefined
  readonly all: () => Iterable<TokenRecord>
  of(provider: string): ReadonlyArray<TokenRecord>
  /** The same, for where every lease comes by: makes no list of them. */
  each(provider: string, visit: (record: TokenRecord) => void): void
  /** Grows whenever a token may have come, or be of use again; not with every success. */
  changes(): number
  provider(name: string): providerState.ProviderRecord | undefined
  /** Known at once, stored a moment later. Never waits. */
  record(id: TokenId, now: number, event: TokenEvent): Effect.Effect<void>
  /** The same for what leaves its state as it is, and so has nothing to tell of. */
  recordQuietly(id: TokenId, now: number, event: TokenEvent): void
  /** Known at once, stored as soon as the store takes it. Never waits. */
  settle(id: TokenId, event: TokenEvent): Effect.Effect<void>
  /** Known at once, stored when it returns what the token has become. A failure leaves it known and yet to be stored. */
  commit(id: TokenId, event: TokenEvent): Effect.Effect<TokenRecord | undefined, StoreUnavailable>
  /** Takes over tokens that this process has just stored. */
  adopt(records: ReadonlyArray<TokenRecord>): Effect.Effect<void>
  settleProvider(name: string, event: providerState.ProviderEvent): Effect.Effect<void>
  commitProvider(
    name: string,
    event: providerState.ProviderEvent
  ): Effect.Effect<providerState.ProviderRecord | undefined, StoreUnavailable>
  readonly sync: Effect.Effect<void, StoreUnavailable>
}

export const tokenCollection: Collection<TokenRecord> = { name: "token", schema: TokenRecord }
const providerCollection: Collection<providerState.ProviderRecord> = {
  name: "provider",
  schema: providerState.ProviderRecord
}

export const makeWith = Effect.fnUntraced(function* (
  rules: Rules
): Effect.fn.Return<Holdings, StoreUnavailable, Store | Scope.Scope> {
  const scope = yield* Effect.scope
  const tokens = yield* Replicas.make({
    collection: tokenCollection,
    fold: foldWith(rules),
    expendable: isStatistic,
    merged
  })
  const providers = yield* Replicas.make({ collection: providerCollection, fold: providerState.fold })

  /** By provider; those that are gone stay until the next look into the store. */
  const ids = new Map<string, Set<TokenId>>()
  const index = (provider: string, id: TokenId) => {
    const known = ids.get(provider)
    if (known === undefined) ids.set(provider, new Set([id]))
    else known.add(id)
  }
  let changes = 0
  const changed = (event: TokenEvent) => {
    if (!isStatistic(event)) changes += 1
  }
  const indexAll = Effect.sync(() => {
    changes += 1
    ids.clear()
    for (const { id, provider } of tokens.all().values()) index(provider, id)
  })
  yield* indexAll

  const inBackground = (write: Effect.Effect<unknown, StoreUnavailable>) =>
    write.pipe(Effect.catch(telling.storeFailed), Effect.forkIn(scope, { startImmediately: true }))

  /** Tells of the switch that `change` makes at once. */
  const watched = <A, E>(id: TokenId, event: TokenEvent, change: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (event._tag === "Added") index(event.provider, id)
      const before = tokens.get(id)
      changed(event)
      return Effect.tap(change, () => {
        changed(event)
        const after = tokens.get(id)
        return before === undefined || after === undefined || before.state._tag === after.state._tag
          ? Effect.void
          : telling.switched(before, after)
      })
    })

  const each: Holdings["each"] = (provider, visit) => {
    for (const id of ids.get(provider) ?? []) {
      const record = tokens.get(id)
      if (record?.provider === provider) visit(record)
    }
  }

  return {
    get: (id) => tokens.get(id),
    all: () => tokens.all().values(),
    of: (provider) => {
      const records: Array<TokenRecord> = []
      each(provider, (record) => records.push(record))
      return records
    },
    each,
    changes: () => changes,
    provider: (name) => providers.get(name),
    record: (id, now, event) => {
      const before = tokens.get(id)
      tokens.record(id, now, event)
      changed(event)
      const after = tokens.get(id)
      return before === undefined || after === undefined || before.state._tag === after.state._tag
        ? Effect.void
        : telling.switched(before, after)
    },
    recordQuietly: (id, now, event) => {
      tokens.record(id, now, event)
      changed(event)
    },
    settle: (id, event) => watched(id, event, inBackground(tokens.commit(id, event))),
    commit: (id, event) => watched(id, event, tokens.commit(id, event)),
    adopt: (records) =>
      Effect.map(tokens.adopt(new Map(records.map((record) => [record.id, record]))), () => {
        changes += 1
        for (const { id, provider } of records) index(provider, id)
      }),
    settleProvider: (name, event) => inBackground(providers.commit(name, event)),
    commitProvider: (name, event) => providers.commit(name, event),
    sync: tokens.sync.pipe(Effect.andThen(indexAll), Effect.andThen(providers.sync))
  }
})

export const make: Effect.Effect<Holdings, StoreUnavailable, Store | Scope.Scope> = makeWith(defaultRules)
