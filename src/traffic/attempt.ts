/** One upstream call on one slot with one token, and how its end is told to all whom it concerns. */
import { Cause, Clock, Duration, Effect, Exit, Result, Scope } from "effect"
import type { Redacted } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import { type CallFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Provider } from "../domain/Provider.ts"
import { withoutWords } from "../domain/ownWords.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import type { HeldLease, Restore } from "../pool/TokenPool.ts"
import type {
  Answer,
  Endpoint,
  ModelCall,
  ModelClient,
  RequestBody,
  StreamedAnswer,
  WholeAnswer
} from "../upstream/ModelClient.ts"
import { asStreamed } from "../upstream/openai/asStreamed.ts"
import * as AttemptMetrics from "./attemptMetrics.ts"
import type { HeldSlot, SlotOutcome } from "./Governor.ts"
import * as Journey from "./journey.ts"
import type { Failed } from "./plan.ts"
import { QuotaWatch } from "./QuotaWatch.ts"
import { tracedText } from "./tracedText.ts"

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
  readonly restore: Restore
}

/** What the attempt is made with. */
export interface Held {
  readonly slot: HeldSlot
  readonly lease: HeldLease
  readonly provider: Provider
  readonly client: ModelClient
  /** The request's. */
  readonly parent: Scope.Scope
  /** Holds the lease, and what the call needs beside it; where there is none, the lease is given back by hand. */
  readonly scope: Scope.Closeable | undefined
}

/** What a call without a fiber is made with. */
export interface Direct extends Pick<Held, "lease" | "provider" | "slot"> {
  readonly begin: NonNullable<ModelClient["begin"]>
}

const giveBack = ({ lease, scope, slot }: Held): Effect.Effect<void> =>
  Effect.suspend(() => {
    slot.release()
    return scope === undefined ? lease.giveBack : Scope.close(scope, Exit.void)
  })

export type Attempted =
  | { readonly _tag: "Answered"; readonly answer: Answer }
  | { readonly _tag: "Failed"; readonly failed: Failed }

