/** The last hour in steps of five seconds, for plots. Pure: given the time and what the counters stand at. Bounded by its rings. */

/** In milliseconds. */
export const step = 5_000
/** An hour. */
export const steps = 720

/** What the counters stand at; they only ever grow. */
export interface Totals {
  readonly requests: number
  /** Of the requests. */
  readonly failures: number
  readonly throttled: number
  readonly acquisitions: number
}

export interface Reading extends Totals {
  readonly waiting: number
}

/** One column each, oldest first; null in a step in which nothing was read. */
export interface Columns {
  /** When each step begins, in epoch milliseconds: each `step` after the one before. */
  readonly at: ReadonlyArray<number>
  readonly requests: ReadonlyArray<number | null>
  readonly failures: ReadonlyArray<number | null>
  /** The most that were seen waiting. */
  readonly waiting: ReadonlyArray<number | null>
  readonly throttled: ReadonlyArray<number | null>
  readonly acquisitions: ReadonlyArray<number | null>
}

const counters = ["requests", "failures", "throttled", "acquisitions"] as const
const names = [...counters, "waiting"] as const
type Name = (typeof names)[number]

export class History {
  /** When the step begins whose numbers stand in a place; -1 where none do. */
  readonly #at = new Float64Array(steps).fill(-1)
  readonly #values: Readonly<Record<Name, Float64Array>> = {
    requests: new Float64Array(steps),
    failures: new Float64Array(steps),
    throttled: new Float64Array(steps),
    acquisitions: new Float64Array(steps),
    waiting: new Float64Array(steps)
  }
  #first = Number.POSITIVE_INFINITY
  #newest = Number.NEGATIVE_INFINITY
  #before: Totals | undefined

  /**
   * Of the counters, what they have grown by since the reading before; the first is what they start from. A clock that is set
   * back adds to the newest step.
   */
  record(at: number, reading: Reading): void {
    const start = Math.max(Math.floor(at / step) * step, this.#newest)
    const place = placeOf(start)
    if (this.#at[place] !== start) {
      this.#at[place] = start
      for (const name of names) this.#values[name][place] = 0
    }
    this.#newest = start
    this.#first = Math.min(this.#first, start)
    for (const name of counters) {
      const grown = this.#before === undefined ? 0 : Math.max(0, reading[name] - this.#before[name])
      this.#values[name][place] = (this.#values[name][place] ?? 0) + grown
    }
    this.#values.waiting[place] = Math.max(this.#values.waiting[place] ?? 0, reading.waiting)
    this.#before = reading
  }

  /** The newest `most` steps, up to the last that was read in. */
  columns(most = steps): Columns {
    const first = Math.max(this.#first, this.#newest - (Math.min(most, steps) - 1) * step)
    const at: Array<number> = []
    for (let start = first; start <= this.#newest; start += step) at.push(start)
    const column = (name: Name) =>
      at.map((start) => {
        const place = placeOf(start)
        return this.#at[place] === start ? (this.#values[name][place] ?? 0) : null
      })
    return {
      at,
      requests: column("requests"),
      failures: column("failures"),
      waiting: column("waiting"),
      throttled: column("throttled"),
      acquisitions: column("acquisitions")
    }
  }
}

const placeOf = (start: number): number => (start / step) % steps
