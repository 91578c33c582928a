/**
 * Whether a provider lets one more call in: at no instant more at work than its concurrency, and in no 60 seconds,
 * wherever they begin, more let in than its rate. It also remembers what it has seen, for whoever wants to check a client.
 */

/** Null for no limit. */
export interface CallLimits {
  /** Calls at work at once, from their arrival until their answer is written or their client has left. */
  readonly concurrency: number | null
  /** Calls let in within any 60 seconds. A call that a limit refused does not count; any other does, however it ended. */
  readonly rpm: number | null
}

/** The limit that a call would break. */
export type BrokenLimit = keyof CallLimits

export interface Seen {
  /** The most calls at work at once. */
  readonly atOnceMost: number
  /** The most calls let in within any 60 seconds. */
  readonly minuteMost: number
  readonly refusedByLimit: number
}

export interface CallLimiter {
  /** Lets the call in, or names the limit that refuses it. `now` is in epoch milliseconds; a clock that goes back stands still. */
  arrive(now: number, limits: CallLimits): BrokenLimit | undefined
  /** A call that was let in is over. */
  leave(): void
  readonly seen: () => Seen
  /** Forgets all but the calls that are still at work. */
  reset(): void
}

const minute = 60_000

/** How many arrivals are remembered; with more than these in a minute, `minuteMost` and a higher rate limit stop here. */
const mostRemembered = 100_000

export const make = (): CallLimiter => {
  // Oldest first; those before `first` have left the window and are cut off in bulk.
  let admitted: Array<number> = []
  let first = 0
  let latest = Number.NEGATIVE_INFINITY
  let atWork = 0
  let seen: Seen = { atOnceMost: 0, minuteMost: 0, refusedByLimit: 0 }

  const inWindow = (now: number): number => {
    while (first < admitted.length && (admitted[first] ?? now) <= now - minute) first++
    if (admitted.length - first >= mostRemembered) first++
    if (first > 1_024 && first * 2 > admitted.length) {
      admitted = admitted.slice(first)
      first = 0
    }
    return admitted.length - first
  }

  return {
    arrive: (time, limits) => {
      const now = Math.max(time, latest)
      latest = now
      const recent = inWindow(now)
      const broken =
        limits.concurrency !== null && atWork >= limits.concurrency
          ? "concurrency"
          : limits.rpm !== null && recent >= limits.rpm
            ? "rpm"
            : undefined
      if (broken !== undefined) {
        seen = { ...seen, refusedByLimit: seen.refusedByLimit + 1 }
        return broken
      }
      admitted.push(now)
      atWork++
      seen = {
        ...seen,
        atOnceMost: Math.max(seen.atOnceMost, atWork),
        minuteMost: Math.max(seen.minuteMost, recent + 1)
      }
      return undefined
    },
    leave: () => {
      atWork--
    },
    seen: () => seen,
    reset: () => {
      admitted = []
      first = 0
      latest = Number.NEGATIVE_INFINITY
      seen = { atOnceMost: atWork, minuteMost: 0, refusedByLimit: 0 }
    }
  }
}
