/** A histogram of latencies whose buckets grow by a fixed ratio: one addition for each request, and quantiles to within a bucket. Pure. */

const perDoubling = 4
/** Up to 2^20 ms, some 17 minutes; what took longer is in the last. */
export const buckets = 20 * perDoubling + 1
/** A quantile is off by no more than this factor. */
export const ratio = 2 ** (1 / perDoubling)

export type Counts = Float64Array

export const none = (): Counts => new Float64Array(buckets)

export const bucketOf = (milliseconds: number): number =>
  milliseconds <= 1 ? 0 : Math.min(buckets - 1, Math.ceil(perDoubling * Math.log2(milliseconds)))

export const add = (counts: Counts, milliseconds: number): void => {
  const bucket = bucketOf(milliseconds)
  counts[bucket] = (counts[bucket] ?? 0) + 1
}

/** What has come since `before`. */
export const since = (counts: Counts, before: Counts): Counts =>
  counts.map((count, bucket) => count - (before[bucket] ?? 0))

export const total = (counts: Counts): number => counts.reduce((sum, count) => sum + count, 0)

/** In milliseconds, 0 < q <= 1: the upper end of the bucket that holds the one of that rank; undefined when there are none. */
export const quantile = (counts: Counts, q: number): number | undefined => {
  const all = total(counts)
  if (all === 0) return undefined
  const rank = Math.max(1, Math.ceil(q * all))
  let seen = 0
  for (const [bucket, count] of counts.entries()) {
    seen += count
    if (seen >= rank) return 2 ** (bucket / perDoubling)
  }
  return undefined
}
