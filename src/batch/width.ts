/** How many requests it is worth to have waiting: those that could start at one instant, so that none that is free stays so. Pure. */
import type { ProviderStanding } from "../traffic/Governor.ts"

/** What waits when nothing is known, or nothing can start: enough to notice that it can again. */
export const fewest = 4

/** At least `fewest` and at most `most`, which a line without limits is. */
export const worthWaiting = (standings: ReadonlyArray<ProviderStanding>, now: number, most: number): number => {
  let together = 0
  for (const standing of standings) if (isInOrder(standing, now)) together += atOnce(standing)
  return Math.max(Math.min(fewest, most), Math.min(most, together))
}

export const inUse = (standings: ReadonlyArray<ProviderStanding>): number =>
  standings.reduce((sum, standing) => sum + standing.inUse, 0)

/** More than a probe is sent to it now. */
export const isInOrder = ({ heldUntil, paused, targets }: ProviderStanding, now: number): boolean =>
  !paused &&
  (heldUntil === undefined || heldUntil <= now) &&
  (targets.length === 0 || targets.some(({ circuit }) => circuit === "closed" || circuit === "returning"))

const atOnce = ({ allowed: { concurrency, rpm } }: ProviderStanding): number =>
  Math.min(numberOf(concurrency), numberOf(rpm))

const numberOf = (limit: number | "unlimited") => (limit === "unlimited" ? Number.POSITIVE_INFINITY : limit)
