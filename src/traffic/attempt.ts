/** One upstream call on one slot with one token, and how its end is told to all whom it concerns. */
import { Cause, Clock, Duration, Effect, Exit, Metric, Scope } from "effect"
import type { Redacted } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import { type CallFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Provider } from "../domain/Provider.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import type { Lease } from "../pool/TokenPool.ts"
import type { Answer, Endpoint, ModelClient, RequestBody, StreamedAnswer } from "../upstream/ModelClient.ts"
import { asStreamed } from "../upstream/openai/asStreamed.ts"
import type { Slot, SlotOutcome } from "./Governor.ts"
import * as Journey from "./journey.ts"
import type { Failed } from "./plan.ts"
import { QuotaWatch } from "./QuotaWatch.ts"

/** What all attempts of a request have in common. */
export interface Job {
  readonly request: {
    readonly endpoint: Endpoint
    readonly body: RequestBody
    readonly model: string
    readonly stream: boolean
  }
  readonly journey: Journey.Journey
  readonly startedAt: number
  /** When its last call began. */
  calledAt: number
  /** Epoch milliseconds at which the whole request is given up. */
  readonly deadline: number
  /** Whether another target is left: then a silent one does not get all the time there is. */
  readonly hasAnother: boolean
  /** Told once an answer that was streamed has ended, well or not. */
  readonly ended: (outcome: string) => Effect.Effect<void>
}

/** What the attempt is made with; closing the scope gives all of it back. */
export interface Held {
  readonly slot: Slot
  readonly lease: Lease
  readonly provider: Provider
  readonly client: ModelClient
  readonly scope: Scope.Closeable
}

export type Attempted =
  | { readonly _tag: "Answered"; readonly answer: Answer }
  | { readonly _tag: "Failed"; readonly failed: Failed }

export const make = Effect.gen(function* () {
  const predictor = yield* Predictor
  const quotaWatch = yield* QuotaWatch
  const counted = { succeeded: 0, failed: 0, latencyMs: 0 }

  /** Only Warp's tokens have a quota that is watched and predicted. */
  const isPredicted = ({ kind }: Provider) => kind === "warp"

  const failed = Effect.fnUntraced(function* (
    job: Job,
    { lease, provider, slot }: Held,
    access: Redacted.Redacted,
    failure: CallFailure
  ) {
    counted.failed += 1
    const now = yield* Clock.currentTimeMillis
    Journey.note(job.journey, now - job.startedAt, "failed", {
      of: slot.target,
      ...Journey.tokenOf(lease.id),
      detail: failure.message
    })
    slot.settle(slotOutcomeOf(failure, now >= job.deadline && now - job.calledAt < telling))
    const outcome = outcomeOf(failure)
    yield* lease.report(outcome)
    yield* Metric.update(countersOf(provider.name).failed(failure._tag), 1)
    if (!isPredicted(provider)) return
    yield* predictor.observe({ provider: provider.name, kind: lease.kind, token: lease.id, outcome })
    if (failure._tag === "QuotaExhausted") yield* quotaWatch.refused({ id: lease.id, access })
  })

  const succeeded = Effect.fnUntraced(function* (
    { lease, provider, slot }: Held,
    access: Redacted.Redacted,
    answer: Answer,
    latencyMs: number,
    reckoned?: number
  ) {
    counted.succeeded += 1
    counted.latencyMs += latencyMs
    const usage = answer._tag === "Whole" ? answer.usage : answer.usage()
    slot.settle({ _tag: "Served", tokens: usage === undefined ? reckoned : usage.prompt + usage.completion })
    const outcome = { _tag: "Succeeded", latencyMs } as const
    yield* lease.report(outcome)
    yield* Metric.update(countersOf(provider.name).served, 1)
    if (!isPredicted(provider)) return
    yield* predictor.observe({ provider: provider.name, kind: lease.kind, token: lease.id, outcome })
    yield* quotaWatch.served({ id: lease.id, access })
  })

  /** Each further piece; at the end or at a failure everything is told and given back. */
  const pieces = (
    job: Job,
    held: Held,
    access: Redacted.Redacted,
    answer: StreamedAnswer,
    latencyMs: number
  ): StreamedAnswer => {
    let bytes = answer.first.length
    const end = (cause: Cause.Cause<CallFailure | Cause.Done>) => {
      const failure = cause.reasons.find(Cause.isFailReason)?.error
      if (failure === undefined) return Effect.void
      const isDone = Cause.isDone(failure)
      const reckoned = Math.ceil(job.request.body.bytes.length / bytesPerToken + bytes / bytesPerEvent)
      const told = isDone ? succeeded(held, access, answer, latencyMs, reckoned) : failed(job, held, access, failure)
      return told.pipe(
        Effect.andThen(Scope.close(held.scope, Exit.void)),
        Effect.andThen(job.ended(isDone ? "answered" : failure.message)),
        Effect.uninterruptible
      )
    }
    const next = Effect.map(answer.next, (piece) => {
      bytes += piece.length
      return piece
    })
    return { ...answer, next: Effect.onError(next, end) }
  }

  const attempt = Effect.fnUntraced(function* (job: Job, held: Held) {
    const { client, lease, provider, slot } = held
    const { journey, request } = job
    const clock = yield* Clock.Clock
    const since = () => clock.currentTimeMillisUnsafe() - job.startedAt
    journey.token = lease.id
    Journey.note(journey, since(), "token", { of: slot.target, ...Journey.tokenOf(lease.id) })
    let hasLeft = false
    const sent = () => {
      if (hasLeft) return
      hasLeft = true
      slot.sent()
      Journey.note(journey, since(), "sent", { of: slot.target })
    }
    const call = (access: Redacted.Redacted) =>
      Effect.suspend(() => {
        journey.attempts++
        const answering = client.call({
          endpoint: request.endpoint,
          body: request.body,
          model: slot.target.model,
          publicModel: request.model,
          stream: request.stream,
          token: { id: lease.id, access },
          timeouts: timeoutsOf(provider, job),
          deadline: job.deadline,
          sent
        })
        return request.stream ? Effect.flatMap(answering, asWanted) : answering
      })

    /** The client wants a stream, whatever this upstream can do. */
    const asWanted = (answer: Answer) => {
      if (answer._tag === "Streamed") return Effect.succeed(answer)
      const includeUsage = wantsUsage(request.body)
      const streamed = asStreamed(request.endpoint, answer, { includeUsage, provider: provider.name })
      return streamed === undefined
        ? Effect.fail(
            new UpstreamUnavailable({ provider: provider.name, reason: "malformed", detail: "it is no stream" })
          )
        : Effect.succeed(streamed)
    }

    let { access } = lease
    const calledAt = clock.currentTimeMillisUnsafe()
    job.calledAt = calledAt
    const answered = yield* call(access).pipe(
      Effect.catchTag("AccessRejected", (rejected) =>
        lease.renew.pipe(
          Effect.mapError(() => rejected),
          Effect.tap((renewed) => {
            access = renewed
            Journey.note(journey, since(), "renewed", { ...Journey.tokenOf(lease.id) })
            return Effect.void
          }),
          Effect.flatMap(call)
        )
      ),
      Effect.result
    )
    if (answered._tag === "Failure") {
      const { failure } = answered
      yield* failed(job, held, access, failure)
      return {
        _tag: "Failed",
        failed: { target: slot.target, token: lease.id, failure, sent: hasLeft }
      } satisfies Attempted
    }
    const latencyMs = clock.currentTimeMillisUnsafe() - calledAt
    yield* Metric.update(firstEvent, latencyMs)
    Journey.note(journey, since(), "answered", { of: slot.target, took: latencyMs })
    const answer = answered.success
    if (answer._tag === "Whole") {
      yield* succeeded(held, access, answer, latencyMs)
      yield* Scope.close(held.scope, Exit.void)
      return { _tag: "Answered", answer } satisfies Attempted
    }
    slot.answering()
    // Written over by how the answer ends, if it does.
    if (journey.steps !== undefined) yield* Scope.addFinalizer(held.scope, job.ended("the client left"))
    return { _tag: "Answered", answer: pieces(job, held, access, answer, latencyMs) } satisfies Attempted
  })

  const statistics = Effect.sync(() => ({
    succeeded: counted.succeeded,
    failed: counted.failed,
    meanFirstEventMs: counted.succeeded === 0 ? 0 : counted.latencyMs / counted.succeeded
  }))

  return { attempt, statistics }
})

