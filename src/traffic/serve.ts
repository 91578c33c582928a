/** Serves a request round after round, with another target or token each time, as long as one is left that may mend what broke. */
import { Clock, Effect, Random } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { Target } from "../domain/Provider.ts"
import { candidatesOf } from "./candidates.ts"
import { Catalog } from "./Catalog.ts"
import { DeadlineExceeded, ModelNotServed } from "./GatewayFailure.ts"
import { Governor } from "./Governor.ts"
import { type Job, untilOf } from "./job.ts"
import * as Journey from "./journey.ts"
import type { Shortage } from "./lend.ts"
import { ModelClients } from "./ModelClients.ts"
import { after, isWorthWaiting, planOf, readmit, repeated, setAside } from "./plan.ts"
import type { RetryBudget } from "./retryBudget.ts"
import type { Round } from "./round.ts"
import { isOfKey, toldInLine, toldOf, waitOf } from "./told.ts"
import { tracedText } from "./tracedText.ts"

/** Until a provider without a token is looked at again, in milliseconds. */
const lookAgain = 5_000

/** `mostAttempts` is how many upstream calls one request makes. */
export const make = Effect.fnUntraced(function* (go: Round, budget: RetryBudget, mostAttempts: number) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const catalog = yield* Catalog
  const governor = yield* Governor
  const clients = yield* ModelClients

  /** Before the same target is asked again. */
  const pause = Effect.fnUntraced(function* ({ journey, restore, startedAt }: Job) {
    const wait = yield* Random.nextIntBetween(250, 500)
    Journey.note(journey, now() - startedAt, "paused", { of: journey.target, took: wait })
    yield* restore(Effect.sleep(wait))
  })

  /** Goes on until it is answered, or nobody is left who could. `begun` is what has been begun of its first round. */
  return Effect.fnUntraced(function* (job: Job, targets: ReadonlyArray<Target>, begun?: Round) {
    const { journey } = job
    const scope = yield* Effect.scope
    let plan = planOf(targets, mostAttempts)
    let first = begun?.(job, plan, scope)
    // What the caller is told when it ends here: of a failure rather than of the circuit that opened because of it.
    let failure: CallFailure | undefined
    let shortage: Shortage | DeadlineExceeded | undefined
    while (true) {
      if (plan.targets.length === 0) {
        const at = now()
        const again = repeated(plan)
        if (again !== undefined && budget.mayRepeat(at)) {
          plan = again
          yield* pause(job)
          continue
        }
        const back = readmit(plan, untilOf(job, at))
        if (back === undefined || isOfKey(failure)) {
          return yield* toldOf(failure, shortage) ?? Effect.die("a request without a target")
        }
        // Looked at again every few seconds: a token may come back sooner, by a person's hand.
        yield* governor.hold(back.provider, Math.min(back.until, at + lookAgain))
        plan = back.plan
      }
      const gone = yield* first ?? go(job, plan, scope)
      first = undefined
      if (gone._tag === "Answered") return gone.answer
      if (gone._tag === "Refused") {
        const { refused } = gone
        if (journey.steps !== undefined) {
          Journey.note(journey, now() - job.startedAt, "no_slot", { detail: tracedText(refused) })
        }
        if (refused.reason === "unavailable" && plan.aside.length > 0) {
          plan = { ...plan, targets: [] }
          continue
        }
        return yield* toldInLine(failure, refused)
      }
      const at = now()
      if (gone._tag === "Short") {
        if (catalog.current() !== job.offer) {
          // Meanwhile another offer holds, and the token may have gone with the old one.
          job.offer = catalog.current()
          const targets = candidatesOf(job.request, job.offer, clients)
          if (targets instanceof ModelNotServed) return yield* targets
          plan = { ...planOf(targets, mostAttempts), attempts: plan.attempts }
          continue
        }
        shortage = gone.why
        Journey.note(journey, at - job.startedAt, "no_token", { detail: `${gone.provider}: ${tracedText(shortage)}` })
        const back = at + waitOf(shortage)
        if (isWorthWaiting(plan, gone.provider, back, untilOf(job, at))) {
          yield* governor.hold(gone.provider, Math.min(back, at + lookAgain))
        } else {
          plan = setAside(plan, gone.provider, back)
        }
        continue
      }
      failure = gone.failed.failure
      if (at >= job.deadline) return yield* new DeadlineExceeded({ timeout: job.timeout, detail: failure.message })
      const next = after(plan, gone.failed)
      if (next._tag === "GiveUp") return yield* failure
      if (next._tag === "Repeat") {
        if (!budget.mayRepeat(at)) return yield* failure
        yield* pause(job)
      }
      plan = next.plan
      yield* Effect.annotateLogs(Effect.logInfo(`moving on: ${tracedText(failure)}`), {
        service: "Gateway",
        request: job.request.id
      })
    }
  })
})
