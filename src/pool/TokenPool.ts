/** Holds the tokens, lends the right one for each call, and learns from how the call ended. */
import { Clock, Context, Duration, Effect, Layer, Random, Schedule } from "effect"
import type { Redacted, Scope } from "effect"
import type { Credential, QuotaReport, TokenId, TokenKind } from "../domain/Token.ts"
import { Store, type StoreUnavailable } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import * as Admission from "./admission.ts"
import type { Newcomer } from "./admission.ts"
import * as Administration from "./administration.ts"
import type { TokenUnknown } from "./administration.ts"
import * as Backoff from "./backoff.ts"
import type { Clash, TokensClash } from "./clashes.ts"
import * as Desk from "./desk.ts"
import * as Examining from "./examining.ts"
import type { Examination, Seen } from "./examining.ts"
import * as Holdings from "./holdings.ts"
import type { HeldLease, Lease, LeaseRequest, NoTokenUsable, Restore } from "./lease.ts"
import * as Lending from "./lending.ts"
import * as Renewals from "./renewals.ts"
import * as Possession from "./possession.ts"
import { Renewer } from "./Renewer.ts"
import { isSpent, retiredAtOnce } from "./retirement.ts"
import * as Secrets from "./secrets.ts"
import * as Settlement from "./settlement.ts"
import type { Settled } from "./settlement.ts"
import type { Strategy } from "./strategies.ts"
import * as telling from "./telling.ts"
import { hasEnded, stateAt, type TokenRecord, type TokenView, viewOf } from "./tokenState.ts"

export { TokenUnknown } from "./administration.ts"
export type { Newcomer } from "./admission.ts"
export { type Clash, TokensClash } from "./clashes.ts"
export type { Examination } from "./examining.ts"
export { type HeldLease, type Lease, type LeaseRequest, NoTokenUsable, type Restore } from "./lease.ts"
export type { Settled } from "./settlement.ts"
export type { Strategy } from "./strategies.ts"

