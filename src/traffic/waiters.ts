/** All that wait, and how many of them each provider counts on its desk. */
import { Roster } from "../domain/roster.ts"
import { type Asked, desksOf, type ProviderDesk, type Site, type Waiter } from "./sites.ts"

/** Bounded by whoever adds. */
export class Waiters {
  readonly #roster = new Roster<Waiter>()
  #ordinal = 0

  get size(): number {
    return this.#roster.size
  }

  /** Waits from `now` on in the lines of all the sites. */
  add(asked: Asked, sites: ReadonlyArray<Site>, now: number, decided: Waiter["decided"]): Waiter {
    const { client, priority, since } = asked
    const waiter: Waiter = {
      client,
      priority,
      since,
      ordinal: this.#ordinal++,
      place: -1,
      isOver: false,
      asked,
      arrivedAt: now,
      sites,
      desks: desksOf(sites),
      decided
    }
    this.#roster.add(waiter)
    count(waiter, 1)
    for (const site of sites) site.line.add(waiter, now)
    return waiter
  }

  /** Waits no more; the lines drop it when they come across it. */
  drop(waiter: Waiter): void {
    waiter.isOver = true
    this.#roster.delete(waiter)
    count(waiter, -1)
  }

  /** Each once, whoever is dropped meanwhile. Never in a certain order. */
  each(visit: (waiter: Waiter) => void): void {
    this.#roster.each(visit)
  }

  /** Since when the one waits that has waited longest. */
  oldest(): number | undefined {
    let oldest: number | undefined
    this.each(({ arrivedAt }) => {
      if (oldest === undefined || arrivedAt < oldest) oldest = arrivedAt
    })
    return oldest
  }

  /** Pauses or resumes a provider: who waits for it among others is counted by those that are not paused. */
  pause(desk: ProviderDesk, isPaused: boolean): void {
    const recount = (by: 1 | -1) => this.each((waiter) => void (waiter.desks.includes(desk) && count(waiter, by)))
    recount(-1)
    desk.capacity.pause(isPaused)
    recount(1)
  }
}

const count = ({ desks, priority }: Waiter, by: 1 | -1): void => {
  let open = 0
  for (const { capacity } of desks) if (!capacity.isPaused()) open++
  for (const desk of desks) {
    desk.waiting += by
    // While some are paused, it is for the others to serve it.
    const share = open === 0 ? 1 / desks.length : desk.capacity.isPaused() ? 0 : 1 / open
    desk.shares[priority] = (desk.shares[priority] ?? 0) + by * share
  }
}
