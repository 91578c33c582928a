/** How long something is left alone when nobody has said how long. */

export interface Backoff {
  readonly first: number
  readonly most: number
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** A token whose quota is used up, and nobody said until when. */
export const quotaProbe: Backoff = { first: hour, most: 24 * hour }
/** A token or a provider that was refused without a word about when to come back. */
export const trouble: Backoff = { first: 30 * second, most: 15 * minute }
/** A token that fails too often. The first gap is short, as it may be that its upstream was down; it doubles. */
export const unreliable: Backoff = { first: 30 * second, most: hour }
/** A renewal that failed, but may yet succeed. */
export const renewal: Backoff = { first: 5 * second, most: 5 * minute }

/** The longest that a passing remark of the upstream is believed without a probe. */
export const longestStated = 24 * hour

/** Doubles with each time before. */
export const gap = (backoff: Backoff, before: number): number =>
  Math.min(backoff.most, backoff.first * 2 ** Math.max(0, before))

/** When a time the upstream named is over: its own word, or, beyond what is believed of it, a guess to be probed. */
export const statedEnd = (
  now: number,
  until: number
): { readonly until: number; readonly source: "stated" | "guessed" } =>
  until - now > longestStated ? { until: now + longestStated, source: "guessed" } : { until, source: "stated" }
