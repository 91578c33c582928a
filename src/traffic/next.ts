/** Who is next at a provider over all its lines, where, and when. Given the time, never takes it. */
import * as Line from "./line.ts"
import { hindrance, type ProviderDesk, type Site, type Waiter } from "./sites.ts"

/** Whether someone has come before who waits for it, or for its provider at another of its models. */
export const isAwaited = (site: Site, now: number): boolean => {
  const { provider } = site
  if (provider.waiting === 0) return false
  if (site.line.first(now) !== undefined) return true
  for (const { circuit, line } of provider.sites.values()) {
    if (line.size > 0 && circuit.room(now) >= 1 && line.first(now) !== undefined) return true
  }
  return false
}

/** The first of all lines of a provider that can start there now. */
export const nextOf = (
  provider: ProviderDesk,
  now: number,
  ageing: number
): { site: Site; waiter: Waiter } | undefined => {
  // Where not even the smallest could start, none need be found.
  if (provider.capacity.opening(now, 0).at !== now) return undefined
  let best: { site: Site; waiter: Waiter } | undefined
  for (const site of provider.sites.values()) {
    if (site.line.size === 0 || site.circuit.room(now) < 1) continue
    const waiter = site.line.first(now)
    if (
      waiter === undefined ||
      (best !== undefined && !Line.before(waiter, best.waiter, now, ageing, provider.turns))
    ) {
      continue
    }
    best = { site, waiter }
  }
  return best !== undefined && provider.capacity.opening(now, best.waiter.asked.tokens).at === now ? best : undefined
}

/** Where a waiter that may start at one of its targets starts: earlier ones may have become free at the same time. */
export const preferred = (waiter: Waiter, found: Site, now: number): Site => {
  for (const site of waiter.sites) {
    if (site === found) return found
    if (hindrance(site, waiter.asked, now) === undefined) return site
  }
  return found
}

/** The next time at which the first of a line may start there by itself; infinity when it takes another that leaves or ends. */
export const opensAt = (provider: ProviderDesk, now: number): number => {
  let at = Number.POSITIVE_INFINITY
  for (const { circuit, line } of provider.sites.values()) {
    const waiter = line.size === 0 ? undefined : line.first(now)
    if (waiter === undefined) continue
    const opening = provider.capacity.opening(now, waiter.asked.tokens).at
    if (opening === undefined) continue
    const tried = circuit.triedAt(now)
    const free = tried === undefined ? opening : Math.max(opening, tried)
    if (free > now) at = Math.min(at, free)
  }
  return at
}
