/** Renews access secrets: one renewal per token at a time, in this process and among all that share the store. */
import { Clock, Duration, Effect, Fiber, Redacted, Schedule, Scope } from "effect"
import { type RenewFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Credential, TokenId } from "../domain/Token.ts"
import type { Holdings } from "./holdings.ts"
import type { Renewer } from "./Renewer.ts"
import type { Secrets } from "./secrets.ts"
import * as telling from "./telling.ts"
import { isBarred } from "./tokenState.ts"
import type { TokenRecord } from "./tokenState.ts"

export interface Renewals {
  /**
   * Begins to renew the secret of that generation, or joins the renewal under way, and waits for its end, whatever that
   * is. A renewal that has begun goes on when its callers leave.
   */
  renew(id: TokenId, generation: number): Effect.Effect<void>
  /** Begins, and does not wait. */
  begin(id: TokenId, generation: number): Effect.Effect<void>
  /** A new secret is being stored and must not be used yet. */
  isStoring(id: TokenId): boolean
}

/** Longest that a renewal takes, its retries included; a process that claims one is taken to have died thereafter. */
const longest = Duration.seconds(45)
const claimFor = Duration.toMillis("1 minute")
/** Longest that a pool which closes waits for renewals: an answer that is lost may have been the only valid secret. */
const grace = Duration.seconds(5)

/** How often a process looks whether another has finished a renewal. */
export const lookIn = Schedule.spaced("250 millis")

/** A rotated secret that the store would not take is offered to it again before the token is lent on without. */
export const insistence = Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 3 }))

const tookTooLong = (provider: string) =>
  new UpstreamUnavailable({ provider, reason: "timeout", detail: "the renewal took too long" })

interface Stage {
  storing: boolean
}

