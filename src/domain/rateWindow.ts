/**
 * A true sliding window: no 60 seconds, from any start, hold more than the limit, as the upstream counts them. Given the time,
 * never takes it.
 */

/** A call's place in the minute; its weight is 1, or the model tokens it takes. */
export interface Place {
  weight: number
  /** When it left; until then it counts, and nobody knows for how long. */
  at: number | undefined
  isGone: boolean
}

export interface RateWindow {
  /** Without a number nothing is limited, and all is counted still. */
  limit: number | undefined
  /**
   * When so much more fits: `now`, or the exact time, or undefined when that depends on calls that have not left yet. What is heavier
   * than the limit fits when nothing else is there: else it never would.
   */
  earliest(now: number, weight: number): number | undefined
  take(weight: number): Place
  /** It leaves now. */
  stamp(place: Place, now: number): void
  /** It has turned out to weigh so much. */
  correct(place: Place, weight: number): void
  /** It has never left. */
  giveBack(place: Place): void
  used(now: number): number
}

const minute = 60_000

/** `margin` is what transit may do to the spacing of two calls: an earlier one may arrive later than it left, by so much. */
export const make = (limit: number | undefined, margin: number): RateWindow => {
  const span = minute + margin
  // At most as many as calls are made in a minute; in the order in which they left.
  let places: Array<Place> = []
  let head = 0
  let stamped = 0
  let pending = 0
  let latest = Number.NEGATIVE_INFINITY

  const forget = (now: number) => {
    let first = places[head]
    while (first !== undefined && (first.at ?? now) + span <= now) {
      stamped -= first.weight
      first.isGone = true
      first = places[++head]
    }
    if (head > 64 && head * 2 > places.length) {
      places = places.slice(head)
      head = 0
    }
  }

  const window: RateWindow = {
    limit,
    earliest: (now, weight) => {
      forget(now)
      const used = stamped + pending
      if (window.limit === undefined || used === 0 || used + weight <= window.limit) return now
      let excess = Math.min(used, used + weight - window.limit)
      for (let i = head; i < places.length; i++) {
        const place = places[i]
        if (place === undefined) break
        excess -= place.weight
        if (excess <= 0) return (place.at ?? now) + span
      }
      return undefined
    },
    take: (weight) => {
      pending += weight
      return { weight, at: undefined, isGone: false }
    },
    stamp: (place, now) => {
      if (place.at !== undefined || place.isGone) return
      // Also where nobody ever asks what is used: without a limit.
      forget(now)
      // A clock that jumps back must not let a later call be forgotten before an earlier one.
      latest = Math.max(latest, now)
      place.at = latest
      pending -= place.weight
      stamped += place.weight
      places.push(place)
    },
    correct: (place, weight) => {
      if (place.isGone) return
      if (place.at === undefined) pending += weight - place.weight
      else stamped += weight - place.weight
      place.weight = weight
    },
    giveBack: (place) => {
      if (place.at !== undefined || place.isGone) return
      pending -= place.weight
      place.isGone = true
    },
    used: (now) => {
      forget(now)
      return stamped + pending
    }
  }
  return window
}
