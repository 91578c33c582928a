/**
 * Decides which request goes where and when. A request waits for all its targets at once; whichever can start first takes the
 * first in its line. Given the time, never takes it: whoever calls sees to it that `tick` is called at the time last asked for.
 */
import type { Limits, Target } from "../domain/Provider.ts"
import { Roster } from "../domain/roster.ts"
import type * as Capacity from "./capacity.ts"
import type * as Circuit from "./circuit.ts"
import type { Skipped } from "./journey.ts"
import * as Line from "./line.ts"
import * as Sites from "./sites.ts"
import {
  type Asked,
  desksOf,
  hindrance,
  isPaused as isSitePaused,
  type ProviderDesk,
  type Site,
  soonest,
  untilTried,
  type Waiter
} from "./sites.ts"

export type Refusal = {
  readonly _tag: "Refused"
  readonly reason: "full" | "wait" | "timeout" | "unavailable" | "paused"
  readonly detail: string
  /** Milliseconds. */
  readonly retryAfter: number
}

export interface Granted {
  readonly _tag: "Granted"
  readonly target: Target
  readonly site: Site
  readonly provider: ProviderDesk
  readonly grant: Capacity.Grant
  readonly ticket: Circuit.Ticket
  readonly queuedMs: number
  readonly skipped: ReadonlyArray<Skipped>
}

export interface Options extends Sites.SitesOptions {
  /** The most that wait. */
  readonly limit: number
  /** Has `tick` called then, instead of at the time asked for before. */
  readonly wakeAt: (at: number) => void
}

export interface Dispatch {
  readonly providers: ReadonlyMap<string, ProviderDesk>
  readonly waiting: () => number
  /** Since when the one waits that has waited longest. */
  readonly oldest: () => number | undefined
  configure(providers: Iterable<{ readonly name: string; readonly limits: Limits }>, now: number): void
  /** What can start at this moment starts; nothing waits, and nothing is refused. */
  take(now: number, asked: Asked): Granted | undefined
  /** Decides at once, or later through `decided`. */
  ask(now: number, asked: Asked, decided: Waiter["decided"]): Granted | Refusal | Waiter
  leave(waiter: Waiter, now: number): void
  end(granted: Granted, now: number, outcome: "served" | "failed" | "neutral", statedUntil?: number): void
  /** Its first content has come. */
  answering(granted: Granted, now: number): void
  /** `lingers`: until `gone`, the upstream may count it still. */
  release(granted: Granted, now: number, lingers: boolean): void
  gone(granted: Granted, now: number): void
  hold(provider: string, until: number, now: number): void
  /** Has nothing start there, or lets its line go on by the usual rules. */
  pause(provider: string, isPaused: boolean, now: number): void
  /** Takes all its targets for in order. */
  resetCircuits(provider: string, now: number): void
  /** Something may have become free at this provider. */
  changed(provider: ProviderDesk, now: number): void
  tick(now: number): void
}

/** How soon it is worth asking again when a probe is out. */
const soon = 1_000
/** The same when it takes a person: nobody knows, and more often is of no use. */
const later = 10_000
/** Below every urgency: who waits for a person keeps nobody else out of a full line. */
const leastUrgent = -1e9

