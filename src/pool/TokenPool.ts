/** Holds the tokens, lends the right one for each call, and learns from how the call ended. */
import { Clock, Context, Duration, Effect, Layer, Random, Schedule } from "effect"
import type { Scope } from "effect"
import type { Credential, QuotaReport, TokenId, TokenKind } from "../domain/Token.ts"
import { Store, type StoreUnavailable } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import * as Administration from "./administration.ts"
import type { TokenUnknown } from "./administration.ts"
import * as Desk from "./desk.ts"
import * as Holdings from "./holdings.ts"
import type { HeldLease, Lease, LeaseRequest, NoTokenUsable, Restore } from "./lease.ts"
import * as Lending from "./lending.ts"
import * as Renewals from "./renewals.ts"
import { Renewer } from "./Renewer.ts"
import { isSpent, retiredAtOnce } from "./retirement.ts"
import * as Secrets from "./secrets.ts"
import * as Settlement from "./settlement.ts"
import type { Strategy } from "./strategies.ts"
import * as telling from "./telling.ts"
import { hasEnded, stateAt, type TokenRecord, type TokenView, viewOf } from "./tokenState.ts"

export { TokenUnknown } from "./administration.ts"
export { type HeldLease, type Lease, type LeaseRequest, NoTokenUsable, type Restore } from "./lease.ts"
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
}

/** How often what other processes have stored is taken over. */
const syncEvery = Schedule.spaced("5 seconds")

const make = Effect.fnUntraced(function* (options: PoolOptions) {
  // Unique among the processes that share the store, restarts included.
  const process = `${yield* Random.nextInt}-${yield* Clock.currentTimeMillis}`
  const secrets = Secrets.make(yield* Vault)
  const holdings = yield* Holdings.make
  const renewals = yield* Renewals.make({ holdings, secrets, renewer: yield* Renewer, process })
  const desk = Desk.make(holdings, secrets, process)
  const settlement = Settlement.make(holdings, desk, process)
  const administration = Administration.make(yield* Store, holdings, secrets)

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
    lease,
    borrow,
    take,
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
