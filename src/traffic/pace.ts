/** How often something may be done, as a pure rule: given the time, never takes it. The time may go back, as a clock that is set does. */

/** Whether it may be done now; a yes counts as done. */
export type Pace = (now: number) => boolean

/** At most `most` in any `span` milliseconds, all of them at once if need be. A clock that is set back allows as many anew. */
export const atMost = (most: number, span: number): Pace => {
  if (most === 0) return never
  // When each of the last `most` was done: `next` is the oldest of them.
  const done = new Float64Array(most).fill(Number.NEGATIVE_INFINITY)
  let next = 0
  return (now) => {
    const since = now - (done[next] ?? 0)
    if (since >= 0 && since < span) return false
    done[next] = now
    next = next + 1 === most ? 0 : next + 1
    return true
  }
}

/** At most so many in any second, and no two of them close together. */
export const evenly = (perSecond: number): Pace => (perSecond === 0 ? never : atMost(1, 1_000 / perSecond))

const never: Pace = () => false
