/** Steps 4 to 6: is there a reason to ask for a token, does the budget allow it, and is the quota really at its end? */
import { Clock, Duration, Effect, Metric } from "effect"
import { fromZero } from "../domain/zero.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { type AcquisitionRequest, type Verdict } from "./decision.ts"
import { storeFailed } from "./storeFailed.ts"
import * as policy from "./policy.ts"
import type { Level } from "../domain/quotaLevel.ts"
import { isShort, type Prediction } from "./predict.ts"
import { Predictor } from "./Predictor.ts"
import { type LimiterStatistics, RateLimiter } from "./RateLimiter.ts"

/** Above this confidence a prediction that the quota lasts is believed. */
const believed = 0.7

export const make = Effect.fnUntraced(function* (providers: ReadonlyArray<string>) {
  const warp = yield* WarpClient
  const pool = yield* TokenPool
  const limiter = yield* RateLimiter
  const predictor = yield* Predictor
  yield* fromZero(Object.values(predictions))

  /** What the steps decide on: one read of the ledger, and what other processes have done to the pool. */
  const look = Effect.fnUntraced(function* ({ provider, errorContext }: AcquisitionRequest) {
    yield* Effect.mapError(pool.sync, storeFailed("policy"))
    const tokens = (yield* pool.list(provider)).map((view) => ({ ...view, held: stateOf(view) }))
    const budget = yield* Effect.mapError(limiter.statistics(provider), storeFailed("rate_limiter"))
    const facts: policy.Facts = {
      now: yield* Clock.currentTimeMillis,
      provider,
      minting: warp.minting && providers.includes(provider),
      error: errorContext,
      tokens: tokens.map(({ kind, createdAt, held }) => ({ kind, createdAt, state: held })),
      coolingUntil: yield* pool.coolingUntil(provider),
      creationRefusedUntil: budget.lastFailureType === "CreateUserRateLimited" ? budget.blockedUntil : undefined,
      lastAttemptAt: budget.lastAttemptAt
    }
    return { tokens, budget, facts }
  })

  /** Of the token that may yet serve, an anonymous one first; when there is none, nothing is left. */
  const foresee = (
    provider: string,
    tokens: ReadonlyArray<TokenView & { readonly held: policy.HeldToken["state"] }>
  ) => {
    const serving = tokens
      .filter(({ held }) => held === "usable" || held === "resting")
      .toSorted((a, b) => b.createdAt - a.createdAt)
    const subject = serving.find(({ kind }) => kind === "anonymous") ?? serving[0]
    return subject === undefined
      ? Effect.succeed(nothingLeft)
      : predictor
          .predict({ provider, kind: subject.kind, token: subject.id })
          .pipe(Effect.tap(({ level }) => Metric.update(predictions[level], 1)))
  }

  /** What speaks against asking the upstream, if anything does. */
  const against = Effect.fnUntraced(function* ({
    budget,
    facts,
    tokens
  }: Effect.Success<ReturnType<typeof look>>): Effect.fn.Return<Verdict | undefined> {
    const wait = Math.max(budget.nextAllowedAt - facts.now, 0)

    const pause = Duration.min(policy.defaults.pause, Duration.fromInputUnsafe(budget.limits.interval))
    const judgement = policy.judge(facts, { ...policy.defaults, pause })
    if (!judgement.allowed) {
      const { creationRefusedUntil, coolingUntil, lastAttemptAt, minting } = facts
      const inputs = {
        about: policy.subjectOf(facts.error),
        tokens: countsOf(facts.tokens),
        ...defined({ minting, coolingUntil, creationRefusedUntil, lastAttemptAt })
      }
      // The policy may let go earlier than the budget; a caller who is told to come back shall not come in vain.
      const after =
        judgement.retryAfterMs === undefined
          ? undefined
          : sooner(Math.max(judgement.retryAfterMs, wait), budget, facts.now)
      return { step: "policy", answer: "denied", reason: judgement.reason, retryAfterMs: after, inputs }
    }
    if (wait > 0) {
      const rule = budget.limitedBy
      const reason = `the ${rule} limit of the budget is reached`
      const retryAfterMs = sooner(wait, budget, facts.now)
      return { step: "rate_limiter", answer: "denied", reason, retryAfterMs, inputs: { rule } }
    }
    const { level, confidence, chance, reason } = yield* foresee(facts.provider, tokens)
    if (!isShort(level) && confidence > believed) {
      return {
        step: "predictor",
        answer: "denied",
        reason: `the quota is predicted to last (${level}): ${reason}`,
        inputs: { level, confidence, chance }
      }
    }
    return undefined
  })

  return { look, against }
})

/** An attempt that was left unfinished may give a token before the budget allows another. */
export const sooner = (wait: number, { finishableAt }: Pick<LimiterStatistics, "finishableAt">, now: number): number =>
  finishableAt === undefined ? wait : Math.min(wait, Math.max(finishableAt - now, 0))

const nothingLeft: Prediction = { level: "EXHAUSTED", confidence: 1, chance: 1, reason: "no token has any quota left" }

const stateOf = ({ usable, state }: TokenView): policy.HeldToken["state"] => {
  if (usable) return "usable"
  if (state._tag === "exhausted") return "exhausted"
  return state._tag === "dead" ? "gone" : "resting"
}

/** How many tokens there are, by kind and state. */
const countsOf = (tokens: ReadonlyArray<policy.HeldToken>) => {
  const counts: Record<string, number> = {}
  for (const { kind, state } of tokens) counts[`${kind} ${state}`] = (counts[`${kind} ${state}`] ?? 0) + 1
  return counts
}

/** JSON has no `undefined`. */
const defined = (facts: Readonly<Record<string, number | boolean | undefined>>) =>
  Object.fromEntries(Object.entries(facts).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))

const predictionsTotal = Metric.counter("weirgate_predictions_total", {
  description: "Predictions of the quota that a decision asked for, by level",
  incremental: true
})
const predictions: Readonly<Record<Level, typeof predictionsTotal>> = {
  HIGH: Metric.withAttributes(predictionsTotal, { level: "HIGH" }),
  MEDIUM: Metric.withAttributes(predictionsTotal, { level: "MEDIUM" }),
  LOW: Metric.withAttributes(predictionsTotal, { level: "LOW" }),
  CRITICAL: Metric.withAttributes(predictionsTotal, { level: "CRITICAL" }),
  EXHAUSTED: Metric.withAttributes(predictionsTotal, { level: "EXHAUSTED" })
}
