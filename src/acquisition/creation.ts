/**
 * Step 7: spends a place in the budget on a user and makes a stored token of it. Between the two calls that takes, what the
 * upstream gave is kept in the ledger, so that a crash costs no second creation.
 */
import { Clock, Duration, Effect, Metric, Result, Schedule } from "effect"
import type { Redacted } from "effect"
import { type CreateFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import { Vault, type VaultLocked } from "../store/Vault.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { Cache } from "./Cache.ts"
import { type AcquiredToken, type AcquisitionRequest, contextOf, type Verdict } from "./decision.ts"
import { storeFailed } from "./storeFailed.ts"
import { firstHold } from "./ledger.ts"
import { RateLimiter, type Reservation, type Unfinished } from "./RateLimiter.ts"

/** Longest time from the custom token to the stored one: less than the others leave an unfinished attempt alone for. */
const completeWithin = Duration.millis(firstHold - 5_000)
/** Pauses between tries of a write that must not be lost: for about six seconds in all. */
export const writeAgain = Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 6 }))

type CreationFailure = CreateFailure | StoreUnavailable | VaultLocked

export const make = Effect.gen(function* () {
  const warp = yield* WarpClient
  const pool = yield* TokenPool
  const vault = yield* Vault
  const limiter = yield* RateLimiter
  const cache = yield* Cache

  const purposeOf = ({ id, provider }: Reservation) => `acquisition ${id} of ${provider}`

  /** For what is better left undone than to fail the attempt; answers whether it was done. */
  const insist = (otherwise: string, write: Effect.Effect<void, StoreUnavailable>) =>
    write.pipe(
      Effect.retry(writeAgain),
      Effect.as(true),
      Effect.catch((error) => Effect.as(Effect.logError(`${otherwise}: ${error.message}`), false))
    )

  /** From the custom token to the stored one. */
  const complete = Effect.fnUntraced(function* (
    reservation: Reservation,
    customToken: Redacted.Redacted,
    context: string
  ) {
    const { provider } = reservation
    const kind = "anonymous"
    // Named after the attempt: finishing it twice gives one token.
    const name = `${kind}-${reservation.id}`
    const token = yield* Effect.gen(function* () {
      const credential = yield* warp.exchange(customToken)
      const id = yield* Effect.retry(pool.add({ provider, name, kind, acquired: true, credential }), writeAgain)
      return { id, expiresAt: credential.expiresAt }
    }).pipe(Effect.timeoutOrElse({ duration: completeWithin, orElse: () => Effect.fail(tooLate(provider)) }))
    yield* insist("the success was not kept", limiter.succeeded(reservation))
    yield* insist("the new token was not cached", cache.put({ provider, kind, context }, token))
    return { id: token.id, provider, kind } as const
  })

  const settle = (reservation: Reservation, isKept: boolean) => (failure: CreationFailure) =>
    insist(
      "the failure was not kept",
      limiter.failed(reservation, {
        type: failure._tag,
        retryAfter: failure._tag === "CreateUserRateLimited" ? failure.retryAfter : undefined,
        unfinished: isKept && mayPass(failure)
      })
    )

  const create = Effect.fn("Acquisition.create")(function* (reservation: Reservation, context: string) {
    const startedAt = yield* Clock.currentTimeMillis
    const customToken = yield* Effect.tapError(warp.createAnonymousUser, settle(reservation, false))
    const sealed = yield* vault.seal(customToken, purposeOf(reservation))
    const isKept = yield* insist("a crash now would lose the new user", limiter.hold(reservation, sealed))
    const token = yield* Effect.tapError(complete(reservation, customToken, context), settle(reservation, isKept))
    yield* Metric.update(duration, ((yield* Clock.currentTimeMillis) - startedAt) / 1_000)
    return token
  })

  const verdictOf = (
    { id: attempt, provider }: Reservation,
    reason: string,
    made: Effect.Effect<AcquiredToken, CreationFailure>
  ): Effect.Effect<Verdict> =>
    made.pipe(
      Effect.map((token): Verdict => ({ step: "upstream", answer: "token", reason, token, inputs: { attempt } })),
      Effect.catch((failure) =>
        Effect.map(Effect.option(limiter.check(provider)), (budget): Verdict => {
          const retryAfterMs = budget._tag === "Some" ? Duration.toMillis(budget.value.retryAfter) : undefined
          const inputs = { attempt, failure: failure._tag }
          return { step: "upstream", answer: "failed", reason: failure.message, retryAfterMs, inputs }
        })
      ),
      Effect.annotateLogs({ service: "Acquisition", provider, attempt })
    )

  /** Reserves and creates. Not to be interrupted: the upstream may have made the user. */
  const attempt = Effect.fnUntraced(function* (request: AcquisitionRequest): Effect.fn.Return<Verdict> {
    const { provider } = request
    const reserved = yield* Effect.result(limiter.reserve(provider, request.errorContext))
    if (Result.isFailure(reserved)) {
      const denial = reserved.failure
      if (denial._tag === "StoreUnavailable") return storeFailed("rate_limiter")(denial)
      const retryAfterMs = Duration.toMillis(denial.retryAfter)
      const inputs = { rule: denial.rule }
      return { step: "rate_limiter", answer: "denied", reason: denial.message, retryAfterMs, inputs }
    }
    const reservation = reserved.success
    return yield* verdictOf(reservation, "the upstream gave a token", create(reservation, contextOf(request)))
  })

  /**
   * Makes a token of what was left when a process died, or the exchange was down. Not to be interrupted either. `isOver`:
   * it will not be tried again.
   */
  const finish = Effect.fnUntraced(function* ({ isLast, reservation, sealed }: Unfinished, context: string) {
    let isOver = true
    const made = vault.open(sealed, purposeOf(reservation)).pipe(
      Effect.flatMap((customToken) => complete(reservation, customToken, context)),
      Effect.tapError((failure) => {
        isOver = isLast || !mayPass(failure)
        return settle(reservation, true)(failure)
      }),
      Effect.withSpan("Acquisition.finish")
    )
    const verdict = yield* verdictOf(reservation, "an attempt that was left unfinished gave a token", made)
    return { verdict, isOver }
  })

  return { attempt, finish }
})

/** What the upstream gave may yet become a token when it was the exchange or the store that failed. */
const mayPass = ({ _tag }: CreationFailure) => _tag === "UpstreamUnavailable" || _tag === "StoreUnavailable"

const tooLate = (provider: string) =>
  new UpstreamUnavailable({ provider, reason: "timeout", detail: "making a token of the new user took too long" })

const duration = Metric.histogram("weirgate_acquisition_upstream_seconds", {
  description: "Time from asking an upstream for a token until it was stored",
  boundaries: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
})
