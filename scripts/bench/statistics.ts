/** What a series of measurements comes to. */

/** The value below which the share `p` (0 to 1) lies; the series is sorted. */
export const percentile = (sorted: ReadonlyArray<number> | Float64Array, p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The median of what is computed of two values of the same round: what slows the machine for a while slows both. */
export const paired = (
  ours: ReadonlyArray<number>,
  theirs: ReadonlyArray<number>,
  of: (ours: number, theirs: number) => number
): number => median(ours.map((value, round) => of(value, theirs[round] ?? Number.NaN)))

export const ratio = (ours: number, theirs: number) => ours / theirs
export const difference = (ours: number, theirs: number) => ours - theirs

/** Each goes first, second and so on equally often. */
export const rotated = <A>(all: ReadonlyArray<A>, round: number): ReadonlyArray<A> =>
  all.map((_, i) => all[(i + round) % all.length] as A)
