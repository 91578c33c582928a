/** Tells of each decision: in the journal, in the log and as a metric. */
import { Clock, Duration, Effect, Metric, Semaphore } from "effect"
import { type Journal, Store } from "../store/Store.ts"
import { type AcquisitionRequest, Decision, type Step, type Verdict } from "./decision.ts"
import { normalise } from "./dedupWindow.ts"

export const journal: Journal<Decision> = { name: "acquisition-decision", schema: Decision, keep: 500 }

/** Longest text of a caller or a reason that is kept. */
const maxText = 300
/** A denial may reach the journal this much later, so that a flood of them does not become a flood of writes. */
const writeAfter = Duration.millis(100)
/** Most denials that wait to be written. */
const maxWaiting = 500

export const make = Effect.gen(function* () {
  const store = yield* Store
  const scope = yield* Effect.scope
  const writing = yield* Semaphore.make(1)
  let waiting: ReadonlyArray<Decision> = []

  const flush = Effect.suspend(() => {
    const entries = waiting
    waiting = []
    return entries.length === 0 ? Effect.void : store.append(journal, entries)
  }).pipe(
    // A journal that cannot be written changes no decision.
    Effect.catch((error) => Effect.logWarning(`decisions were not kept: ${error.message}`)),
    Effect.annotateLogs({ service: "Acquisition" }),
    writing.withPermit
  )
  yield* Effect.addFinalizer(() => flush)

  const write = (decision: Decision) =>
    Effect.suspend(() => {
      waiting = [...waiting, decision]
      if (decision.answer !== "denied" || waiting.length >= maxWaiting) return flush
      return waiting.length > 1 ? Effect.void : Effect.forkIn(Effect.delay(flush, writeAfter), scope)
    })

  /** Tells of it and answers with the verdict it was given. */
  const keep = Effect.fnUntraced(
    function* (request: AcquisitionRequest, verdict: Verdict) {
      const { answer, inputs, reason, step } = verdict
      const retryAfterMs = verdict.answer === "token" ? undefined : verdict.retryAfterMs
      yield* Metric.update(decided[step][answer], 1)
      yield* Effect.logWithLevel(levelOf[answer])(`${answer}: ${reason}`)
      yield* write({
        at: yield* Clock.currentTimeMillis,
        provider: request.provider,
        caller: request.caller.slice(0, maxText),
        errorContext: normalise(request.errorContext),
        step,
        answer,
        reason: reason.slice(0, maxText),
        inputs,
        ...(verdict.answer === "token" && { token: verdict.token.id }),
        ...(retryAfterMs !== undefined && { retryAfterMs })
      })
      return verdict
    },
    (effect, { provider }, { step }) => Effect.annotateLogs(effect, { service: "Acquisition", provider, step })
  )

  return { keep, recent: (limit: number) => Effect.andThen(flush, store.recent(journal, limit)) }
})

const levelOf = { token: "Info", denied: "Debug", failed: "Warn" } as const

const decisionsTotal = Metric.counter("weirgate_acquisition_decisions_total", {
  description: "Requests for a token, by the step that decided and its answer",
  incremental: true
})
const countersOf = (step: Step) => ({
  token: Metric.withAttributes(decisionsTotal, { step, answer: "token" }),
  denied: Metric.withAttributes(decisionsTotal, { step, answer: "denied" }),
  failed: Metric.withAttributes(decisionsTotal, { step, answer: "failed" })
})
const decided: Readonly<Record<Step, ReturnType<typeof countersOf>>> = {
  dedup: countersOf("dedup"),
  cache: countersOf("cache"),
  in_flight: countersOf("in_flight"),
  policy: countersOf("policy"),
  rate_limiter: countersOf("rate_limiter"),
  predictor: countersOf("predictor"),
  upstream: countersOf("upstream")
}