export class TokenPool extends Context.Service<
  TokenPool,
  {
    /**
     * Lends a token until the scope closes. Waits only while the access secret of the chosen one is renewed (a token
     * whose renewal fails is passed over). Interruption gives the lease back.
     */
    lease(request: LeaseRequest): Effect.Effect<Lease, NoTokenUsable, Scope.Scope>
    /**
     * The same without a scope: whoever is given the lease gives it back. To be asked for where nothing interrupts, with
     * `restore` for the wait alone.
     */
    borrow(request: LeaseRequest, restore: Restore): Effect.Effect<HeldLease, NoTokenUsable>
    /** The same for a token that can be used at this moment: never waits, and undefined is no refusal. */
    readonly take: (request: LeaseRequest) => HeldLease | undefined
    /**
     * Says how a call ended that this pool did not lend the token for, or lent it for before a restart. As a lease's report,
     * but whoever calls this sees to it that it counts once: what is said of an older generation is not held against a newer
     * secret. Says nothing of a token that is gone. Never waits.
     */
    settle(id: TokenId, settled: Settled): Effect.Effect<void>
    /**
     * Adds tokens that are not held yet: all of them in one step that is durable when it returns, or none, also over
     * `kill -9` and against other processes that add at the same time. Refused as a whole when one has a secret or a name
     * that a token of its provider, or another of them, has. Their ids are in the order of the tokens. Not interrupted once
     * it stores.
     */
    addAll(newcomers: ReadonlyArray<Newcomer>): Effect.Effect<ReadonlyArray<TokenId>, TokensClash | StoreUnavailable>
    /** For which of them `addAll` would be refused, as far as this process knows. */
    clashes(newcomers: ReadonlyArray<Newcomer>): Effect.Effect<ReadonlyArray<Clash>>
    /** The token of the provider that is called with, renewed with or was added with this secret. Never waits. */
    find(provider: string, secret: Redacted.Redacted): Effect.Effect<TokenId | undefined>
    /** Its secrets, as they are now: without those that our key does not open. */
    credentialOf(id: TokenId): Effect.Effect<Partial<Credential>, TokenUnknown>
    /**
     * Stores the token, then lends it. A token of the same provider and name keeps its state and takes the new secret; the
     * secret it was added with before is not new, so it does not undo a rotation. A new one revives a dead token. When the
     * store fails, the token is lent all the same and stored as soon as it can be. One that was `acquired`, and is
     * anonymous, is forgotten once it has been dead or used up for a week, unless its refill is near.
     */
    add(token: {
      readonly provider: string
      readonly name: string
      readonly kind: TokenKind
      readonly acquired?: boolean
      readonly credential: Partial<Credential>
    }): Effect.Effect<TokenId, StoreUnavailable>
    /**
     * Takes a token, in or out of use, to ask its upstream whether it is good. `seen` is when the schedule knows it to have
     * been checked last: then another process that has checked it since comes first, and one that only a person brings back
     * is left alone. Undefined when it is not to be checked now: it is gone, another checks it by schedule, it has no secret to
     * ask with, or its provider limits us as a whole. Lends nothing, except that the check of a token that is due is its one probe.
     * Waits while an access secret that has ended is renewed. The claim is shared between processes, ends with the scope, and
     * is void after three minutes.
     */
    examine(id: TokenId, seen?: Seen | undefined): Effect.Effect<Examination | undefined, never, Scope.Scope>
    remove(id: TokenId): Effect.Effect<void, TokenUnknown | StoreUnavailable>
    /** Takes it out of use until `enable` or `reset`. */
    disable(id: TokenId, why: string): Effect.Effect<void, TokenUnknown | StoreUnavailable>
    enable(id: TokenId): Effect.Effect<void, TokenUnknown | StoreUnavailable>
    /** Forgets every failure and cooldown: the token is as if new. Also the way back for a dead one. */
    reset(id: TokenId): Effect.Effect<void, TokenUnknown | StoreUnavailable>
    /** Takes the upstream's own word for what is left; it outranks what was guessed. Never waits. */
    noteQuota(id: TokenId, report: QuotaReport): Effect.Effect<void>
    /** What a person may see of each token. Never a secret. */
    list(provider?: string): Effect.Effect<ReadonlyArray<TokenView>>
    /** The same of one. */
    view(id: TokenId): Effect.Effect<TokenView, TokenUnknown>
    get(id: TokenId): Effect.Effect<TokenRecord, TokenUnknown>
    /** Takes over what other processes have stored. */
    readonly sync: Effect.Effect<void, StoreUnavailable>
    /** Until when the whole provider is left alone, if a limit above the tokens was inferred. */
    coolingUntil(provider: string): Effect.Effect<number | undefined>
  }
