/** Lends tokens: picks one, sees to it that its secret can be used, and takes it back with how the call ended. */
import { Cache, Clock, Duration, Effect, Exit, Scope } from "effect"
import type { Redacted } from "effect"
import type { TokenId } from "../domain/Token.ts"
import type { Desk, Loan } from "./desk.ts"
import type { Holdings } from "./holdings.ts"
import { type HeldLease, type Lease, type LeaseRequest, NoTokenUsable, type Restore } from "./lease.ts"
import type { Renewals } from "./renewals.ts"
import type { Secrets } from "./secrets.ts"
import type { Settlement } from "./settlement.ts"
import type { Strategy } from "./strategies.ts"
import * as telling from "./telling.ts"
import { accessIsValid, type Outcome, standingOf, type TokenRecord } from "./tokenState.ts"

export interface Options {
  readonly holdings: Holdings
  readonly desk: Desk
  readonly secrets: Secrets
  readonly renewals: Renewals
  readonly settlement: Settlement
  /** Looks for what other processes have stored. */
  readonly look: Effect.Effect<void>
  /** Names this process among those that share the store. */
  readonly process: string
  readonly strategy: Strategy
  /** In milliseconds. */
  readonly renewBefore: number
}

/** A process that died holds up a probe no longer than this. */
const probeFor = Duration.toMillis("10 minutes")

const nobody: ReadonlySet<TokenId> = new Set()

/** A loan whose secret is in hand. */
type UsableLoan = Loan & { readonly access: Redacted.Redacted }
const isUsable = (loan: Loan): loan is UsableLoan => loan.access !== undefined