export const make = Effect.gen(function* () {
  const predictor = yield* Predictor
  const quotaWatch = yield* QuotaWatch
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const metrics = AttemptMetrics.make(context)
  const counted = { succeeded: 0, failed: 0, throttled: 0, latencyMs: 0 }

  /** Only Warp's tokens have a quota that is watched and predicted. */
  const isPredicted = ({ kind }: Provider) => kind === "warp"

  const failed = Effect.fnUntraced(function* (
    job: Job,
    { lease, provider, slot }: Pick<Held, "lease" | "provider" | "slot">,
    access: Redacted.Redacted,
    failure: CallFailure
  ) {
    counted.failed += 1
    if (failure._tag === "Throttled" || failure._tag === "QuotaExhausted") counted.throttled += 1
    const at = now()
    job.journey.failure = failure
    Journey.note(job.journey, at - job.startedAt, "failed", {
      of: slot.target,
      ...Journey.tokenOf(lease.id),
      detail: tracedText(failure)
    })
    const took = at - job.calledAt
    slot.settle(slotOutcomeOf(failure, took < telling && took >= shareOf(job)))
    const outcome = outcomeOf(withoutWords(failure))
    yield* lease.report(outcome)
    metrics.ended(provider.name, failure._tag)
    if (!isPredicted(provider)) return
    yield* predictor.observe({ provider: provider.name, kind: lease.kind, token: lease.id, outcome })
    if (failure._tag === "QuotaExhausted") yield* quotaWatch.refused({ id: lease.id, access })
  })

  const succeeded = (
    { lease, provider, slot }: Held,
    access: Redacted.Redacted,
    answer: Answer,
    latencyMs: number,
    reckoned?: number
  ): Effect.Effect<void> => {
    counted.succeeded += 1
    counted.latencyMs += latencyMs
    const usage = answer._tag === "Whole" ? answer.usage : answer.usage()
    slot.settle({ _tag: "Served", tokens: usage === undefined ? reckoned : usage.prompt + usage.completion })
    const outcome = { _tag: "Succeeded", latencyMs } as const
    metrics.ended(provider.name, "served")
    const reported = lease.report(outcome)
    if (!isPredicted(provider)) return reported
    return reported.pipe(
      Effect.andThen(predictor.observe({ provider: provider.name, kind: lease.kind, token: lease.id, outcome })),
      Effect.andThen(quotaWatch.served({ id: lease.id, access }))
    )
  }

  /** Each further piece; at the end or at a failure everything is told and given back. */
  const pieces = (
    job: Job,
    held: Held,
    access: Redacted.Redacted,
    answer: StreamedAnswer,
    latencyMs: number,
    back: Effect.Effect<void>
  ): StreamedAnswer => {
    let bytes = answer.first.length
    const end = (cause: Cause.Cause<CallFailure | Cause.Done>) => {
      const failure = cause.reasons.find(Cause.isFailReason)?.error
      if (failure === undefined) return Effect.void
      const isDone = Cause.isDone(failure)
      const reckoned = Math.ceil(job.request.body.bytes.length / bytesPerToken + bytes / bytesPerEvent)
      const told = isDone ? succeeded(held, access, answer, latencyMs, reckoned) : failed(job, held, access, failure)
      return Effect.uninterruptible(Effect.andThen(told, back))
    }
    const next = Effect.map(answer.next, (piece) => {
      bytes += piece.length
      return piece
    })
    return { ...answer, next: Effect.onError(next, end) }
  }

  const call = (job: Job, held: Held, access: Redacted.Redacted, sent: () => void) =>
    Effect.suspend(() => {
      const { client, parent, provider, scope } = held
      job.journey.attempts++
      const answering = Scope.provide(client.call(callOf(job, held, access, sent)), scope ?? parent)
      return job.request.stream ? Effect.flatMap(answering, (answer) => asWanted(job, provider, answer)) : answering
    })

  /** A secret that is not accepted is renewed once, where that can be done. */
  const callRenewing = (job: Job, held: Held, sent: () => void, renewed: (access: Redacted.Redacted) => void) =>
    Effect.catchTag(call(job, held, held.lease.access, sent), "AccessRejected", (rejected) =>
      held.lease.renew.pipe(
        Effect.mapError(() => rejected),
        Effect.flatMap((access) => {
          renewed(access)
          return call(job, held, access, sent)
        })
      )
    )

  /** To be made where nothing interrupts; gives back what it holds, but for an answer that is streamed. */
  const attempt = Effect.fnUntraced(function* (job: Job, held: Held) {
    const { lease, slot } = held
    const { journey } = job
    journey.token = lease.id
    const isExplained = journey.steps !== undefined
    const since = () => now() - job.startedAt
    if (isExplained) Journey.note(journey, since(), "token", { of: slot.target, ...Journey.tokenOf(lease.id) })
    let { access } = lease
    let hasLeft = false
    const calledAt = now()
    job.calledAt = calledAt
    const sent = () => {
      if (hasLeft) return
      hasLeft = true
      slot.sent()
      if (isExplained) Journey.note(journey, since(), "sent", { of: slot.target })
    }
    const called = callRenewing(job, held, sent, (renewed) => {
      access = renewed
      Journey.note(journey, since(), "renewed", { ...Journey.tokenOf(lease.id) })
    })
    const answered = yield* Effect.exit(job.restore(called))
    const latencyMs = now() - calledAt
    if (answered._tag === "Failure") {
      const found = Cause.findError(answered.cause)
      if (Result.isSuccess(found)) yield* failed(job, held, access, found.success)
      yield* giveBack(held)
      if (Result.isFailure(found)) return yield* Effect.failCause(found.failure)
      const failure = found.success
      const gone = { target: slot.target, token: lease.id, failure, sent: hasLeft }
      return { _tag: "Failed", failed: gone } satisfies Attempted
    }
    metrics.firstEvent(latencyMs)
    if (isExplained) Journey.note(journey, since(), "answered", { of: slot.target, took: latencyMs })
    const answer = answered.value
    if (answer._tag === "Whole") {
      yield* succeeded(held, access, answer, latencyMs)
      yield* giveBack(held)
      return { _tag: "Answered", answer } satisfies Attempted
    }
    slot.answering()
    const back = once(giveBack(held))
    yield* Scope.addFinalizer(held.parent, back)
    return { _tag: "Answered", answer: pieces(job, held, access, answer, latencyMs, back) } satisfies Attempted
  })

  /** A whole answer has come, and there was no fiber for it: all is told and given back at once, or nearly. */
  const endedWell = ({ lease, provider, slot }: Direct, { usage }: WholeAnswer, latencyMs: number): void => {
    counted.succeeded += 1
    counted.latencyMs += latencyMs
    metrics.firstEvent(latencyMs)
    metrics.ended(provider.name, "served")
    slot.settle({ _tag: "Served", tokens: usage === undefined ? undefined : usage.prompt + usage.completion })
    slot.release()
    if (lease.endedWell(latencyMs)) return
    fork(Effect.andThen(lease.report({ _tag: "Succeeded", latencyMs }), lease.giveBack))
  }

  /**
   * Makes the call without a fiber, when its client can: for a whole answer, over what is taken already. Tells once, and not before
   * it returns; what it returns gives the call up, and everything back.
   */
  const begin = (
    job: Job,
    direct: Direct,
    told: (gone: Attempted | Effect.Effect<Attempted>) => void
  ): (() => void) => {
    const { lease, slot } = direct
    const { journey } = job
    journey.token = lease.id
    journey.attempts++
    const calledAt = now()
    job.calledAt = calledAt
    let isOver = false
    let hasLeft = false
    const sent = () => {
      hasLeft = true
      slot.sent()
    }
    const leave = direct.begin(callOf(job, direct, lease.access, sent), (exit) => {
      if (isOver) return
      isOver = true
      if (Exit.isSuccess(exit) && exit.value._tag === "Whole") {
        endedWell(direct, exit.value, now() - calledAt)
        return told({ _tag: "Answered", answer: exit.value })
      }
      const found = Exit.isSuccess(exit) ? undefined : Cause.findError(exit.cause)
      const failure = found !== undefined && Result.isSuccess(found) ? found.success : notWhole(direct.provider)
      const gone = { target: slot.target, token: lease.id, failure, sent: hasLeft }
      told(
        failed(job, direct, lease.access, failure).pipe(
          Effect.andThen(Effect.sync(() => slot.release())),
          Effect.andThen(lease.giveBack),
          Effect.as({ _tag: "Failed", failed: gone } satisfies Attempted)
        )
      )
    })
    return () => {
      if (isOver) return
      isOver = true
      leave()
      slot.release()
      fork(lease.giveBack)
    }
  }

  const statistics = Effect.sync(() => ({
    succeeded: counted.succeeded,
    failed: counted.failed,
    throttled: counted.throttled,
    meanFirstEventMs: counted.succeeded === 0 ? 0 : counted.latencyMs / counted.succeeded
  }))

  return { attempt, begin, statistics }
})

