/** What a simulation has come to: all that is printed, plotted and compared. Plain data; instants are milliseconds since its start. */

export interface Outcome {
  /** What was simulated. The same of these gives the same of all else. */
  readonly scenario: {
    readonly trace: string
    readonly rows: number
    /** The trace's own length divided by `speed`. */
    readonly lengthMs: number
    /** How many times as fast as it was recorded. */
    readonly speed: number
    readonly seed: string
    /** The route that was asked for. */
    readonly model: string
    /** What all providers together could serve in a minute, by the model of their service times. */
    readonly capacityPerMinute: number
    /** What was asked for, as a share of that: over the whole length, and in its busiest 60 seconds. */
    readonly meanLoad: number
    readonly busiestMinuteLoad: number
  }
  readonly requests: {
    readonly asked: number
    /** With a whole answer. */
    readonly answered: number
    /** Turned away here: no slot in time, or nobody who could. */
    readonly refused: number
    /** Every other end. */
    readonly failed: number
    /** Why, and how often, by the error's tag. */
    readonly reasons: Readonly<Record<string, number>>
  }
  /** Time in line of every request that was given a slot, in milliseconds, ascending. */
  readonly waits: ReadonlyArray<number>
  /** From being asked to the answer's end, of those answered, in milliseconds, ascending. */
  readonly latencies: ReadonlyArray<number>
  /** The mean wait in milliseconds with an ideal dispatcher, that knows every limit and takes no time: how much of it is the trace's. */
  readonly leastMeanWaitMs: number
  readonly providers: ReadonlyArray<ProviderOutcome>
  /** At even intervals, in the order of time; at most 1,000. */
  readonly samples: ReadonlyArray<Sample>
  readonly figures: ReadonlyArray<Figure>
}

export interface ProviderOutcome {
  readonly name: string
  /** What the upstream really bears: null for no limit. */
  readonly concurrency: number | null
  readonly rpm: number | null
  readonly calls: number
  readonly served: number
  /** 429s of the upstream for its limits. */
  readonly throttled: number
  /** Every other failure. */
  readonly failed: number
  /**
   * Mean share of the binding limit in use while a request waited for it and it could be used: neither out of order nor without a
   * usable token; undefined when that was never so.
   */
  readonly useWhileWaiting: number | undefined
  /** For how long a request waited for it. */
  readonly waitingMs: number
  /** When the faults asked for began and ended. */
  readonly faults: ReadonlyArray<{ readonly kind: string; readonly from: number; readonly to: number }>
}

export interface Sample {
  readonly at: number
  /** Requests in line, each once. */
  readonly waiting: number
  /** In the order of `providers`: the share of its concurrency and of its minute in use; null where there is no such limit. */
  readonly use: ReadonlyArray<{
    readonly inUse: number
    readonly concurrency: number | null
    readonly rate: number | null
    readonly waiting: number
  }>
}

/** One of D3's five. */
export interface Figure {
  readonly name: "upstream 429s" | "limit in use while waiting" | "mean wait" | "availability" | "success"
  readonly value: number
  readonly goal: number
  readonly unit: "share" | "ms"
  /** Whether `value` may not be below `goal`, or not above it. */
  readonly bound: "at least" | "below"
  readonly met: boolean
}
