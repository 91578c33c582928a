/**
 * Folds denials that say the same again and again into one, so that a flood of them does not push out of the journal what it came from.
 * Pure: it is given the time. Bounded: of more than so many at once the oldest is closed.
 */
import type { Decision } from "./decision.ts"

/** In milliseconds: the first is told at once, and those that follow within this as one. */
export const window = 10_000
const mostFolds = 500

interface Fold {
  readonly since: number
  readonly first: Decision
  /** After the first. */
  again: number
}

export class Folding {
  // In the order in which they were begun.
  readonly #folds = new Map<string, Fold>()

  /** What is to be kept now: of others than denials each, of denials the first. */
  put(decision: Decision): ReadonlyArray<Decision> {
    if (decision.answer !== "denied") return [decision]
    const key = keyOf(decision)
    const fold = this.#folds.get(key)
    if (fold !== undefined && isOpen(fold, decision.at)) {
      fold.again += 1
      return []
    }
    this.#folds.delete(key)
    this.#folds.set(key, { since: decision.at, first: decision, again: 0 })
    return [...told(fold, decision.at), ...this.#beyond(decision.at), decision]
  }

  #beyond(now: number): ReadonlyArray<Decision> {
    if (this.#folds.size <= mostFolds) return []
    for (const [key, oldest] of this.#folds) {
      this.#folds.delete(key)
      return told(oldest, now)
    }
    return []
  }

  /** What is to be kept of those that are over. */
  over(now: number): ReadonlyArray<Decision> {
    const closed: Array<Decision> = []
    for (const [key, fold] of this.#folds) {
      if (isOpen(fold, now)) continue
      this.#folds.delete(key)
      closed.push(...told(fold, now))
    }
    return closed
  }

  /** Of all of them: there is no later. */
  end(now: number): ReadonlyArray<Decision> {
    const closed = [...this.#folds.values()].flatMap((fold) => told(fold, now))
    this.#folds.clear()
    return closed
  }

  /** Whether any waits to be told. */
  get isWaiting(): boolean {
    for (const { again } of this.#folds.values()) if (again > 0) return true
    return false
  }
}

/** Also not when the clock was set back. */
const isOpen = ({ since }: Fold, now: number) => now >= since && now < since + window

const told = (fold: Fold | undefined, at: number): ReadonlyArray<Decision> =>
  fold === undefined || fold.again === 0 ? [] : [{ ...fold.first, at, times: fold.again }]

const keyOf = ({ caller, errorContext, provider, reason, step }: Decision) =>
  JSON.stringify([provider, caller, step, reason, errorContext])
