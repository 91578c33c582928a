/** Who gives way to whom in a line that is full. Given the time, never takes it. */
import * as Line from "./line.ts"
import { type Asked, isPaused, type Site, type Waiter } from "./sites.ts"
import type { Waiters } from "./waiters.ts"

/** Below every urgency: who waits for a person keeps nobody else out of a full line. */
const leastUrgent = -1e9

/**
 * Who gives its place to one who asks: the least urgent, to one who is more urgent; among equals, one of the client with the most in
 * line, to a client with fewer. Those whose targets are all paused are the least urgent. Undefined when nobody does.
 */
export const yielding = (
  waiters: Waiters,
  asked: Asked,
  sites: ReadonlyArray<Site>,
  now: number,
  ageing: number
): Waiter | undefined => {
  const inLine = new Map<string, number>()
  waiters.each(({ client }) => void inLine.set(client, (inLine.get(client) ?? 0) + 1))
  const share = (client: string) => inLine.get(client) ?? 0
  const last = lastOf(waiters, share, now, ageing)
  if (last === undefined) return undefined
  const least = urgencyOf(last, now, ageing)
  const own = asked.priority + handicap(sites)
  if (least > own) return undefined
  if (least === own && share(last.client) <= share(asked.client) + 1) return undefined
  return last
}

/** The least urgent; among equals, one of the client with the most in line, and of those who came last. */
const lastOf = (
  waiters: Waiters,
  share: (client: string) => number,
  now: number,
  ageing: number
): Waiter | undefined => {
  const all: Array<Waiter> = []
  waiters.each((waiter) => void all.push(waiter))
  return all.reduce<Waiter | undefined>((last, waiter) => {
    if (last === undefined) return waiter
    const order =
      urgencyOf(last, now, ageing) - urgencyOf(waiter, now, ageing) ||
      share(waiter.client) - share(last.client) ||
      waiter.ordinal - last.ordinal
    return order > 0 ? waiter : last
  }, undefined)
}

const urgencyOf = (waiter: Waiter, now: number, ageing: number): number =>
  Line.urgency(waiter, now, ageing) + handicap(waiter.sites)

const handicap = (sites: ReadonlyArray<Site>): number => (sites.every(isPaused) ? leastUrgent : 0)
