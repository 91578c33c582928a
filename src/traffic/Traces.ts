/** Keeps what became of the newest requests that are traced. Per process; gone with it. */
import { Context, Layer } from "effect"
import type { Trace } from "./trace.ts"
import * as Pace from "./pace.ts"

/** Of each sort; the one put first gives way. A trace has at most some 30 KB, one without steps at most 2 KB. */
const kept = 500

export interface TracesOptions {
  /** Of all requests so many a second are traced, spread evenly (default 5). */
  readonly sample?: number | undefined
  /** Of those that are not, so many a second that end in failure are kept, as they come (default 20). */
  readonly failures?: number | undefined
}

export class Traces extends Context.Service<
  Traces,
  {
    /** Whether a request that begins now is to be traced though nobody asks for it; a yes counts. */
    readonly picks: (now: number) => boolean
    /** Whether a failure that is not traced is to be kept; a yes counts. */
    readonly keepsFailure: (now: number) => boolean
    /** In place of the one of that id, if there is one. */
    readonly put: (trace: Trace) => void
    readonly get: (id: string) => Trace | undefined
    /** At most 1500, in no order. */
    readonly all: () => ReadonlyArray<Trace>
    /**
     * Those put since the mark was told (0 for the beginning) that are still kept, in that order: the newest of them, at most
     * `limit`. Tells the mark of now.
     */
    readonly since: (mark: number, limit: number) => { readonly fresh: ReadonlyArray<Trace>; readonly mark: number }
  }
>()("weirgate/traffic/Traces") {
  static readonly layerWith = ({ failures = 20, sample = 5 }: TracesOptions = {}) =>
    Layer.sync(Traces, () => {
      const asked = new Map<string, Kept>()
      const well = new Map<string, Kept>()
      const badly = new Map<string, Kept>()
      const sorts = [asked, well, badly]
      /** Each pushes out its own sort only: neither a busy server what was asked for, nor a storm of failures what went well. */
      const sortOf = ({ ended, why }: Trace) => (why === "asked" ? asked : ended === "served" ? well : badly)
      let ordinal = 0
      return Traces.of({
        picks: Pace.evenly(sample),
        keepsFailure: Pace.atMost(failures, 1_000),
        put: (trace) => {
          const sort = sortOf(trace)
          // At the end also when it is known: the order is that of `ordinal`.
          sort.delete(trace.id)
          sort.set(trace.id, { trace, ordinal: ++ordinal })
          if (sort.size <= kept) return
          for (const oldest of sort.keys()) {
            sort.delete(oldest)
            break
          }
        },
        get: (id) => (asked.get(id) ?? well.get(id) ?? badly.get(id))?.trace,
        all: () => sorts.flatMap((sort) => Array.from(sort.values(), ({ trace }) => trace)),
        since: (mark, limit) => {
          const fresh = sorts
            .flatMap((sort) => [...sort.values()].filter((one) => one.ordinal > mark))
            .toSorted((a, b) => a.ordinal - b.ordinal)
          return { fresh: fresh.slice(Math.max(0, fresh.length - limit)).map(({ trace }) => trace), mark: ordinal }
        }
      })
    })

  static readonly layer = Traces.layerWith()
}

interface Kept {
  readonly trace: Trace
  /** Counts all that was put: a later one is higher. */
  readonly ordinal: number
}