>()("weirgate/pool/TokenPool") {
  /**
   * Goes on in memory while the store fails, but must be able to read it at the start. Closing waits up to five seconds
   * for renewals under way.
   */
  static readonly layerWith = (
    options: PoolOptions = {}
  ): Layer.Layer<TokenPool, StoreUnavailable, Store | Vault | Renewer> =>
    Layer.effect(
      TokenPool,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<TokenPool, StoreUnavailable, Store | Vault | Renewer> = TokenPool.layerWith()
}

export interface PoolOptions {
  readonly strategy?: Strategy
  /** Renew an access secret that ends within this time (default 5 minutes: the official client's policy). */
  readonly renewBefore?: Duration.Input
  /**
   * How long a token with too many errors is left alone before it is asked again: `base` at first, doubling to `max` each
   * time that it is still no good (default 30 seconds to 1 hour).
   */
  readonly disableFor?: { readonly base?: Duration.Input; readonly max?: Duration.Input }
}

/** How often what other processes have stored is taken over. */
const syncEvery = Schedule.spaced("5 seconds")

const disableFor = ({ disableFor: { base, max } = {} }: PoolOptions) => {
  const first = base === undefined ? Backoff.unreliable.first : Duration.toMillis(base)
  return { first, most: Math.max(first, max === undefined ? Backoff.unreliable.most : Duration.toMillis(max)) }
}

const make = Effect.fnUntraced(function* (options: PoolOptions) {
  // Unique among the processes that share the store, restarts included.
  const process = `${yield* Random.nextInt}-${yield* Clock.currentTimeMillis}`
  const secrets = Secrets.make(yield* Vault)
  const holdings = yield* Holdings.makeWith({ disableFor: disableFor(options) })
  const renewals = yield* Renewals.make({ holdings, secrets, renewer: yield* Renewer, process })
  const desk = Desk.make(holdings, secrets, process)
  const settlement = Settlement.make(holdings, desk, process)
  const store = yield* Store
  const administration = Administration.make(store, holdings, secrets)
  const possession = Possession.make(holdings, secrets)
  const admission = Admission.make(store, holdings, secrets, possession)

  /** What time alone and other processes have changed. */
  const review = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const { generation, id, state } of [...holdings.all()].filter((record) => hasEnded(record, now))) {
      const why = "the access secret has ended and there is nothing to renew it with"
      if (state._tag !== "dead") yield* holdings.settle(id, { _tag: "Died", why, generation })
    }
    const spent = [...holdings.all()].filter((record) => isSpent(record, now) && desk.leased(record.id) === 0)
    yield* Effect.forEach(spent.slice(0, retiredAtOnce), administration.retire, { discard: true }).pipe(
      Effect.catch(telling.storeFailed)
    )
    yield* settlement.inferAll
    desk.tidy()
    yield* telling.census(holdings.all(), now, (record) => desk.leased(record.id))
  })
  const sync = Effect.andThen(holdings.sync, review)
  const look = sync.pipe(Effect.catch(telling.storeFailed))
  yield* telling.begun
  yield* review
  yield* Effect.forkScoped(Effect.schedule(look, syncEvery))

  const view = (record: TokenRecord, now: number) =>
    viewOf(record, now, desk.leased(record.id), desk.standing(record, now) !== "out")

  const { borrow, lease, take } = yield* Lending.make({
    holdings,
    desk,
    secrets,
    renewals,
    settlement,
    look,
    process,
    strategy: options.strategy ?? "priority",
    renewBefore: Duration.toMillis(options.renewBefore ?? "5 minutes")
  })
  return TokenPool.of({
    examine: Examining.make({ holdings, desk, secrets, renewals, settlement, process }),
    lease,
    borrow,
    take,
    settle: (id, settled) =>
      Effect.suspend(() => {
        const record = holdings.get(id)
        return record === undefined ? Effect.void : settlement.settleAfar(record, settled)
      }),
    addAll: admission.addAll,
    clashes: admission.clashes,
    find: (provider, secret) =>
      Effect.map(possession.of(provider), (tokens) => tokens.get(Possession.digestOf(secret))?.id),
    credentialOf: Effect.fnUntraced(function* (id) {
      const record = yield* administration.find(id)
      const access = yield* secrets.openAccess(record)
      const credential: Partial<Credential> = {
        refresh: yield* secrets.open(id, "refresh", record.refresh),
        ...(access && { access }),
        expiresAt: record.access?.expiresAt
      }
      return credential
    }),
    add: administration.add,
    remove: administration.remove,
    disable: (id, why) => administration.change(id, { _tag: "Disabled", why }),
    enable: (id) => administration.change(id, { _tag: "Enabled" }),
    reset: (id) => administration.change(id, { _tag: "Reset" }),
    noteQuota: (id, report) => holdings.settle(id, { _tag: "QuotaNoted", report }),
    list: (provider) =>
      Effect.map(Clock.currentTimeMillis, (now) =>
        [...(provider === undefined ? holdings.all() : holdings.of(provider))].map((record) => view(record, now))
      ),
    view: (id) => Effect.zipWith(administration.find(id), Clock.currentTimeMillis, view),
    get: (id) =>
      Effect.zipWith(administration.find(id), Clock.currentTimeMillis, (record, now) => ({
        ...record,
        state: stateAt(record.state, now)
      })),
    sync,
    coolingUntil: (provider) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const until = holdings.provider(provider)?.cooling?.until
        return until !== undefined && now < until ? until : undefined
      })
  })
})
