/** Serves one model request: lends a token, spends it, and moves to the next when that is the remedy. */
import { Cause, Clock, Context, Duration, Effect, Exit, Layer, Metric, Schedule, Schema, Scope, Stream } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import { Acquisition, type AcquisitionDenied } from "../acquisition/Acquisition.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import type { ChatEvent, ChatRequest } from "../domain/Chat.ts"
import { type CallFailure, Throttled, UpstreamUnavailable } from "../domain/Failure.ts"
import type { TokenId } from "../domain/Token.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import { type Lease, type NoTokenUsable, TokenPool } from "../pool/TokenPool.ts"
import { StoreUnavailable } from "../store/Store.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { QuotaWatch } from "./QuotaWatch.ts"

/** No token can serve the request now and none may be acquired. Absent `retryAfter`: it needs a person. */
export class NoCapacity extends Schema.TaggedError<NoCapacity>()("NoCapacity", {
  provider: Schema.String,
  reason: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}) {
  override get message() {
    return `${this.provider} cannot serve now: ${this.reason}`
  }
}

export type CompletionFailure = CallFailure | NoCapacity | StoreUnavailable

/** An answer. A streamed one has begun: from here on a failure can only end it. A whole one has been read to its end. */
export interface Completion {
  readonly token: TokenId
  /** How many upstream calls it took. */
  readonly attempts: number
  readonly events: Stream.Stream<ChatEvent, CallFailure>
}

export interface CompletionStatistics {
  readonly succeeded: number
  readonly failed: number
  readonly meanFirstEventMs: number
}

export class Completions extends Context.Service<
  Completions,
  {
    /**
     * Waits until the first event of a streamed answer has come, or the whole of another, over as many tokens as it takes. The
     * lease and the upstream call
     * are held by the scope; closing it, or interruption in any phase, aborts the call and gives everything back.
     */
    complete(request: ChatRequest, caller: string): Effect.Effect<Completion, CompletionFailure, Scope.Scope>
    /** Calls of this process since its start. */
    readonly statistics: Effect.Effect<CompletionStatistics>
  }
