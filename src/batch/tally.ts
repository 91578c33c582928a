/** Counts what a batch has come to, and how fast it goes. Given the time, never takes it. */
import type { Usage } from "../domain/Chat.ts"

const second = 1_000
/** The rate is that of the last minute: a provider's minute that is full and one that is not are both in it. */
const window = 60

export interface Tally {
  answered: number
  /** By status and code, or by the code of an error without one. Bounded by what upstreams have codes for. */
  readonly failed: Map<string, number>
  rejected: number
  /** By an earlier run. */
  answeredBefore: number
  failedBefore: number
  /** Answered before with another body. */
  changed: number
  retries: number
  prompt: number
  completion: number
  /** One request has got its answer, good or bad. */
  ended(now: number): void
  spent(usage: Usage | undefined): void
  /** Ends in a second, over the last minute or as long as it has run. */
  rate(now: number): number
}

export const make = (startedAt: number): Tally => {
  // One count for each second of the window.
  const counts = Array.from({ length: window }, () => 0)
  let newest = Math.floor(startedAt / second)

  const forward = (now: number) => {
    const at = Math.floor(now / second)
    for (let gone = Math.max(newest + 1, at - window + 1); gone <= at; gone++) counts[gone % window] = 0
    newest = Math.max(newest, at)
  }

  const tally: Tally = {
    answered: 0,
    failed: new Map(),
    rejected: 0,
    answeredBefore: 0,
    failedBefore: 0,
    changed: 0,
    retries: 0,
    prompt: 0,
    completion: 0,
    ended: (now) => {
      forward(now)
      counts[newest % window] = (counts[newest % window] ?? 0) + 1
    },
    spent: (usage) => {
      tally.prompt += usage?.prompt ?? 0
      tally.completion += usage?.completion ?? 0
    },
    rate: (now) => {
      forward(now)
      const length = Math.min(window, Math.max(1, (now - startedAt) / second))
      return counts.reduce((sum, count) => sum + count, 0) / length
    }
  }
  return tally
}

export const sum = (counts: ReadonlyMap<string, number>): number => {
  let all = 0
  for (const count of counts.values()) all += count
  return all
}