export const make = Effect.fnUntraced(function* (options: {
  readonly holdings: Holdings
  readonly secrets: Secrets
  readonly renewer: Renewer["Service"]
  /** Names this process among those that share the store. */
  readonly process: string
}): Effect.fn.Return<Renewals, never, Scope.Scope> {
  const { holdings, secrets, renewer, process } = options
  // Made before the finalizer below, and so closed after it.
  const scope = yield* Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope))
  /** At most one for each token held. */
  const flights = new Map<TokenId, { readonly fiber: Fiber.Fiber<void>; readonly stage: Stage }>()
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...flights.values()], ({ fiber }) => Fiber.await(fiber), { discard: true }).pipe(
      Effect.timeoutOption(grace)
    )
  )

  /** The token, once it is ours to renew; nothing when another has renewed it or failed to, or it is gone. */
  const claim: (id: TokenId, generation: number) => Effect.Effect<TokenRecord | undefined> = Effect.fnUntraced(
    function* (id, generation) {
      const until = (yield* Clock.currentTimeMillis) + claimFor
      const event = { _tag: "RenewalClaimed", claim: { by: process, until }, generation } as const
      const record = yield* holdings
        .commit(id, event)
        .pipe(Effect.catch((error) => Effect.map(telling.storeFailed(error), () => holdings.get(id))))
      if (record === undefined || record.generation !== generation) return undefined
      if (isBarred(record, yield* Clock.currentTimeMillis)) return undefined
      // Another was refused while this one waited.
      if (record.state._tag === "dead") {
        yield* holdings.settle(id, { _tag: "RenewalReleased", by: process })
        return undefined
      }
      if (record.renewal?.by === process) return record
      yield* Effect.repeat(lookedIn(id, generation), { schedule: lookIn, until: (over) => over })
      return yield* claim(id, generation)
    }
  )

  const lookedIn = Effect.fnUntraced(function* (id: TokenId, generation: number) {
    yield* Effect.ignore(holdings.sync)
    const record = holdings.get(id)
    const now = yield* Clock.currentTimeMillis
    return record?.generation !== generation || record.renewal === undefined || record.renewal.until <= now
  })

  const store = Effect.fnUntraced(function* (stage: Stage, record: TokenRecord, credential: Credential, old: string) {
    const { id } = record
    const rotated = credential.refresh !== undefined && Redacted.value(credential.refresh) !== old
    const sealed = yield* secrets.seal(id, "access", credential.access)
    const renewed = {
      ...(rotated ? { refresh: yield* secrets.seal(id, "refresh", credential.refresh) } : {}),
      access: { sealed, ...(credential.expiresAt === undefined ? {} : { expiresAt: credential.expiresAt }) }
    }
    stage.storing = true
    yield* Effect.asVoid(
      holdings.commit(id, { _tag: "Renewed", secrets: renewed, generation: record.generation })
    ).pipe(
      Effect.catch((error) => (rotated ? Effect.retry(holdings.sync, insistence) : Effect.fail(error))),
      Effect.catch(telling.storeFailed)
    )
    yield* telling.renewed(record.provider, "renewed")
  })

  const failed = Effect.fnUntraced(function* (record: TokenRecord, failure: RenewFailure) {
    const { id, generation, provider } = record
    switch (failure._tag) {
      case "RefreshRejected":
      case "AccountBlocked":
        yield* holdings.settle(id, { _tag: "Died", why: failure.message, generation })
        // A person may give it another chance before the claim ends, and in another process.
        yield* holdings.settle(id, { _tag: "RenewalReleased", by: process })
        return yield* telling.renewed(provider, "refused")
      case "Throttled":
      case "UpstreamUnavailable": {
        const asked = failure._tag === "Throttled" ? failure.retryAfter : undefined
        const retryAfterMs = asked === undefined ? {} : { retryAfterMs: Duration.toMillis(asked) }
        yield* holdings.settle(id, { _tag: "RenewalFailed", by: process, ...retryAfterMs })
        yield* Effect.logWarning(`token ${id} was not renewed: ${failure.message}`).pipe(telling.annotated)
        return yield* telling.renewed(provider, "failed")
      }
    }
  })

  const fly = (id: TokenId, generation: number, stage: Stage) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const record = yield* restore(claim(id, generation))
        if (record === undefined) return
        const refresh = yield* secrets.open(id, "refresh", record.refresh)
        if (refresh === undefined) return yield* holdings.settle(id, { _tag: "RenewalReleased", by: process })
        // From the answer on nothing may come between: it may hold the only secret that is still valid.
        const answer = yield* restore(
          renewer
            .renew(record.provider, refresh)
            .pipe(Effect.timeoutOrElse({ duration: longest, orElse: () => Effect.fail(tookTooLong(record.provider)) }))
        ).pipe(Effect.result)
        if (answer._tag === "Failure") return yield* failed(record, answer.failure)
        return yield* store(stage, record, answer.success, Redacted.value(refresh))
      })
    )

  const begin = Effect.fnUntraced(function* (id: TokenId, generation: number) {
    const now = yield* Clock.currentTimeMillis
    const record = holdings.get(id)
    if (flights.has(id) || (record !== undefined && isBarred(record, now))) return
    const stage = { storing: false }
    const fiber = yield* fly(id, generation, stage).pipe(
      Effect.onInterrupt(() => holdings.record(id, now, { _tag: "RenewalReleased", by: process })),
      Effect.tapDefect((defect) => Effect.logError(`the renewal of token ${id} broke`, defect).pipe(telling.annotated)),
      Effect.forkIn(scope, { startImmediately: true })
    )
    flights.set(id, { fiber, stage })
    fiber.addObserver(() => flights.delete(id))
  }, Effect.uninterruptible)

  return {
    renew: (id, generation) =>
      Effect.andThen(
        begin(id, generation),
        Effect.suspend(() => {
          const flight = flights.get(id)
          return flight === undefined ? Effect.void : Fiber.await(flight.fiber)
        })
      ),
    begin,
    isStoring: (id) => flights.get(id)?.stage.storing ?? false
  }
})
