/** How durations are spread: quantiles, and shares on a logarithmic scale. All lists are ascending, in milliseconds. */

export const mean = (values: ReadonlyArray<number>): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length

/** The smallest value that at least this share of all does not exceed (nearest rank). */
export const quantile = (ascending: ReadonlyArray<number>, share: number): number | undefined =>
  ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)]

/** Which share does not exceed the value. */
export const shareUpTo = (ascending: ReadonlyArray<number>, value: number): number => {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] ?? 0) <= value) low = middle + 1
    else high = middle
  }
  return ascending.length === 0 ? 0 : low / ascending.length
}

/** What takes less than this, in milliseconds, counts as at once: nobody notices, and the scale needs an end. */
export const atOnce = 10

/** A logarithmic axis, in decades of a millisecond, with a place of its own for what took no time at all. */
export interface LogScale {
  /** Left and right of the place of what was at once; `low` begins the decades. */
  readonly zero: { readonly from: number; readonly to: number }
  readonly low: number
  readonly high: number
}

const steps = 4

/** Just wide enough for all of the lists. */
export const logScaleOf = (...lists: ReadonlyArray<ReadonlyArray<number>>): LogScale => {
  const least = Math.min(...lists.map((list) => list[countUnder(list)] ?? Number.POSITIVE_INFINITY))
  const most = Math.max(1_000, ...lists.map((list) => list.at(-1) ?? 0))
  const low = Number.isFinite(least) ? Math.min(2, Math.floor(Math.log10(least))) : 1
  return {
    zero: { from: low - 1, to: low - 0.25 },
    low,
    high: Math.ceil((Math.log10(most) + 0.01) * steps) / steps
  }
}

const countUnder = (ascending: ReadonlyArray<number>): number => {
  const index = ascending.findIndex((value) => value >= atOnce)
  return index === -1 ? ascending.length : index
}

/** Where a duration stands on the scale. */
export const placeOf = ({ low, zero }: LogScale, ms: number): number =>
  ms < atOnce ? (zero.from + zero.to) / 2 : Math.max(low, Math.log10(ms))

export interface Bar {
  readonly from: number
  readonly to: number
  /** Of all values. */
  readonly share: number
}

/** The share of values in each quarter of a decade, and of those that were at once. */
export const histogram = (ascending: ReadonlyArray<number>, { high, low, zero }: LogScale): ReadonlyArray<Bar> => {
  if (ascending.length === 0) return []
  const under = countUnder(ascending) / ascending.length
  let before = under
  const bars = Array.from({ length: Math.round((high - low) * steps) }, (_, index): Bar => {
    const to = low + (index + 1) / steps
    const upTo = shareUpTo(ascending, 10 ** to)
    const share = upTo - before
    before = upTo
    return { from: low + index / steps, to, share }
  })
  return [{ ...zero, share: under }, ...bars].filter(({ share }) => share > 0)
}

/** Points of the cumulative share, fine enough to look like a curve. */
export const cumulative = (
  ascending: ReadonlyArray<number>,
  { high, low, zero }: LogScale
): { readonly at: ReadonlyArray<number>; readonly share: ReadonlyArray<number | null> } => {
  const points = Math.round((high - low) * 24)
  const decades = Array.from({ length: points + 1 }, (_, index) => low + ((high - low) * index) / points)
  const under = ascending.length === 0 ? 0 : countUnder(ascending) / ascending.length
  const share = [under, under, ...decades.map((at) => shareUpTo(ascending, 10 ** at))]
  return {
    at: [zero.from, zero.to, ...decades],
    share: ascending.length === 0 ? share.map(() => null) : share
  }
}
