/**
 * Decides which request goes where and when. A request waits for all its targets at once; whichever can start first takes the
 * first in its line. Given the time, never takes it: whoever calls sees to it that `tick` is called at the time last asked for.
 */
import type { Limits } from "../domain/Provider.ts"
import * as FullLine from "./fullLine.ts"
import type { Skipped } from "./journey.ts"
import * as Next from "./next.ts"
import * as Refusals from "./refusals.ts"
import * as Sites from "./sites.ts"
import {
  type Asked,
  type Granted,
  hindrance,
  type ProviderDesk,
  type Refusal,
  type Site,
  soonest,
  type Waiter
} from "./sites.ts"
import { Waiters } from "./waiters.ts"

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

export const make = ({ ageing, isPaused, lessonsOf, limit, margin, pastOf, wakeAt }: Options): Dispatch => {
  const { deskOf, providers, siteOf } = Sites.make({ ageing, isPaused, lessonsOf, margin, pastOf })
  // At most `limit`.
  const waiters = new Waiters()

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

  const take = (now: number, asked: Asked): Granted | undefined => {
    for (const target of asked.targets) {
      const site = siteOf(target)
      if (!Next.isAwaited(site, now) && hindrance(site, asked, now) === undefined) {
        return grant(site, asked, now, now)
      }
    }
    return undefined
  }

  const refuse = (waiter: Waiter, refusal: Refusal) => {
    waiters.drop(waiter)
    waiter.decided(refusal)
  }

  const changed = (provider: ProviderDesk, now: number) => {
    if (provider.waiting === 0) return
    let left: Set<ProviderDesk> | undefined
    while (provider.waiting > 0) {
      const next = Next.nextOf(provider, now, ageing)
      if (next === undefined) break
      const { waiter } = next
      const site = Next.preferred(waiter, next.site, now)
      waiters.drop(waiter)
      waiter.decided(grant(site, waiter.asked, waiter.arrivedAt, now))
      for (const desk of waiter.desks) if (desk !== provider) left = (left ?? new Set()).add(desk)
    }
    if (provider.waiting > 0) wake(provider, now)
    // Who stood behind it in another line may be able to start there. Each grant leaves one waiter fewer, so it ends.
    if (left !== undefined) for (const desk of left) changed(desk, now)
  }

  const wake = (provider: ProviderDesk, now: number) => {
    const at = Next.opensAt(provider, now)
    if (at < Number.POSITIVE_INFINITY) wakeAt(at)
  }

  /** Those that wait for a target that has gone out of order, and for others that are, wait in vain. */
  const refuseHopeless = (site: Site, now: number) => {
    const left = new Set<ProviderDesk>()
    waiters.each((waiter) => {
      const down = waiter.sites.includes(site) ? Refusals.unavailable(waiter.sites, now) : undefined
      if (down === undefined) return
      refuse(waiter, down)
      for (const desk of waiter.desks) left.add(desk)
    })
    for (const desk of left) changed(desk, now)
  }

  /** Whether one who asks finds a place in line, though another has to give way. */
  const makeRoom = (asked: Asked, sites: ReadonlyArray<Site>, now: number): boolean => {
    if (waiters.size < limit) return true
    const last = FullLine.yielding(waiters, asked, sites, now, ageing)
    if (last === undefined) return false
    refuse(last, Refusals.madeRoom)
    for (const desk of last.desks) changed(desk, now)
    return true
  }

  return {
    providers,
    waiting: () => waiters.size,
    oldest: () => waiters.oldest(),
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
      const down = Refusals.unavailable(sites, now)
      if (down !== undefined) return down
      const at = soonest(sites, asked, now)
      if (at === undefined && asked.until <= now) return Refusals.paused(sites)
      if (at !== undefined && at > asked.until) return Refusals.tooLate(at, now)
      if (!makeRoom(asked, sites, now)) return Refusals.full(waiters.size, at, now)
      const waiter = waiters.add(asked, sites, now, decided)
      wakeAt(asked.until)
      for (const desk of waiter.desks) changed(desk, now)
      return waiter
    },
    leave: (waiter, now) => {
      if (waiter.isOver) return
      waiters.drop(waiter)
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
      waiters.pause(desk, isPaused)
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
          refuse(waiter, Refusals.timedOut(waiter.sites, at, now))
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