const wantsUsage = ({ json }: RequestBody): boolean => {
  const options = json["stream_options"]
  return typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true
}

/** A call that our own deadline ended sooner than this says nothing of its target. */
const telling = 5_000

/** As a rule of thumb, where the upstream has not counted: of a question, and of an answer whose every event is a token. */
const bytesPerToken = 4
const bytesPerEvent = 180

/** Of a target that says nothing, half the time that is left is enough to know, if there is another. */
const timeoutsOf = ({ timeouts }: Provider, { calledAt, deadline, hasAnother }: Job) => {
  if (!hasAnother) return timeouts
  const half = Duration.millis(Math.max(1, (deadline - calledAt) / 2))
  return {
    ...timeouts,
    headers: Duration.min(timeouts.headers, half),
    firstToken: Duration.min(timeouts.firstToken, half)
  }
}

/** What a failure says of the target's health. One that came of our own deadline says nothing. */
const slotOutcomeOf = (failure: CallFailure, isOurDeadline: boolean): SlotOutcome => {
  switch (failure._tag) {
    case "UpstreamUnavailable":
      return failure.reason === "timeout" && isOurDeadline
        ? { _tag: "Neutral" }
        : { _tag: "Failed", retryAfter: failure.retryAfter }
    case "Throttled":
      // The wait that was stated is the token's: a sibling may go on at once, and without one the provider is held.
      return { _tag: "Throttled", retryAfter: undefined }
    default:
      return { _tag: "Neutral" }
  }
}

interface Counters {
  readonly served: Metric.Counter<number>
  readonly failed: (tag: CallFailure["_tag"]) => Metric.Counter<number>
}

const calls = Metric.counter("weirgate_attempts_total", {
  description: "Upstream calls of model requests, by provider and by how they ended",
  incremental: true
})
const firstEvent = Metric.histogram("weirgate_first_event_ms", {
  description: "Time until a model call has sent its first event",
  boundaries: [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
})

/** One set for each provider that was ever configured. */
const counters = new Map<string, Counters>()

const countersOf = (provider: string): Counters => {
  const known = counters.get(provider)
  if (known !== undefined) return known
  const failures = new Map<string, Metric.Counter<number>>()
  const made: Counters = {
    served: Metric.withAttributes(calls, { provider, outcome: "served" }),
    failed: (outcome) => {
      const counter = failures.get(outcome) ?? Metric.withAttributes(calls, { provider, outcome })
      failures.set(outcome, counter)
      return counter
    }
  }
  counters.set(provider, made)
  return made
}
