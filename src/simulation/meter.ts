/** Looks at the governor at even intervals of virtual time: what is in use while somebody waits, and how it all went by. */
import type { ProviderStanding } from "../traffic/Governor.ts"
import type { Sample } from "./outcome.ts"

/** Milliseconds between two looks. */
export const interval = 100

const mostSamples = 1_000

interface Tally {
  waitingLooks: number
  /** Sum of the shares of the binding limit in use, of the looks at which a request could have begun there. */
  use: number
  usableLooks: number
}

export class Meter {
  readonly #names: ReadonlyArray<string>
  readonly #tallies: ReadonlyMap<string, Tally>
  /** All looks, thinned out by half whenever they are too many. */
  #samples: Array<Sample> = []
  #every = 1
  #looks = 0

  constructor(names: ReadonlyArray<string>) {
    this.#names = names
    this.#tallies = new Map(names.map((name) => [name, { waitingLooks: 0, use: 0, usableLooks: 0 }]))
  }

  look(at: number, waiting: number, standings: ReadonlyArray<ProviderStanding>, now: number): void {
    for (const standing of standings) {
      const tally = this.#tallies.get(standing.name)
      if (tally === undefined || standing.waiting === 0) continue
      tally.waitingLooks++
      if (!isUsable(standing, now)) continue
      tally.usableLooks++
      tally.use += Math.min(1, bindingUse(standing))
    }
    if (this.#looks++ % this.#every !== 0) return
    this.#samples.push(sampleOf(at, waiting, this.#names, standings))
    if (this.#samples.length <= mostSamples) return
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0)
    this.#every *= 2
  }

  samples(): ReadonlyArray<Sample> {
    return this.#samples
  }

  of(name: string): { readonly useWhileWaiting: number | undefined; readonly waitingMs: number } {
    const { usableLooks, use, waitingLooks } = this.#tallies.get(name) ?? { usableLooks: 0, use: 0, waitingLooks: 0 }
    return {
      useWhileWaiting: usableLooks === 0 ? undefined : use / usableLooks,
      waitingMs: waitingLooks * interval
    }
  }
}

/** Nothing can be used of one that is out of order, or whose tokens cannot be used: that is no want of diligence. */
const isUsable = ({ heldUntil, paused, targets }: ProviderStanding, now: number): boolean =>
  !paused &&
  (heldUntil === undefined || heldUntil <= now) &&
  targets.some(({ circuit }) => circuit === "closed" || circuit === "returning")

const shareOf = (used: number, limit: number | "unlimited"): number | null =>
  limit === "unlimited" ? null : used / limit

/** Of the limits, the one that is nearer to holding calls back. */
const bindingUse = ({ allowed, inUse, lastMinute }: ProviderStanding): number =>
  Math.max(shareOf(inUse, allowed.concurrency) ?? 0, shareOf(lastMinute, allowed.rpm) ?? 0)

const idle = { inUse: 0, concurrency: null, rate: null, waiting: 0 }

const sampleOf = (
  at: number,
  waiting: number,
  names: ReadonlyArray<string>,
  standings: ReadonlyArray<ProviderStanding>
): Sample => ({
  at,
  waiting,
  use: names.map((name) => {
    const standing = standings.find((each) => each.name === name)
    if (standing === undefined) return idle
    const { allowed, inUse, lastMinute } = standing
    return {
      inUse,
      concurrency: shareOf(inUse, allowed.concurrency),
      rate: shareOf(lastMinute, allowed.rpm),
      waiting: standing.waiting
    }
  })
})
