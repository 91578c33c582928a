/** Foresees the end of a token's quota from what is observed, says how sure it is, and keeps score of itself. */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import type { QuotaReport, TokenId, TokenKind } from "../domain/Token.ts"
import type { Outcome } from "../pool/tokenState.ts"
import * as Replicas from "../store/Replicas.ts"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"
import * as evidence from "./evidence.ts"
import { isShort, type Level, predict, type Prediction } from "./predict.ts"

export { type Level, levels, type Prediction } from "./predict.ts"

/** How one call ended. */
export interface Observation {
  readonly provider: string
  readonly kind: TokenKind
  readonly token: TokenId
  readonly outcome: Outcome
}

export interface PredictorScore {
  /** Predictions that could be compared with what happened. */
  readonly predictions: number
  /** Share that was right on whether the quota was at its end, 0 to 1; `undefined` before the first. */
  readonly accuracy: number | undefined
  /** Mean squared error of the predicted chances: 0 is perfect, 0.25 is guessing. */
  readonly brier: number | undefined
}

export class Predictor extends Context.Service<
  Predictor,
  {
    /** Adds an outcome to the evidence, after comparing it with what was predicted. Never waits; stored a moment later. */
    observe(observation: Observation): Effect.Effect<void>
    /** Takes the upstream's own word for what is left of a token. Never waits. */
    noteQuota(token: TokenId, report: QuotaReport): Effect.Effect<void>
    /**
     * What is left of the token, or without one how quota stands with the kind. Never waits. It knows nothing of which
     * tokens there are: that no token is held means EXHAUSTED is for the caller to say.
     */
    predict(subject: {
      readonly provider: string
      readonly kind: TokenKind
      readonly token?: TokenId | undefined
    }): Effect.Effect<Prediction>
    score(provider: string): Effect.Effect<PredictorScore>
  }
>()("weirgate/acquisition/Predictor") {
  static readonly layer: Layer.Layer<Predictor, StoreUnavailable, Store> = Layer.effect(
    Predictor,
    Effect.suspend(() => make)
  )
}

const kinds: Collection<evidence.KindEvidence> = { name: "predictor-kind", schema: evidence.KindEvidence }
const tokens: Collection<evidence.TokenEvidence> = { name: "predictor-token", schema: evidence.TokenEvidence }
/** Tokens that are remembered; beyond it the one seen longest ago goes. */
const maxTokens = 500

const make = Effect.gen(function* () {
  const byKind = yield* Replicas.make({ collection: kinds, fold: evidence.observeKind })
  const byToken = yield* Replicas.make({ collection: tokens, fold: evidence.observeToken })

  const predictNow = (now: number, provider: string, kind: TokenKind, token: TokenId | undefined): Prediction => {
    const group = evidence.groupOf(provider, kind)
    const known = byKind.get(group) ?? evidence.noEvidence
    const living: Array<number> = []
    for (const [id, { group: of, exhausted, served }] of byToken.all()) {
      if (of === group && exhausted === undefined && id !== token) living.push(served)
    }
    const subject = token === undefined ? undefined : (byToken.get(token) ?? evidence.unseen)
    return predict(now, known, { kind, ended: known.lives, living }, subject)
  }

  const makeRoom = (now: number) => {
    const all = byToken.all()
    if (all.size < maxTokens) return
    let oldest: string | undefined
    let seenAt = Number.POSITIVE_INFINITY
    for (const [id, token] of all) {
      if (token.seenAt < seenAt) [oldest, seenAt] = [id, token.seenAt]
    }
    if (oldest !== undefined) byToken.record(oldest, now, { _tag: "Forgotten" })
  }

  return Predictor.of({
    observe: Effect.fnUntraced(function* ({ provider, kind, token, outcome }) {
      const result = evidence.resultOf(outcome)
      if (result === "nothing") return
      const now = yield* Clock.currentTimeMillis
      const group = evidence.groupOf(provider, kind)
      const known = byToken.get(token)
      const { level, confidence, chance } = predictNow(now, provider, kind, token)
      const prediction = confidence > 0 ? { chance, short: isShort(level) } : undefined
      byKind.record(group, now, { outcome, life: evidence.lifeEnded(known, outcome), prediction })
      if (known === undefined) makeRoom(now)
      byToken.record(token, now, { _tag: "Observed", group, outcome })
      yield* Metric.update(observations[result], 1)
    }),
    noteQuota: Effect.fnUntraced(function* (token, { unlimited, limit, used, resetAt }) {
      const now = yield* Clock.currentTimeMillis
      if (byToken.get(token) === undefined) makeRoom(now)
      byToken.record(token, now, { _tag: "QuotaTold", unlimited, limit, remaining: limit - used, resetAt })
    }),
    predict: Effect.fn("Predictor.predict")(function* ({ provider, kind, token }) {
      const prediction = predictNow(yield* Clock.currentTimeMillis, provider, kind, token)
      yield* Metric.update(predictions[prediction.level], 1)
      return prediction
    }),
    score: (provider) =>
      Effect.sync(() => {
        const sum = { predictions: 0, correct: 0, squaredError: 0 }
        for (const [group, { score }] of byKind.all()) {
          if (!group.startsWith(`${provider}/`)) continue
          sum.predictions += score.predictions
          sum.correct += score.correct
          sum.squaredError += score.squaredError
        }
        const n = sum.predictions
        return {
          predictions: n,
          accuracy: n === 0 ? undefined : sum.correct / n,
          brier: n === 0 ? undefined : sum.squaredError / n
        }
      })
  })
})

const predictionsTotal = Metric.counter("weirgate_predictions_total", {
  description: "Predictions of the quota that were asked for, by level",
  incremental: true
})
const predictions: Readonly<Record<Level, typeof predictionsTotal>> = {
  HIGH: Metric.withAttributes(predictionsTotal, { level: "HIGH" }),
  MEDIUM: Metric.withAttributes(predictionsTotal, { level: "MEDIUM" }),
  LOW: Metric.withAttributes(predictionsTotal, { level: "LOW" }),
  CRITICAL: Metric.withAttributes(predictionsTotal, { level: "CRITICAL" }),
  EXHAUSTED: Metric.withAttributes(predictionsTotal, { level: "EXHAUSTED" })
}

const observationsTotal = Metric.counter("weirgate_predictor_observations_total", {
  description: "Outcomes of calls that the predictor has learned from",
  incremental: true
})
const observations = {
  served: Metric.withAttributes(observationsTotal, { result: "served" }),
  error: Metric.withAttributes(observationsTotal, { result: "error" }),
  quota: Metric.withAttributes(observationsTotal, { result: "quota" })
}
