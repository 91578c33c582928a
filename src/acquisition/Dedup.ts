/** Sees to it that one need is worked on once, however many ask and in however many processes. */
import { Clock, Context, Duration, Effect, Exit, Layer, Metric, Random, Semaphore } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { Scope } from "effect"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import type { AcquisitionRequest, Verdict } from "./decision.ts"
import * as window from "./dedupWindow.ts"
import * as Elsewhere from "./elsewhere.ts"
import { normalise } from "./errorText.ts"
import * as Flights from "./flights.ts"

export interface DedupOptions {
  /** How long a request counts as the same after its work began (default 300 seconds). */
  readonly window?: Duration.Input
  /** From this similarity on, of 0 to 1, two texts are the same (default 0.8). */
  readonly similarity?: number
  /** The most work at once, over all providers (default 3). */
  readonly atOnce?: number
}

/** What is known of a request before any work for it. */
export interface Look {
  /** What the same request (caller and text) of the last 300 seconds came to, and until when that counts. */
  readonly earlier:
    | { readonly ending: NonNullable<window.Entry["ending"]>; readonly timeLeft: Duration.Duration }
    | undefined
  /** Another process's work for the provider: for the same request, or for another need. */
  readonly elsewhere: { readonly id: string; readonly as: "same" | "other" } | undefined
}

/** The answer of work that was shared. */
export interface Shared {
  /** `led`: it was done for this request; `same`: for the same request; `other`: for another need of the provider. */
  readonly as: "led" | "same" | "other"
  /** The request it was done for. */
  readonly leader: AcquisitionRequest
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
    /** One read of the store; never waits. */
    look(request: AcquisitionRequest): Effect.Effect<Look, StoreUnavailable>
    /**
     * Waits for work of another process: until it ends, that process shows no sign of life for 15 seconds, or two minutes
     * have passed.
     */
    awaitElsewhere(provider: string, id: string): Effect.Effect<void, StoreUnavailable>
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

const make = Effect.fnUntraced(function* (
  options: DedupOptions
): Effect.fn.Return<Dedup["Service"], never, Store | Scope.Scope> {
  const rules: window.WindowOptions = {
    window: Duration.toMillis(options.window ?? "300 seconds"),
    similarity: options.similarity ?? 0.8,
    silence: Duration.toMillis(Elsewhere.silence)
  }
  const process = (yield* Random.nextInt).toString(36)
  yield* fromZero(Object.values(requests))
  const permits = yield* Semaphore.make(options.atOnce ?? 3)
  const flights = yield* Flights.make<AcquisitionRequest, Verdict>()
  const elsewhere = yield* Elsewhere.make(rules)
  const counted = { seen: 0, duplicates: 0, removed: 0, began: 0 }

  const demandOf = ({ caller, errorContext }: AcquisitionRequest): window.Demand => ({
    caller,
    text: normalise(errorContext)
  })
  // Where many join at once, they mostly say the same word for word.
  const isSame = (a: AcquisitionRequest, b: AcquisitionRequest) =>
    (a.caller === b.caller && a.errorContext === b.errorContext) ||
    window.isSame(demandOf(a), demandOf(b), rules.similarity)

  const begin = Effect.fnUntraced(function* (request: AcquisitionRequest) {
    const at = yield* Clock.currentTimeMillis
    counted.began += 1
    const id = `${process}-${counted.began}`
    yield* elsewhere.begin(request.provider, { ...demandOf(request), id, process, at, seenAt: at })
    return id
  })

  return Dedup.of({
    isUnderWay: (request) =>
      Effect.sync(() => {
        const current = flights.current(request.provider)
        return current !== undefined && isSame(current, request)
      }),
    look: Effect.fn("Dedup.look")(function* (request) {
      const current = yield* elsewhere.read(request.provider)
      const now = yield* Clock.currentTimeMillis
      const same = window.findSame(current, now, demandOf(request), rules)
      const isTheirs = same !== undefined && same.ending === undefined && same.process !== process
      const atWork = isTheirs ? same : window.findElsewhere(current, now, process, rules)
      return {
        earlier: same?.ending && {
          ending: same.ending,
          timeLeft: Duration.millis(window.timeLeft(same, now, rules))
        },
        elsewhere: atWork && { id: atWork.id, as: isTheirs ? "same" : "other" }
      }
    }),
    awaitElsewhere: Effect.fn("Dedup.awaitElsewhere")(elsewhere.awaitEnd),
    share: (request, work) =>
      Effect.map(flights.join(request.provider, request, work), ({ about: leader, led, value: verdict }) => ({
        verdict,
        leader,
        as: led ? "led" : isSame(leader, request) ? "same" : "other"
      })),
    registered: (request, use) =>
      Effect.acquireUseRelease(
        begin(request),
        (id) => Effect.scoped(Effect.andThen(Effect.forkScoped(elsewhere.keepSigning(request.provider, id)), use)),
        (id, exit) => elsewhere.end(request.provider, id, endingOf(exit))
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
      const { entries } = yield* elsewhere.read(provider)
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
