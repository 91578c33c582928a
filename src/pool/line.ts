/** Candidates in the order of a strategy, kept from one choice to the next, so that a choice need not look at all of them. */
import type { TokenId } from "../domain/Token.ts"
import type { Candidate, Order } from "./strategies.ts"

export interface Line<C extends Candidate> {
  /**
   * The first that is not excluded. `current` tells what has become of a candidate: it may have moved back meanwhile, never
   * forward, or have gone, and then it leaves the line.
   */
  first(current: (id: TokenId) => C | undefined, exclude: ReadonlySet<TokenId>): C | undefined
}

/** A heap of the candidates as they were; one that comes to its top is put where it belongs by now. */
export const make = <C extends Candidate>(order: Order, candidates: ReadonlyArray<C>): Line<C> => {
  const heap = candidates.toSorted(order)

  const sink = (candidate: C) => {
    let at = 0
    while (true) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      const isRight = left !== undefined && right !== undefined && order(right, left) < 0
      const child = isRight ? right : left
      if (child === undefined || order(candidate, child) <= 0) break
      heap[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = candidate
  }

  const dropTop = () => {
    const last = heap.pop()
    if (last !== undefined && heap.length > 0) sink(last)
  }

  const add = (candidate: C) => {
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || order(above, candidate) <= 0) break
      heap[at] = above
      at = parent
    }
    heap[at] = candidate
  }

  return {
    first: (current, exclude) => {
      const excluded: Array<C> = []
      let chosen: C | undefined
      for (let top = heap[0]; top !== undefined && chosen === undefined; top = heap[0]) {
        const now = current(top.record.id)
        if (now === undefined) {
          dropTop()
        } else if (order(top, now) < 0) {
          sink(now)
        } else if (exclude.has(now.record.id)) {
          excluded.push(now)
          dropTop()
        } else {
          chosen = now
        }
      }
      for (const candidate of excluded) add(candidate)
      return chosen
    }
  }
}