const notWhole = ({ name }: Provider) =>
  new UpstreamUnavailable({ provider: name, reason: "malformed", detail: "it is no whole answer" })

const callOf = (
  job: Job,
  { lease, provider, slot }: Pick<Held, "lease" | "provider" | "slot">,
  access: Redacted.Redacted,
  sent: () => void
): ModelCall => ({
  endpoint: job.request.endpoint,
  body: job.request.body,
  model: slot.target.model,
  publicModel: job.request.model,
  stream: job.request.stream,
  token: { id: lease.id, access },
  timeouts: timeoutsOf(provider, job),
  deadline: job.deadline,
  sent
})

/** The client wants a stream, whatever this upstream can do. */
const asWanted = ({ request }: Job, { name }: Provider, answer: Answer) => {
  if (answer._tag === "Streamed") return Effect.succeed(answer)
  const includeUsage = wantsUsage(request.body)
  const streamed = asStreamed(request.endpoint, answer, { includeUsage, provider: name })
  return streamed === undefined
    ? Effect.fail(new UpstreamUnavailable({ provider: name, reason: "malformed", detail: "it is no stream" }))
    : Effect.succeed(streamed)
}

/** The same, but done only the first time. */
const once = (effect: Effect.Effect<void>): Effect.Effect<void> => {
  let isDone = false
  return Effect.suspend(() => {
    if (isDone) return Effect.void
    isDone = true
    return effect
  })
}

const wantsUsage = ({ json }: RequestBody): boolean => {
  const options = json["stream_options"]
  return typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true
}

/** A call that our own deadline ended sooner than this says nothing of its target. */
const telling = 5_000

/** Of a target that says nothing, half the time that is left is enough to know, if there is another. */
const shareOf = ({ calledAt, deadline, hasAnother }: Job): number =>
  hasAnother ? Math.max(1, (deadline - calledAt) / 2) : deadline - calledAt

/** As a rule of thumb, where the upstream has not counted: of a question, and of an answer whose every event is a token. */
const bytesPerToken = 4
const bytesPerEvent = 180

const timeoutsOf = ({ timeouts }: Provider, job: Job) => {
  if (!job.hasAnother) return timeouts
  const half = Duration.millis(shareOf(job))
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
