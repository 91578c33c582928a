/** How the end of a call is told to all whom it concerns: slot, token, predictor, quota watch and figures. */
import { Clock, Effect } from "effect"
import type { Redacted } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import type { CallFailure } from "../domain/Failure.ts"
import type { Provider } from "../domain/Provider.ts"
import { withoutWords } from "../domain/ownWords.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import type { Answer, WholeAnswer } from "../upstream/ModelClient.ts"
import * as AttemptMetrics from "./attemptMetrics.ts"
import { type Job, shareOf } from "./job.ts"
import * as Journey from "./journey.ts"
import type { Asked } from "./modelCall.ts"
import { QuotaWatch } from "./QuotaWatch.ts"
import { slotOutcomeOf } from "./slotOutcome.ts"
import { tracedText } from "./tracedText.ts"

export type CallEnds = Effect.Success<typeof make>

export const make = Effect.gen(function* () {
  const predictor = yield* Predictor
  const quotaWatch = yield* QuotaWatch
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const metrics = AttemptMetrics.make(context)
  const counted = { succeeded: 0, failed: 0, throttled: 0, latencyMs: 0 }

  /** Only Warp's tokens have a quota that is watched and predicted. */
  const isPredicted = ({ kind }: Provider) => kind === "warp"

  const failed = Effect.fnUntraced(function* (
    job: Job,
    { lease, provider, slot }: Asked,
    access: Redacted.Redacted,
    failure: CallFailure
  ) {
    counted.failed += 1
    if (failure._tag === "Throttled" || failure._tag === "QuotaExhausted") counted.throttled += 1
    const at = clock.currentTimeMillisUnsafe()
    job.journey.failure = failure
    Journey.note(job.journey, at - job.startedAt, "failed", {
      of: slot.target,
      ...Journey.tokenOf(lease.id),
      detail: tracedText(failure)
    })
    slot.settle(slotOutcomeOf(failure, at - job.calledAt, shareOf(job)))
    const outcome = outcomeOf(withoutWords(failure))
    yield* lease.report(outcome)
    metrics.ended(provider.name, failure._tag)
    if (!isPredicted(provider)) return
    yield* predictor.observe({ provider: provider.name, kind: lease.kind, token: lease.id, outcome })
    if (failure._tag === "QuotaExhausted") yield* quotaWatch.refused({ id: lease.id, access })
  })

  const succeeded = (
    { lease, provider, slot }: Asked,
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

  /** A whole answer has come, and there was no fiber for it: all is told and given back at once, or nearly. */
  const endedWell = ({ lease, provider, slot }: Asked, { usage }: WholeAnswer, latencyMs: number): void => {
    counted.succeeded += 1
    counted.latencyMs += latencyMs
    metrics.firstEvent(latencyMs)
    metrics.ended(provider.name, "served")
    slot.settle({ _tag: "Served", tokens: usage === undefined ? undefined : usage.prompt + usage.completion })
    slot.release()
    if (lease.endedWell(latencyMs)) return
    fork(Effect.andThen(lease.report({ _tag: "Succeeded", latencyMs }), lease.giveBack))
  }

  const statistics = Effect.sync(() => ({
    succeeded: counted.succeeded,
    failed: counted.failed,
    throttled: counted.throttled,
    meanFirstEventMs: counted.succeeded === 0 ? 0 : counted.latencyMs / counted.succeeded
  }))

  return { failed, succeeded, endedWell, firstEvent: metrics.firstEvent, statistics }
})
