/** Calls to the drive with one token, held from the first to the last: ids that one account tells mean nothing to another. */
import { Clock, Duration, Effect, Exit, Option, Schedule } from "effect"
import type { Redacted } from "effect"
import { AccessRejected, UpstreamUnavailable } from "../domain/Failure.ts"
import type { NoTokenUsable } from "../pool/lease.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import type { TokenPool } from "../pool/TokenPool.ts"
import type { Outcome } from "../pool/tokenState.ts"
import { type WopanFailure, wopanProvider as provider, type WopanToken } from "../upstream/WopanClient.ts"
import type { Account } from "./accounts.ts"

export interface Session {
  readonly account: Account
  /**
   * One call. What passes by itself is tried once more; a secret that is rejected is renewed, once in the session, and the
   * call made again with the new one.
   */
  ask<A>(call: (token: WopanToken) => Effect.Effect<A, WopanFailure>): Effect.Effect<A, WopanFailure | NoTokenUsable>
}

/** Before the second attempt of a call. */
export const secondAttempt = Schedule.spaced("500 millis").pipe(
  Schedule.upTo({ times: 1 }),
  Schedule.setInputType<WopanFailure | NoTokenUsable>(),
  Schedule.while(({ input }) => mayPass(input)),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed(input._tag === "UpstreamUnavailable" ? Duration.max(duration, askedWait(input)) : duration)
  )
)

/** The longest that a call waits because the drive asked for it. */
const longestWait = Duration.seconds(5)

const mayPass = (failure: WopanFailure | NoTokenUsable): boolean =>
  failure._tag === "UpstreamUnavailable" &&
  (failure.reason === "connection" ||
    failure.reason === "timeout" ||
    failure.reason === "cut" ||
    (failure.status !== undefined && failure.status >= 500)) &&
  Duration.isLessThanOrEqualTo(askedWait(failure), longestWait)

const askedWait = ({ retryAfter }: UpstreamUnavailable) => retryAfter ?? Duration.zero

/**
 * Lends the account's token for as long as the work lasts, and tells the pool how it ended. Work that takes longer than
 * `within` has failed. Interruption aborts the call under way and gives the token back.
 */
export const withSession = <A, E extends { readonly _tag: string }>(
  pool: TokenPool["Service"],
  account: Account,
  within: Duration.Duration,
  work: (session: Session) => Effect.Effect<A, E | WopanFailure>
): Effect.Effect<A, E | WopanFailure | NoTokenUsable> =>
  Effect.scoped(
    Effect.gen(function* () {
      const lease = yield* pool.lease({ provider, only: account.id })
      let access: Redacted.Redacted = lease.access
      let wasRenewed = false
      let latencyMs = 0

      const once = Effect.fnUntraced(function* <A>(call: Call<A>) {
        const begun = yield* Clock.currentTimeMillis
        const answer = yield* call({ id: account.id, access })
        latencyMs = Math.max(0, (yield* Clock.currentTimeMillis) - begun)
        return answer
      })
      const renewed = Effect.fnUntraced(function* (rejected: AccessRejected) {
        if (wasRenewed) return yield* rejected
        wasRenewed = true
        access = yield* Effect.tapError(lease.renew, () => lease.report(outcomeOf(rejected)))
      })
      const ask: Session["ask"] = (call) =>
        once(call).pipe(
          Effect.catchIf(
            (failure) => failure instanceof AccessRejected,
            (rejected) => Effect.andThen(renewed(rejected), once(call))
          ),
          Effect.retry(secondAttempt)
        )

      return yield* work({ account, ask }).pipe(
        Effect.timeoutOrElse({ duration: within, orElse: () => Effect.fail(tooSlow(within)) }),
        Effect.onExit((exit) => {
          const outcome = outcomeOfSession(exit, latencyMs)
          return outcome === undefined ? Effect.void : lease.report(outcome)
        })
      )
    })
  )

type Call<A> = (token: WopanToken) => Effect.Effect<A, WopanFailure>

export const tooSlow = (within: Duration.Duration) =>
  new UpstreamUnavailable({
    provider,
    reason: "timeout",
    detail: `it was not done within ${Duration.format(within)}`
  })

/** What was asked for by an id of before may be gone. Says nothing about the token. */
export interface Stale {
  readonly _tag: "Stale"
}
export const stale: Stale = { _tag: "Stale" }

/** Undefined when nothing is known, as after an interruption. */
const outcomeOfSession = (
  exit: Exit.Exit<unknown, WopanFailure | { readonly _tag: string }>,
  latencyMs: number
): Outcome | undefined => {
  if (Exit.isSuccess(exit)) return { _tag: "Succeeded", latencyMs }
  const failure = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (failure === undefined || failure === stale) return undefined
  // That something is not there is an answer.
  return isOfCall(failure) ? outcomeOf(failure) : { _tag: "Succeeded", latencyMs }
}

const ofCall: ReadonlySet<string> = new Set<WopanFailure["_tag"]>([
  "AccessRejected",
  "AccountBlocked",
  "RequestRejected",
  "Throttled",
  "UpstreamUnavailable"
])
const isOfCall = (failure: { readonly _tag: string }): failure is WopanFailure => ofCall.has(failure._tag)
