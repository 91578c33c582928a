/** Sees to it that one need is worked on once, however many ask and in however many processes. */
import { Clock, Context, Duration, Effect, Exit, Layer, Metric, Random, Schedule, Semaphore } from "effect"
import type { Scope } from "effect"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import type { AcquisitionRequest, Verdict } from "./decision.ts"
import * as window from "./dedupWindow.ts"
import * as Flights from "./flights.ts"

export interface DedupOptions {
  /** How long a request counts as the same after its work began (default 300 seconds). */
  readonly window?: Duration.Input
  /** From this similarity on, of 0 to 1, two texts are the same (default 0.8). */
  readonly similarity?: number
  /** The most work at once, over all providers (default 3). */
  readonly atOnce?: number
}

/** What the same request came to before. */
export interface Earlier {
  readonly ending: NonNullable<window.Entry["ending"]>
  /** Until it no longer counts. */
  readonly timeLeft: Duration.Duration
}

/** The answer of work that was shared. */
export interface Shared {
  /** `led`: it was done for this request; `same`: for the same request; `other`: for another need of the provider. */
  readonly as: "led" | "same" | "other"
  readonly verdict: Verdict
}

export interface DedupStatistics {
  readonly seen: number
  /** Requests that were the same as one inside the window. */
  readonly duplicates: number
  /** Duplicates that needed no work of their own. */
  readonly removed: number
  /** `removed` of `duplicates`, 0 to 1. */
  readonly shareRemoved: number
  readonly active: number
  readonly window: Duration.Duration
  /** The last five at work or worked on, newest first; `age` in milliseconds. */
  readonly recent: ReadonlyArray<{
    readonly id: string
    readonly age: number
    readonly context: string
    readonly caller: string
  }>
}

export class Dedup extends Context.Service<
  Dedup,
  {
    /** Whether the same request is at work in this process. */
    isUnderWay(request: AcquisitionRequest): Effect.Effect<boolean>
    /**
     * How the same request (caller and text) of the last 300 seconds ended. Waits while it is at work in another process:
     * until it ends, that process shows no sign of life for 15 seconds, or two minutes have passed.
     */
    look(request: AcquisitionRequest): Effect.Effect<Earlier | undefined, StoreUnavailable>
    /** Waits, as `look` does, for any work of another process for the provider; says whether there was any. */
    awaitElsewhere(provider: string): Effect.Effect<boolean, StoreUnavailable>
    /**
     * Joins the work under way for the provider in this process, or does `work`. It stops when the last who waits leaves
     * before it has called `commit`; after that it ends by itself, before the layer closes.
     */
    share(
      request: AcquisitionRequest,
      work: (commit: Effect.Effect<void>) => Effect.Effect<Verdict>
    ): Effect.Effect<Shared>
    /**
     * Does work that the other processes shall know of, from its beginning until `use` has ended. Waits while three are at
     * work. A denial leaves no trace: nothing was done that a repetition would do again.
     */
    registered<E, R>(
      request: AcquisitionRequest,
      use: Effect.Effect<Verdict, E, R>
    ): Effect.Effect<Verdict, E | StoreUnavailable, R>
    /** Counts a request, and whether it was a duplicate that needed no work. */
    count(request: { readonly duplicate: boolean; readonly removed: boolean }): Effect.Effect<void>
    readonly processing: Effect.Effect<number>
    statistics(provider: string): Effect.Effect<DedupStatistics, StoreUnavailable>
  }
