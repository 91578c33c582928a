/** The targets that there are, what stands in the way of a request at each, and who waits for it. Given the time, never takes it. */
import type { Limits, Target } from "../domain/Provider.ts"
import type { Member } from "../domain/roster.ts"
import * as Capacity from "./capacity.ts"
import * as Circuit from "./circuit.ts"
import type { Skipped } from "./journey.ts"
import * as Line from "./line.ts"

export interface Asked {
  readonly targets: ReadonlyArray<Target>
  readonly client: string
  readonly priority: number
  readonly since: number
  readonly until: number
  readonly tokens: number
}

/** A request in line. */
export interface Waiter extends Line.Waiting, Member {
  readonly asked: Asked
  readonly arrivedAt: number
  readonly sites: ReadonlyArray<Site>
  /** Those of its sites, each once. */
  readonly desks: ReadonlyArray<ProviderDesk>
  readonly decided: (decision: Granted | Refusal) => void
}

/** A target: a model, and whether it is in order there. */
export interface Site {
  readonly target: Target
  readonly circuit: Circuit.Circuit
  readonly line: Line.Line<Waiter>
  readonly provider: ProviderDesk
}

export interface ProviderDesk {
  readonly name: string
  readonly capacity: Capacity.Capacity
  /** By model. Bounded by what is configured, and by what is asked of a provider that lists nothing. */
  readonly sites: Map<string, Site>
  readonly turns: Line.Turns
  /** Whether it is among those configured last. */
  isOffered: boolean
  /** Requests that wait for it, perhaps among others. */
  waiting: number
  /** The same by priority, each counted as the share of it among those that it waits for and that are not paused. */
  readonly shares: Array<number>
}

/** Why a request gets no slot, as `SlotRefused` tells it. */
export interface Refusal {
  readonly _tag: "Refused"
  readonly reason: "full" | "wait" | "timeout" | "unavailable" | "paused"
  readonly detail: string
  /** Milliseconds. */
  readonly retryAfter: number
}

/** A request starts at one of its targets. */
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

export interface Sites {
  readonly providers: ReadonlyMap<string, ProviderDesk>
  /** The same for the same name, as long as it is known. */
  deskOf(name: string): ProviderDesk
  siteOf(target: Target): Site
}

export interface SitesOptions {
  /** Milliseconds of waiting that are worth one priority. */
  readonly ageing: number
  readonly margin: number
  readonly lessonsOf: (provider: string) => Capacity.Lessons
  /** What has been sent there in the last minute, before this process began. */
  readonly pastOf: (provider: string) => ReadonlyArray<Capacity.Past>
  readonly isPaused: (provider: string) => boolean
}

/**
 * Models of one provider that are told apart. Beyond them one that nobody waits for is forgotten: one that is in order, or else the one
 * known longest.
 */
const mostSites = 1_000

const unlimited: Limits = { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" }

export const make = ({ ageing, isPaused, lessonsOf, margin, pastOf }: SitesOptions): Sites => {
  const providers = new Map<string, ProviderDesk>()

  const deskOf = (name: string): ProviderDesk => {
    const known = providers.get(name)
    if (known !== undefined) return known
    const capacity = Capacity.make(unlimited, lessonsOf(name), margin, pastOf(name))
    capacity.pause(isPaused(name))
    const made: ProviderDesk = {
      name,
      capacity,
      sites: new Map(),
      turns: Line.turns(),
      isOffered: true,
      waiting: 0,
      shares: Array.from({ length: 10 }, () => 0)
    }
    providers.set(name, made)
    return made
  }

  const siteOf = (target: Target): Site => {
    const provider = deskOf(target.provider)
    const known = provider.sites.get(target.model)
    if (known !== undefined) return known
    if (provider.sites.size >= mostSites) {
      const gone = dispensable(provider.sites)
      if (gone !== undefined) provider.sites.delete(gone)
    }
    const made: Site = { target, circuit: Circuit.make(), line: Line.make<Waiter>(ageing, provider.turns), provider }
    provider.sites.set(target.model, made)
    return made
  }

  return { providers, deskOf, siteOf }
}

/** Whoever has a slot there has the site too, and settles with it. */
const dispensable = (sites: ReadonlyMap<string, Site>): string | undefined => {
  let first: string | undefined
  for (const [model, { circuit, line }] of sites) {
    if (line.size > 0) continue
    if (circuit.view(0).state === "closed") return model
    first ??= model
  }
  return first
}

/** Why it cannot start there now; undefined when it can. */
export const hindrance = ({ circuit, provider }: Site, asked: Asked, now: number): string | undefined => {
  if (circuit.room(now) < 1) {
    const { source, state } = circuit.view(now)
    return state === "returning" ? "coming back slowly" : state === "open" ? `out of order (${source})` : "being probed"
  }
  const opening = provider.capacity.opening(now, asked.tokens)
  return opening.at === now ? undefined : opening.why
}

/** When it could start at one of them, as far as can be known; undefined while all are paused, which takes a person. */
export const soonest = (sites: ReadonlyArray<Site>, asked: Asked, now: number): number | undefined => {
  let first: number | undefined
  for (const site of sites) {
    if (!isPaused(site)) first = Math.min(first ?? Number.POSITIVE_INFINITY, estimate(site, asked, now))
  }
  return first
}

export const isPaused = ({ provider }: Site): boolean => provider.capacity.isPaused()

/** When it could start there: exact for what is timed, by averages for what others are at work on. */
const estimate = ({ circuit, provider }: Site, asked: Asked, now: number): number => {
  const { capacity } = provider
  const ahead = provider.shares.reduce((sum, share, priority) => (priority >= asked.priority ? sum + share : sum), 0)
  const { concurrency } = capacity.allowed()
  const opening = capacity.opening(now, asked.tokens).at
  const inMinute = capacity.afterCalls(now, Math.ceil(ahead) + 1)
  const timed = Math.max(opening ?? now, inMinute, capacity.heldUntil(), circuit.triedAt(now) ?? now)
  const byWork = concurrency === "unlimited" ? 0 : ((ahead + 1) / concurrency) * capacity.meanHold()
  return timed + (opening === undefined ? byWork : 0)
}

/**
 * How long until one of them is tried, in milliseconds, when all are out of order by a guess; undefined when waiting has a point.
 * One that is paused is not counted on while there are others; where all are, a person may resume them at any time.
 */
export const untilTried = (sites: ReadonlyArray<Site>, now: number): number | undefined => {
  let soonest: number | undefined
  for (const site of sites) {
    if (isPaused(site)) continue
    const { circuit } = site
    const { source, state, until = now } = circuit.view(now)
    // A time that was stated is worth waiting for.
    if (state === "closed" || state === "returning" || source === "stated") return undefined
    if (circuit.room(now) > 0) return undefined
    soonest = Math.min(soonest ?? Number.POSITIVE_INFINITY, until - now)
  }
  return soonest
}

/** Each once. */
export const desksOf = (sites: ReadonlyArray<Site>): ReadonlyArray<ProviderDesk> => {
  const desks: Array<ProviderDesk> = []
  for (const { provider } of sites) if (!desks.includes(provider)) desks.push(provider)
  return desks
}