export const make = ({ ageing, isPaused, lessonsOf, limit, margin, pastOf, wakeAt }: Options): Dispatch => {
  const { deskOf, providers, siteOf } = Sites.make({ ageing, isPaused, lessonsOf, margin, pastOf })
  // At most `limit`.
  const waiters = new Roster<Waiter>()
  let ordinal = 0

  const grant = (site: Site, asked: Asked, arrivedAt: number, now: number): Granted => {
    const { circuit, provider, target } = site
    const skipped: Array<Skipped> = []
    for (const other of asked.targets) {
      if (other === target || (other.provider === target.provider && other.model === target.model)) break
      skipped.push({ target: other, why: hindrance(siteOf(other), asked, now) ?? "it was not free in time" })
    }
    provider.turns.served(asked.client)
    return {
      _tag: "Granted",
      target,
      site,
      provider,
      grant: provider.capacity.take(now, asked.tokens),
      ticket: circuit.begin(now),
      queuedMs: now - arrivedAt,
      skipped
    }
  }

  /** Whether someone has come before who waits for it, or for its provider at another of its models. */
  const isAwaited = (site: Site, now: number): boolean => {
    const { provider } = site
    if (provider.waiting === 0) return false
    if (site.line.first(now) !== undefined) return true
    for (const { circuit, line } of provider.sites.values()) {
      if (line.size > 0 && circuit.room(now) >= 1 && line.first(now) !== undefined) return true
    }
    return false
  }

  const take = (now: number, asked: Asked): Granted | undefined => {
    for (const target of asked.targets) {
      const site = siteOf(target)
      if (!isAwaited(site, now) && hindrance(site, asked, now) === undefined) {
        return grant(site, asked, now, now)
      }
    }
    return undefined
  }

  const drop = (waiter: Waiter) => {
    waiter.isOver = true
    waiters.delete(waiter)
    count(waiter, -1)
  }

  const count = ({ desks, priority }: Waiter, by: 1 | -1) => {
    let open = 0
    for (const { capacity } of desks) if (!capacity.isPaused()) open++
    for (const desk of desks) {
      desk.waiting += by
      // While some are paused, it is for the others to serve it.
      const share = open === 0 ? 1 / desks.length : desk.capacity.isPaused() ? 0 : 1 / open
      desk.shares[priority] = (desk.shares[priority] ?? 0) + by * share
    }
  }

  const refuse = (waiter: Waiter, refusal: Refusal) => {
    drop(waiter)
    waiter.decided(refusal)
  }

  /** The first of all lines of a provider that can start there now. */
  const nextOf = (provider: ProviderDesk, now: number): { site: Site; waiter: Waiter } | undefined => {
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
  const preferred = (waiter: Waiter, found: Site, now: number): Site => {
    for (const site of waiter.sites) {
      if (site === found) return found
      if (hindrance(site, waiter.asked, now) === undefined) return site
    }
    return found
  }

  const changed = (provider: ProviderDesk, now: number) => {
    if (provider.waiting === 0) return
    let left: Set<ProviderDesk> | undefined
    while (provider.waiting > 0) {
      const next = nextOf(provider, now)
      if (next === undefined) break
      const { waiter } = next
      const site = preferred(waiter, next.site, now)
      drop(waiter)
      waiter.decided(grant(site, waiter.asked, waiter.arrivedAt, now))
      for (const desk of waiter.desks) if (desk !== provider) left = (left ?? new Set()).add(desk)
    }
    if (provider.waiting > 0) wake(provider, now)
    // Who stood behind it in another line may be able to start there. Each grant leaves one waiter fewer, so it ends.
    if (left !== undefined) for (const desk of left) changed(desk, now)
  }

  /** The next time at which it may go on there by itself. */
  const wake = (provider: ProviderDesk, now: number) => {
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
    if (at < Number.POSITIVE_INFINITY) wakeAt(at)
  }

  const unavailable = (sites: ReadonlyArray<Site>, now: number): Refusal | undefined => {
    const wait = untilTried(sites, now)
    if (wait === undefined) return undefined
    const others = sites.some(isSitePaused) ? "target that is not paused" : "target"
    const detail = `every ${others} is out of order, and will be tried again soon`
    return { _tag: "Refused", reason: "unavailable", detail, retryAfter: Math.max(soon, wait) }
  }

  const retryAfterOf = (at: number | undefined, now: number) =>
    at === undefined ? later : Math.max(soon, Math.ceil(at - now))

  const paused = (sites: ReadonlyArray<Site>): Refusal => {
    const names = desksOf(sites).map(({ name }) => name)
    const detail = `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} paused by whoever runs this server`
    return { _tag: "Refused", reason: "paused", detail, retryAfter: later }
  }

  /** Those that wait for a target that has gone out of order, and for others that are, wait in vain. */
  const refuseHopeless = (site: Site, now: number) => {
    const left = new Set<ProviderDesk>()
    waiters.each((waiter) => {
      const down = waiter.sites.includes(site) ? unavailable(waiter.sites, now) : undefined
      if (down === undefined) return
      refuse(waiter, down)
      for (const desk of waiter.desks) left.add(desk)
    })
    for (const desk of left) changed(desk, now)
  }

  /** The least urgent; among equals, one of the client with the most in line, and of those who came last. */
  const lastOf = (share: (client: string) => number, now: number): Waiter | undefined => {
    const urgencyOf = (waiter: Waiter) => Line.urgency(waiter, now, ageing) + handicap(waiter.sites)
    const all: Array<Waiter> = []
    waiters.each((waiter) => void all.push(waiter))
    return all.reduce<Waiter | undefined>((last, waiter) => {
      if (last === undefined) return waiter
      const order =
        urgencyOf(last) - urgencyOf(waiter) ||
        share(waiter.client) - share(last.client) ||
        waiter.ordinal - last.ordinal
      return order > 0 ? waiter : last
    }, undefined)
  }

  const handicap = (sites: ReadonlyArray<Site>) => (sites.every(isSitePaused) ? leastUrgent : 0)

  /**
   * A full line gives the place of its least urgent to one who is more urgent; among equals, that of the client with the most in
   * it to one with fewer. Those whose targets are all paused are the least urgent.
   */
  const makeRoom = (asked: Asked, sites: ReadonlyArray<Site>, now: number): boolean => {
    if (waiters.size < limit) return true
    const inLine = new Map<string, number>()
    waiters.each(({ client }) => void inLine.set(client, (inLine.get(client) ?? 0) + 1))
    const share = (client: string) => inLine.get(client) ?? 0
    const last = lastOf(share, now)
    if (last === undefined) return false
    const least = Line.urgency(last, now, ageing) + handicap(last.sites)
    const own = asked.priority + handicap(sites)
    if (least > own) return false
    if (least === own && share(last.client) <= share(asked.client) + 1) return false
    const detail = "it had to make room for one who is more urgent, or has fewer in line"
    refuse(last, { _tag: "Refused", reason: "full", detail, retryAfter: soon })
    for (const desk of last.desks) changed(desk, now)
    return true
  }

  return {
    providers,
    waiting: () => waiters.size,
    oldest: () => {
      let oldest: number | undefined
      waiters.each(({ arrivedAt }) => {
        if (oldest === undefined || arrivedAt < oldest) oldest = arrivedAt
      })
      return oldest
    },
    configure: (configured, now) => {
      const names = new Set<string>()
      for (const { limits, name } of configured) {
        names.add(name)
        const { capacity } = deskOf(name)
        capacity.configure(limits)
        // Its tokens may be others now.
        capacity.unhold()
      }
      for (const [name, desk] of providers) {
        // Kept with its limits, its minute and its circuits: it may be offered again, and requests under way know it still.
        desk.isOffered = names.has(name)
        changed(desk, now)
      }
    },
    take,
    ask: (now, asked, decided) => {
      const taken = take(now, asked)
      if (taken !== undefined) return taken
      const sites = asked.targets.map(siteOf)
      const down = unavailable(sites, now)
      if (down !== undefined) return down
      const at = soonest(sites, asked, now)
      if (at === undefined && asked.until <= now) return paused(sites)
      const retryAfter = retryAfterOf(at, now)
      if (at !== undefined && at > asked.until) {
        return { _tag: "Refused", reason: "wait", detail: "its turn would come too late", retryAfter }
      }
      if (!makeRoom(asked, sites, now)) {
        return { _tag: "Refused", reason: "full", detail: `${waiters.size} are waiting already`, retryAfter }
      }
      const { client, priority, since } = asked
      const waiter: Waiter = {
        client,
        priority,
        since,
        ordinal: ordinal++,
        place: -1,
        isOver: false,
        asked,
        arrivedAt: now,
        sites,
        desks: desksOf(sites),
        decided
      }
      waiters.add(waiter)
      count(waiter, 1)
      for (const site of sites) site.line.add(waiter, now)
      wakeAt(asked.until)
      for (const desk of waiter.desks) changed(desk, now)
      return waiter
    },
    leave: (waiter, now) => {
      if (waiter.isOver) return
      drop(waiter)
      for (const desk of waiter.desks) changed(desk, now)
    },
    end: ({ provider, site, ticket }, now, outcome, statedUntil) => {
      const before = site.circuit.state()
      site.circuit.end(ticket, now, outcome, statedUntil)
      if (outcome === "failed") refuseHopeless(site, now)
      // Where all is in order and stays so, nothing becomes free before the slot is released.
      if (before !== "closed" || site.circuit.state() !== "closed") changed(provider, now)
    },
    answering: ({ provider, site, ticket }, now) => {
      site.circuit.answering(ticket)
      if (provider.waiting > 0) changed(provider, now)
    },
    release: ({ grant, provider }, now, lingers) => {
      provider.capacity.release(grant, now, lingers)
      changed(provider, now)
    },
    gone: ({ provider }, now) => {
      provider.capacity.gone()
      changed(provider, now)
    },
    hold: (name, until, now) => {
      const desk = deskOf(name)
      desk.capacity.hold(until)
      if (desk.waiting > 0) wake(desk, now)
    },
    pause: (name, isPaused, now) => {
      // One that is not known yet is asked of when it comes to be.
      const desk = providers.get(name)
      if (desk === undefined || desk.capacity.isPaused() === isPaused) return
      const recount = (by: 1 | -1) => waiters.each((waiter) => void (waiter.desks.includes(desk) && count(waiter, by)))
      recount(-1)
      desk.capacity.pause(isPaused)
      recount(1)
      changed(desk, now)
    },
    resetCircuits: (name, now) => {
      const desk = providers.get(name)
      if (desk === undefined) return
      for (const { circuit } of desk.sites.values()) circuit.reset()
      changed(desk, now)
    },
    changed,
    tick: (now) => {
      // Those whose time is now and who could start now shall start.
      for (const desk of providers.values()) changed(desk, now)
      let until = Number.POSITIVE_INFINITY
      let haveLeft = false
      waiters.each((waiter) => {
        if (waiter.asked.until <= now) {
          const at = soonest(waiter.sites, waiter.asked, now)
          const detail = "it has waited as long as it may"
          refuse(
            waiter,
            at === undefined
              ? paused(waiter.sites)
              : { _tag: "Refused", reason: "timeout", detail, retryAfter: retryAfterOf(at, now) }
          )
          haveLeft = true
        } else {
          until = Math.min(until, waiter.asked.until)
        }
      })
      // Who stood behind one that has left may be able to start.
      if (haveLeft) for (const desk of providers.values()) changed(desk, now)
      if (until < Number.POSITIVE_INFINITY) wakeAt(until)
    }
  }
}