export const make = Effect.fnUntraced(function* (options: Options) {
  const { desk, holdings, process, renewals, secrets, settlement } = options
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  // Callers who find nothing at the same time share one look into the store.
  const looks = yield* Cache.makeWith((_: "store") => options.look, { capacity: 1, timeToLive: () => Duration.zero })

  /** Whether the loan can be used at once: then it is made so. */
  const isReady = (loan: Loan, now: number): loan is UsableLoan => {
    if (loan.probe || !accessIsValid(loan.record, now)) return false
    // A secret that is new and still being stored has not been opened yet.
    loan.access = secrets.opened(loan.record)
    return isUsable(loan)
  }

  const renewIfEnding = (record: TokenRecord, now: number): Effect.Effect<void> | undefined => {
    const end = record.access?.expiresAt
    const isEnding = record.refresh !== undefined && end !== undefined && end - now <= options.renewBefore
    return isEnding ? renewals.begin(record.id, record.generation) : undefined
  }

  /** Gives the loan the secret that the token has now. */
  const openNewest = Effect.fnUntraced(function* (loan: Loan) {
    const record = holdings.get(loan.record.id)
    if (record === undefined || !accessIsValid(record, yield* Clock.currentTimeMillis)) return false
    loan.access = yield* secrets.openAccess(record)
    loan.generation = record.generation
    return isUsable(loan)
  })

  /** Among all processes there is one probe at a time. */
  const claimProbe = Effect.fnUntraced(function* (loan: Loan) {
    const { id, provider } = loan.record
    const event = {
      _tag: "ProbeClaimed",
      claim: { by: process, until: (yield* Clock.currentTimeMillis) + probeFor }
    } as const
    if (loan.probesProvider) {
      const claimed = yield* holdings
        .commitProvider(provider, event)
        .pipe(Effect.catch((error) => Effect.map(telling.storeFailed(error), () => holdings.provider(provider))))
      if (claimed?.cooling !== undefined && claimed.probe?.by !== process) return false
    }
    if (loan.probesToken) {
      const claimed = yield* holdings
        .commit(id, event)
        .pipe(Effect.catch((error) => Effect.map(telling.storeFailed(error), () => holdings.get(id))))
      if (claimed?.state._tag !== "active" && claimed?.probe?.by !== process) return false
    }
    return true
  })

  /** While it was made ready, another call may have found out that it is of no use. */
  const mayStill = (loan: Loan, now: number): boolean => {
    const record = holdings.get(loan.record.id)
    const standing = record === undefined ? "out" : standingOf(record.state, now)
    if (standing === "out" || (standing === "due" && !loan.probesToken)) return false
    return loan.probesProvider || !desk.isLimited(loan.record.provider, now)
  }

  /** Does what it takes to use the loan. Waits for a renewal that cannot be put off. */
  const prepare = Effect.fnUntraced(function* (loan: Loan) {
    const { id } = loan.record
    if (loan.probe && !(yield* claimProbe(loan))) return false
    const record = holdings.get(id)
    if (record === undefined) return false
    const now = yield* Clock.currentTimeMillis
    if (!accessIsValid(record, now) || renewals.isStoring(id)) yield* renewals.renew(id, record.generation)
    else yield* renewIfEnding(record, now) ?? Effect.void
    return (yield* openNewest(loan)) && mayStill(loan, yield* Clock.currentTimeMillis)
  })

  const report = (loan: Loan, outcome: Outcome, detail?: string | undefined) =>
    Effect.suspend(() => {
      if (loan.reported) return Effect.void
      loan.reported = true
      return settlement.settle(loan, outcome, detail)
    })

  const giveBack = (loan: Loan) =>
    Effect.suspend(() => {
      if (!loan.reported) {
        return Effect.ensuring(
          report(loan, { _tag: "Abandoned" }),
          Effect.sync(() => desk.giveBack(loan))
        )
      }
      desk.giveBack(loan)
      return Effect.void
    })

  const refuse = Effect.fnUntraced(function* (
    { only, provider }: Pick<LeaseRequest, "only" | "provider">,
    tried: ReadonlySet<TokenId>
  ) {
    const now = yield* Clock.currentTimeMillis
    const { awaitsRenewal, endsAt, held, reason } = desk.shortage(provider, tried, now, only)
    yield* telling.refused(provider)
    const retryAfter = endsAt === undefined ? {} : { retryAfter: Duration.millis(endsAt - now) }
    return yield* new NoTokenUsable({ provider, held, reason, ...retryAfter, ...(awaitsRenewal && { awaitsRenewal }) })
  })

  /** Goes from token to token until one can be used. Each is tried once, so it ends. */
  const search = Effect.fnUntraced(function* (request: LeaseRequest, first: Loan | undefined, restore: Restore) {
    const { exclude, only, provider, strategy = options.strategy } = request
    const tried = new Set(exclude)
    let loan = first
    let hasLooked = false
    while (true) {
      if (loan !== undefined) {
        const candidate = loan
        const isPrepared = yield* restore(prepare(candidate)).pipe(
          Effect.onExit((exit) => (Exit.isSuccess(exit) && exit.value ? Effect.void : settlement.release(candidate)))
        )
        if (isPrepared && isUsable(candidate)) return candidate
        tried.add(candidate.record.id)
      } else if (hasLooked || desk.isLimited(provider, yield* Clock.currentTimeMillis)) {
        return yield* refuse(request, tried)
      } else {
        yield* restore(Cache.get(looks, "store"))
        hasLooked = true
      }
      loan = desk.pick(provider, strategy, tried, yield* Clock.currentTimeMillis, only)
    }
  })

  /** The usual case is decided in one step, without a wait, a span or a write. */
  const borrowed = (request: LeaseRequest, restore: Restore): Effect.Effect<UsableLoan, NoTokenUsable> =>
    Effect.clockWith((clock) => {
      const now = clock.currentTimeMillisUnsafe()
      const { exclude = nobody, only, provider, strategy = options.strategy } = request
      const loan = desk.pick(provider, strategy, exclude, now, only)
      if (loan === undefined || !isReady(loan, now)) return search(request, loan, restore)
      const renewal = renewIfEnding(loan.record, now)
      return renewal === undefined ? Effect.succeed(loan) : Effect.as(renewal, loan)
    })

  const renew = Effect.fn("TokenPool.renew")(function* (loan: Loan) {
    const { id, provider } = loan.record
    const used = loan.generation
    if (holdings.get(id)?.generation === used) yield* renewals.renew(id, used)
    const hasNew = (holdings.get(id)?.generation ?? used) > used && (yield* openNewest(loan))
    return hasNew && isUsable(loan) ? loan.access : yield* refuse({ provider }, new Set([id]))
  })

  class Held implements HeldLease {
    readonly #loan: UsableLoan
    readonly id
    readonly name
    readonly kind
    readonly provider
    readonly access
    readonly generation
    readonly probe

    constructor(loan: UsableLoan) {
      const { id, kind, name, provider } = loan.record
      this.#loan = loan
      this.id = id
      this.name = name
      this.kind = kind
      this.provider = provider
      this.access = loan.access
      this.generation = loan.generation
      this.probe = loan.probe
    }

    get probedBy() {
      return this.#loan.probesToken ? process : undefined
    }
    report(outcome: Outcome, detail?: string | undefined) {
      return report(this.#loan, outcome, detail)
    }
    get renew() {
      return renew(this.#loan)
    }
    get giveBack() {
      return giveBack(this.#loan)
    }

    endedWell(latencyMs: number) {
      const loan = this.#loan
      if (loan.reported || !settlement.settleNow(loan, { _tag: "Succeeded", latencyMs }, now())) return false
      loan.reported = true
      desk.giveBack(loan)
      return true
    }
  }

  /** Else it keeps its turn, for `borrow` to do what it takes: it would be passed over each time its turn comes. */
  const goesAtOnce = (record: TokenRecord, now: number, isProbe: boolean): boolean =>
    !isProbe &&
    accessIsValid(record, now) &&
    secrets.opened(record) !== undefined &&
    renewIfEnding(record, now) === undefined

  const take = ({
    exclude = nobody,
    only,
    provider,
    strategy = options.strategy
  }: LeaseRequest): HeldLease | undefined => {
    const at = now()
    const loan = desk.pick(provider, strategy, exclude, at, only, goesAtOnce)
    if (loan === undefined) return undefined
    if (isReady(loan, at)) return new Held(loan)
    desk.giveBack(loan)
    return undefined
  }

  const borrow = (request: LeaseRequest, restore: Restore): Effect.Effect<HeldLease, NoTokenUsable> =>
    Effect.map(borrowed(request, restore), (loan) => new Held(loan))

  const lease = (request: LeaseRequest): Effect.Effect<Lease, NoTokenUsable, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.scope, (scope) =>
        Effect.tap(borrow(request, restore), ({ giveBack }) => Scope.addFinalizer(scope, giveBack))
      )
    )

  return { borrow, lease, take }
})
