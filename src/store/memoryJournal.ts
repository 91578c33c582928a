import { type Placed, slackOf } from "./paging.ts"

/** The journal of a store in memory, as text. Its places count up from one. */
export class MemoryJournal {
  /** At most what the journal keeps, and its slack. */
  readonly #texts: Array<string> = []
  #trimmed = 0

  append(entries: ReadonlyArray<string>, keep: number): void {
    for (const entry of entries) this.#texts.push(entry)
    const surplus = this.#texts.length - keep
    if (surplus > slackOf(keep)) this.#trimmed += this.#texts.splice(0, surplus).length
  }

  read(before: number, limit: number): Placed {
    const placed: Array<readonly [number, string]> = []
    for (let i = Math.min(this.#texts.length, before - 1 - this.#trimmed) - 1; i >= 0 && placed.length < limit; i--) {
      const text = this.#texts[i]
      if (text !== undefined) placed.push([this.#trimmed + i + 1, text])
    }
    return placed
  }
}