>()("weirgate/acquisition/Dedup") {
  static readonly layerWith = (options: DedupOptions = {}): Layer.Layer<Dedup, never, Store> =>
    Layer.effect(
      Dedup,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Dedup, never, Store> = Dedup.layerWith()
}

const windows: Collection<window.Window> = { name: "acquisition-dedup", schema: window.Window }

/** A process at work says so this often. */
const signEvery = Duration.seconds(5)
const silence = Duration.seconds(15)
/** How another process's work is watched. */
export const watching = Schedule.spaced("250 millis").pipe(Schedule.upTo({ duration: "2 minutes" }))

const make = Effect.fnUntraced(function* (
  options: DedupOptions
): Effect.fn.Return<Dedup["Service"], never, Store | Scope.Scope> {
  const store = yield* Store
  const rules: window.WindowOptions = {
    window: Duration.toMillis(options.window ?? "300 seconds"),
    similarity: options.similarity ?? 0.8,
    silence: Duration.toMillis(silence)
  }
  const process = (yield* Random.nextInt).toString(36)
  const permits = yield* Semaphore.make(options.atOnce ?? 3)
  const flights = yield* Flights.make<window.Demand, Verdict>()
  const counted = { seen: 0, duplicates: 0, removed: 0, began: 0 }

  const demandOf = ({ caller, errorContext }: AcquisitionRequest): window.Demand => ({
    caller,
    text: window.normalise(errorContext)
  })
  const read = (provider: string) => Effect.map(store.get(windows, provider), (found) => found ?? window.empty)
  const update = (provider: string, f: (current: window.Window) => window.Window) =>
    store.modify(windows, provider, (current) => [undefined, f(current ?? window.empty)])

  /** Reads until what is found is not at work any more. */
  const settled = (provider: string, find: (current: window.Window, now: number) => window.Entry | undefined) => {
    const once = Effect.gen(function* () {
      const current = yield* read(provider)
      const now = yield* Clock.currentTimeMillis
      const entry = find(current, now)
      return { entry, waits: entry !== undefined && window.isAtWork(entry, now, rules) }
    })
    return Effect.gen(function* () {
      const first = yield* once
      if (first.entry === undefined || !first.waits) return first.entry
      const { id } = first.entry
      yield* Effect.repeat(once, { schedule: watching, while: ({ entry, waits }) => waits && entry?.id === id })
      return (yield* read(provider)).entries.find((entry) => entry.id === id) ?? first.entry
    })
  }

  const isUnderWay = (request: AcquisitionRequest) => {
    const current = flights.current(request.provider)
    return current !== undefined && window.isSame(current, demandOf(request), rules.similarity)
  }

  const begin = Effect.fnUntraced(function* (request: AcquisitionRequest) {
    const at = yield* Clock.currentTimeMillis
    counted.began += 1
    const id = `${process}-${counted.began}`
    const entry: window.Entry = { ...demandOf(request), id, process, at, seenAt: at }
    yield* update(request.provider, (current) => window.begin(current, at, entry, rules))
    return id
  })

  const end = (provider: string, id: string, ending: window.Entry["ending"]) =>
    update(provider, (current) => window.end(current, id, ending)).pipe(
      Effect.catch((error) =>
        // The entry is taken for a dead process's after its silence, so nobody waits for it for long.
        Effect.logWarning(`the end of the work was not kept: ${error.message}`).pipe(
          Effect.annotateLogs({ service: "Dedup", provider })
        )
      )
    )

  const keepSigning = (provider: string, id: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => update(provider, (current) => window.sign(current, id, now))).pipe(
      Effect.ignore,
      Effect.delay(signEvery),
      Effect.forever
    )

  return Dedup.of({
    isUnderWay: (request) => Effect.sync(() => isUnderWay(request)),
    look: Effect.fn("Dedup.look")(function* (request) {
      const demand = demandOf(request)
      const isMine = (entry: window.Entry | undefined) => entry?.process === process && entry.ending === undefined
      const found = yield* settled(request.provider, (current, now) => {
        const same = window.findSame(current, now, demand, rules)
        return isMine(same) ? undefined : same
      })
      if (found?.ending === undefined) return undefined
      const timeLeft = Duration.millis(window.timeLeft(found, yield* Clock.currentTimeMillis, rules))
      return { ending: found.ending, timeLeft }
    }),
    awaitElsewhere: Effect.fn("Dedup.awaitElsewhere")(function* (provider) {
      const found = yield* settled(provider, (current, now) => window.findElsewhere(current, now, process, rules))
      return found !== undefined
    }),
    share: Effect.fn("Dedup.share")(function* (request, work) {
      const demand = demandOf(request)
      const { led, about, value } = yield* flights.join(request.provider, demand, work)
      return { verdict: value, as: led ? "led" : window.isSame(about, demand, rules.similarity) ? "same" : "other" }
    }),
    registered: (request, use) =>
      Effect.acquireUseRelease(
        begin(request),
        (id) => Effect.scoped(Effect.andThen(Effect.forkScoped(keepSigning(request.provider, id)), use)),
        (id, exit) => end(request.provider, id, endingOf(exit))
      ).pipe(permits.withPermit, Effect.withSpan("Dedup.registered")),
    count: ({ duplicate, removed }) =>
      Effect.suspend(() => {
        counted.seen += 1
        if (duplicate) counted.duplicates += 1
        if (removed) counted.removed += 1
        return Metric.update(removed ? requests.removed : duplicate ? requests.repeated : requests.first, 1)
      }),
    processing: Effect.sync(() => flights.size()),
    statistics: Effect.fn("Dedup.statistics")(function* (provider) {
      const { entries } = yield* read(provider)
      const now = yield* Clock.currentTimeMillis
      const { seen, duplicates, removed } = counted
      return {
        seen,
        duplicates,
        removed,
        shareRemoved: duplicates === 0 ? 0 : removed / duplicates,
        active: flights.size(),
        window: Duration.millis(rules.window),
        recent: entries
          .filter((entry) => window.timeLeft(entry, now, rules) > 0)
          .slice(-5)
          .toReversed()
          .map(({ id, at, text, caller }) => ({ id, age: now - at, context: text, caller }))
      }
    })
  })
})

const endingOf = (exit: Exit.Exit<Verdict, unknown>): window.Entry["ending"] => {
  if (Exit.isFailure(exit)) return undefined
  switch (exit.value.answer) {
    case "token":
      return { _tag: "Answered", token: exit.value.token.id }
    case "failed":
      return { _tag: "Failed", reason: exit.value.reason }
    case "denied":
      return undefined
  }
}

const requestsTotal = Metric.counter("weirgate_dedup_requests_total", {
  description: "Requests for a token: first of their kind, repeated, or repeated and removed",
  incremental: true
})
const requests = {
  first: Metric.withAttributes(requestsTotal, { kind: "first" }),
  repeated: Metric.withAttributes(requestsTotal, { kind: "repeated" }),
  removed: Metric.withAttributes(requestsTotal, { kind: "removed" })
}
