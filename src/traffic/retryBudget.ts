/** Bounds what an outage is made worse by: repetitions at an upstream that has just failed, as a share of what is asked. */

export interface RetryBudget {
  /** A request has come. */
  asked(now: number): void
  /** Whether one more repetition is within the budget; it is then counted. */
  mayRepeat(now: number): boolean
}

/** Envoy's `retry_budget` has the same two numbers: a share of what is under way, and a floor for when that is little. */
const share = 0.2
const floor = 10
const span = 10_000

/** Counts in two halves of the span, so that it forgets without keeping each instant: between one and two spans are seen. */
export const make = (): RetryBudget => {
  let begin = Number.NEGATIVE_INFINITY
  let current = { asked: 0, repeated: 0 }
  let before = { asked: 0, repeated: 0 }
  const turn = (now: number) => {
    if (now - begin < span) return
    const isNext = now - begin < 2 * span
    before = isNext ? current : { asked: 0, repeated: 0 }
    current = { asked: 0, repeated: 0 }
    begin = isNext ? begin + span : now
  }
  return {
    asked: (now) => {
      turn(now)
      current.asked++
    },
    mayRepeat: (now) => {
      turn(now)
      const allowed = floor + share * (before.asked + current.asked)
      if (before.repeated + current.repeated + 1 > allowed) return false
      current.repeated++
      return true
    }
  }
}
