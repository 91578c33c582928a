/** One upstream call without a fiber, for a whole answer, over a slot and a token that are taken already. */
import { Cause, Clock, Effect, Exit, Result } from "effect"
import type { ModelClient } from "../upstream/ModelClient.ts"
import type { Attempted } from "./attempt.ts"
import type { CallEnds } from "./callEnds.ts"
import type { Job } from "./job.ts"
import { type Asked, callOf } from "./modelCall.ts"
import { notWhole } from "./wantedAnswer.ts"

/** What it is made with. */
export interface Direct extends Asked {
  readonly begin: NonNullable<ModelClient["begin"]>
}

export const make = Effect.fnUntraced(function* ({ endedWell, failed }: CallEnds) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const fork = Effect.runForkWith(yield* Effect.context<never>())

  /** Tells once, and not before it returns; what it returns gives the call up, and everything back. */
  return (job: Job, direct: Direct, told: (gone: Attempted | Effect.Effect<Attempted>) => void): (() => void) => {
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
})
