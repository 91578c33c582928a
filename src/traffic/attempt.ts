/** One upstream call on one slot with one token, renewed where it is not accepted, and told of when it ends. */
import { Cause, Clock, Effect, Exit, Result, Scope } from "effect"
import type { Redacted } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { Answer, ModelClient, StreamedAnswer } from "../upstream/ModelClient.ts"
import type { CallEnds } from "./callEnds.ts"
import type { Job } from "./job.ts"
import * as Journey from "./journey.ts"
import { type Asked, callOf } from "./modelCall.ts"
import type { Failed } from "./plan.ts"
import { reckonSpent } from "./reckonTokens.ts"
import { asStream } from "./wantedAnswer.ts"

/** What the attempt is made with. */
export interface Held extends Asked {
  readonly client: ModelClient
  /** The request's. */
  readonly parent: Scope.Scope
  /** Holds the lease, and what the call needs beside it; where there is none, the lease is given back by hand. */
  readonly scope: Scope.Closeable | undefined
}

export type Attempted =
  | { readonly _tag: "Answered"; readonly answer: Answer }
  | { readonly _tag: "Failed"; readonly failed: Failed }

export const make = Effect.fnUntraced(function* ({ failed, firstEvent, succeeded }: CallEnds) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()

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
      const reckoned = reckonSpent(job.request.body, bytes)
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
      return job.request.stream
        ? Effect.flatMap(answering, (answer) => asStream(job.request, provider, answer))
        : answering
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
  return Effect.fnUntraced(function* (job: Job, held: Held) {
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
    firstEvent(latencyMs)
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
})

const giveBack = ({ lease, scope, slot }: Held): Effect.Effect<void> =>
  Effect.suspend(() => {
    slot.release()
    return scope === undefined ? lease.giveBack : Scope.close(scope, Exit.void)
  })

/** The same, but done only the first time. */
const once = (effect: Effect.Effect<void>): Effect.Effect<void> => {
  let isDone = false
  return Effect.suspend(() => {
    if (isDone) return Effect.void
    isDone = true
    return effect
  })
}
