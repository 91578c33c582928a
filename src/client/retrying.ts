/** When a call is made again, and after how long. */
import { Clock, Duration, Effect, Random } from "effect"
import type { Result } from "effect"
import { Unavailable, type Reason, waitStatedBy, WeirgateError } from "./WeirgateError.ts"

/**
 * `repeatable`: to do it twice is as good as once. `once`: it is made again only when it is known that nothing was sent, or
 * when the server refused it for now (429, 503).
 */
export type Kind = "repeatable" | "once"

/** In milliseconds. */
export interface Patience {
  /** In all, the first included. */
  readonly tries: number
  /** Before the second try; doubles with each further one. */
  readonly delay: number
  /** The longest wait that a server may ask for and get. */
  readonly longestWait: number
  /** For each try, and for all of them with their waits. */
  readonly timeout: number
  readonly deadline: number
}

/** So that many clients that failed at once do not come back at once. */
const spread = 0.2

/**
 * How long to wait before the next try, in milliseconds; undefined when there is to be none. `left` is what is left of the
 * deadline, `chance` in [0, 1) lengthens the wait by up to a fifth: what the server states is never undercut.
 */
export const waitBefore = (
  reason: Reason,
  kind: Kind,
  tried: number,
  { delay, longestWait, tries }: Patience,
  left: number,
  chance: number
): number | undefined => {
  if (tried >= tries || !mayMend(reason, kind)) return undefined
  const stated = waitStatedBy(reason)
  if (stated !== undefined && Duration.toMillis(stated) > longestWait) return undefined
  const base = stated === undefined ? delay * 2 ** (tried - 1) : Duration.toMillis(stated)
  const wait = Math.ceil(base * (1 + spread * chance))
  // A wait that leaves no time to ask would only put off the failure.
  return wait < left ? wait : undefined
}

const mayMend = (reason: Reason, kind: Kind): boolean => {
  switch (reason._tag) {
    case "Limited":
      return true
    case "NoToken":
      return reason.retryAfter !== undefined
    case "Unavailable":
      if (reason.code === unusableUrl) return false
      if (kind === "once") return !reason.mayBeDone || reason.status === 503
      return reason.status === undefined || passing.has(reason.status)
    default:
      return false
  }
}

/** A 500 is a defect of the server, which the next try meets as well. */
const passing = new Set([502, 503, 504])

export const unusableUrl = "unusable_url"

/**
 * `attempt` is told whether an earlier try may have been done although its answer did not come. Interruption ends the try
 * or the wait.
 */
export const withRetries = <A>(
  attempt: (mayBeDone: boolean) => Effect.Effect<A, Reason>,
  kind: Kind,
  patience: Patience
): Effect.Effect<A, WeirgateError> =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + patience.deadline
    let mayBeDone = false
    for (let tried = 1; ; tried++) {
      const within = Math.min(patience.timeout, end - (yield* Clock.currentTimeMillis))
      const result: Result.Result<A, Reason> = yield* attempt(mayBeDone).pipe(
        Effect.timeoutOrElse({ duration: within, orElse: () => Effect.fail(silent(within)) }),
        Effect.result
      )
      if (result._tag === "Success") return result.success
      const reason: Reason = result.failure
      mayBeDone ||= reason._tag === "Unavailable" && reason.mayBeDone
      const left = end - (yield* Clock.currentTimeMillis)
      const wait = waitBefore(reason, kind, tried, patience, left, yield* Random.next)
      if (wait === undefined) return yield* new WeirgateError({ reason })
      yield* Effect.sleep(wait)
    }
  })

const silent = (within: number) =>
  new Unavailable({
    code: "timeout",
    detail: `the server gave no answer within ${Duration.format(Duration.millis(within))}`,
    mayBeDone: true
  })