>()("weirgate/traffic/Completions") {
  static readonly layer = Layer.effect(
    Completions,
    Effect.gen(function* () {
      const pool = yield* TokenPool
      const acquisition = yield* Acquisition
      const predictor = yield* Predictor
      const warp = yield* WarpClient
      const quotaWatch = yield* QuotaWatch
      const counted = { succeeded: 0, failed: 0, latencyMs: 0 }

      /** A token from the pool, or a new one when the pool has none and the seven steps allow it. */
      const leaseOrAcquire = (exclude: ReadonlySet<TokenId>, caller: string) => {
        const lease = pool.lease({ provider, exclude })
        const acquire = Effect.fnUntraced(function* (none: NoTokenUsable) {
          // More tokens do not help against a limit above them.
          if ((yield* pool.coolingUntil(provider)) !== undefined) {
            return yield* new Throttled({
              provider,
              signature: "provider",
              ...(none.retryAfter !== undefined && { retryAfter: none.retryAfter })
            })
          }
          if (none.awaitsRenewal === true) {
            const detail = "its token service does not renew our tokens"
            return yield* new UpstreamUnavailable({ provider, reason: "connection", detail })
          }
          const asked = yield* Effect.result(acquisition.request({ provider, errorContext: none.message, caller }))
          // Also after a denial: one that says that a token is usable ends in using it.
          return yield* Effect.catchTag(lease, "NoTokenUsable", (still) =>
            Effect.fail(asked._tag === "Failure" ? shortOf(still, asked.failure) : noCapacity(still, still.reason))
          )
        })
        return Effect.catchTag(lease, "NoTokenUsable", acquire)
      }

      /**
       * Sends it with one token and waits for the first event; for the whole answer, when the caller gets it in one piece:
       * until something has been sent, another token can still mend what breaks.
       */
      const open = Effect.fnUntraced(function* ({ request, count }: Job, lease: Lease, access: Lease["access"]) {
        count()
        const startedAt = yield* Clock.currentTimeMillis
        const stream = yield* warp.chat(request, { id: lease.id, access })
        const pull = yield* Stream.toPull(stream)
        const first = yield* pull.pipe(Effect.catchIf(Cause.isDone, () => Effect.fail(cut)))
        const latencyMs = (yield* Clock.currentTimeMillis) - startedAt
        yield* Metric.update(firstEvent, latencyMs)
        const rest = Stream.fromPull(Effect.succeed(pull))
        const events = Stream.concat(
          Stream.fromArray(first),
          request.stream === true ? rest : Stream.fromArray(yield* Stream.runCollect(rest))
        )
        return { events, latencyMs }
      })

      const settle = Effect.fnUntraced(function* (lease: Lease, access: Lease["access"], failure: CallFailure) {
        counted.failed += 1
        const outcome = outcomeOf(failure)
        yield* lease.report(outcome)
        yield* predictor.observe({ provider, kind: lease.kind, token: lease.id, outcome })
        if (failure._tag === "QuotaExhausted") yield* quotaWatch.refused({ id: lease.id, access })
      })

      const succeeded = Effect.fnUntraced(function* (lease: Lease, access: Lease["access"], latencyMs: number) {
        counted.succeeded += 1
        counted.latencyMs += latencyMs
        const outcome = { _tag: "Succeeded", latencyMs } as const
        yield* lease.report(outcome)
        yield* predictor.observe({ provider, kind: lease.kind, token: lease.id, outcome })
        yield* quotaWatch.served({ id: lease.id, access })
      })

      /** One token's try, with how it ends reported on it. */
      const attempt = Effect.fnUntraced(function* (job: Job, lease: Lease) {
        let { access } = lease
        const { events, latencyMs } = yield* open(job, lease, access).pipe(
          Effect.catchTag("AccessRejected", (rejected) =>
            lease.renew.pipe(
              Effect.mapError(() => rejected),
              Effect.tap((renewed) => Effect.sync(() => void (access = renewed))),
              Effect.flatMap((renewed) => open(job, lease, renewed))
            )
          ),
          Effect.tapError((failure) => settle(lease, access, failure))
        )
        return events.pipe(
          Stream.tap((event) => (event._tag === "Finished" ? succeeded(lease, access, latencyMs) : Effect.void)),
          Stream.tapError((failure) => settle(lease, access, failure))
        )
      })

      /** Goes over the tokens until one serves or the failure is not one that another token can mend. */
      const serve = Effect.fnUntraced(function* (job: Job) {
        const exclude = new Set<TokenId>()
        const parent = yield* Effect.scope
        while (true) {
          const scope = yield* Scope.fork(parent)
          const tried = exclude.size
          const served = yield* Effect.gen(function* () {
            const lease = yield* leaseOrAcquire(exclude, job.caller)
            exclude.add(lease.id)
            return { token: lease.id, events: yield* attempt(job, lease) }
          }).pipe(
            Scope.provide(scope),
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
            Effect.result
          )
          if (served._tag === "Success") return served.success
          const hasTried = exclude.size > tried
          if (!hasTried || !mendedByAnotherToken(served.failure) || exclude.size >= maxTokens) {
            return yield* served.failure
          }
          yield* Effect.logInfo(`moving to the next token: ${served.failure.message}`)
        }
      })

      return Completions.of({
        statistics: Effect.sync(() => ({
          succeeded: counted.succeeded,
          failed: counted.failed,
          meanFirstEventMs: counted.succeeded === 0 ? 0 : counted.latencyMs / counted.succeeded
        })),
        complete: Effect.fn("Completions.complete")(
          function* (request, caller) {
            let attempts = 0
            const served = yield* Effect.retry(serve({ request, caller, count: () => void attempts++ }), ($) =>
              $(patience).pipe(Schedule.while(({ input }) => input._tag === "UpstreamUnavailable"))
            )
            return { ...served, attempts }
          },
          Effect.tapError((failure) => Metric.update(Metric.withAttributes(refused, { reason: failure._tag }), 1)),
          Effect.annotateLogs({ service: "Completions" })
        )
      })
    })
  )
}

interface Job {
  readonly request: ChatRequest
  readonly caller: string
  /** Counts an upstream call. */
  readonly count: () => void
}

const provider = warpProvider

/** Pauses between attempts when the upstream itself is at fault: two more, about a quarter and half a second apart. */
export const patience = Schedule.exponential("250 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

/** The most tokens one request is tried with. */
const maxTokens = 10

const mendedByAnotherToken = (failure: CompletionFailure) =>
  failure._tag === "QuotaExhausted" ||
  failure._tag === "AccessRejected" ||
  failure._tag === "AccountBlocked" ||
  failure._tag === "Throttled"

const cut = new UpstreamUnavailable({ provider, reason: "cut", detail: "the answer ended before it began" })

/** Why a request that found no token got none: a store that is away says nothing of tokens. */
const shortOf = (none: NoTokenUsable, denied: AcquisitionDenied) =>
  denied.undecided === true
    ? new StoreUnavailable({ operation: "decide on an acquisition", detail: denied.reason })
    : noCapacity(none, denied.message, denied.retryAfter)

const noCapacity = (none: NoTokenUsable, reason: string, retryAfter?: Duration.Duration) => {
  const waits = [none.retryAfter, retryAfter].filter((wait) => wait !== undefined)
  return new NoCapacity({ provider, reason, ...(waits.length > 0 && { retryAfter: waits.reduce(Duration.min) }) })
}

const firstEvent = Metric.histogram("weirgate_first_event_ms", {
  description: "Time until a model call has sent its first event",
  boundaries: [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
})
const refused = Metric.counter("weirgate_completions_failed_total", {
  description: "Requests that ended without an answer, by reason",
  incremental: true
})
