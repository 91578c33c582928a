/** Tells of each decision: in the journal, in the log and as a metric. */
import { Clock, Duration, Effect, Metric, Semaphore } from "effect"
import { fromZero } from "../domain/zero.ts"
import { type Journal, type PageQuery, Store } from "../store/Store.ts"
import { type AcquisitionRequest, Decision, type Step, type Verdict } from "./decision.ts"
import { normalise } from "./errorText.ts"
import { Folding, window } from "./folding.ts"

export const journal: Journal<Decision> = { name: "acquisition-decision", schema: Decision, keep: 10_000 }

/** Longest text of a caller or a reason that is kept. */
const maxText = 300
/** A denial may reach the journal this much later, so that a flood of them does not become a flood of writes. */
const writeAfter = Duration.millis(100)
const writeAgainAfter = Duration.seconds(5)
/** Most that wait to be written; beyond it, when the journal cannot be written, the oldest go. */
const maxWaiting = 500

export const make = Effect.gen(function* () {
  const store = yield* Store
  const scope = yield* Effect.scope
  const writing = yield* Semaphore.make(1)
  yield* fromZero(Object.values(decided).flatMap((answers) => Object.values(answers)))
  let waiting: ReadonlyArray<Decision> = []
  const folding = new Folding()
  /** Whether somebody will tell what is folded, later. */
  let isFolding = false
  /** Whether somebody will write what waits, later. */
  let isDue = false
  let isClosing = false

  const flushIn = (delay: Duration.Duration) =>
    Effect.suspend(() => {
      if (isDue || isClosing) return Effect.void
      isDue = true
      const flushed = Effect.suspend(() => {
        isDue = false
        return flush
      })
      return Effect.forkIn(Effect.delay(flushed, delay), scope)
    })
  // Uninterruptible: what has been taken off the waiting must be written, whoever leaves.
  const flush: Effect.Effect<void> = Effect.suspend(() => {
    const entries = waiting
    waiting = []
    return entries.length === 0 ? Effect.void : writeOrKeep(entries)
  }).pipe(Effect.annotateLogs({ service: "Acquisition" }), writing.withPermit, Effect.uninterruptible)
  const writeOrKeep = (entries: ReadonlyArray<Decision>) =>
    store.append(journal, entries).pipe(
      // A journal that cannot be written changes no decision.
      Effect.catch((error) => {
        waiting = [...entries, ...waiting].slice(-maxWaiting)
        return Effect.andThen(
          Effect.logWarning(`decisions are not kept yet: ${error.message}`),
          flushIn(writeAgainAfter)
        )
      })
    )
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      isClosing = true
      add(folding.end(now))
      return flush
    })
  )

  const add = (decisions: ReadonlyArray<Decision>) => {
    if (decisions.length > 0) waiting = [...waiting, ...decisions].slice(-maxWaiting)
  }

  const unfold: Effect.Effect<void> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    isFolding = false
    add(folding.over(now))
    return Effect.andThen(flush, unfoldLater)
  })
  const unfoldLater = Effect.suspend(() => {
    if (isFolding || isClosing || !folding.isWaiting) return Effect.void
    isFolding = true
    return Effect.forkIn(Effect.delay(unfold, Duration.millis(window)), scope)
  })

  const write = (decision: Decision) =>
    Effect.suspend(() => {
      add(isClosing ? [decision] : folding.put(decision))
      if (decision.answer !== "denied" || isClosing) return flush
      return Effect.andThen(waiting.length === 0 ? Effect.void : flushIn(writeAfter), unfoldLater)
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
    (effect, { provider }, { step }) =>
      Effect.uninterruptible(Effect.annotateLogs(effect, { service: "Acquisition", provider, step }))
  )

  return {
    keep,
    recent: (limit: number) => Effect.andThen(flush, store.recent(journal, limit)),
    page: (query: PageQuery<Decision>) => Effect.andThen(flush, store.page(journal, query))
  }
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
