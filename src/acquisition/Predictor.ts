/** Foresees the end of a token's quota from what is observed, says how sure it is, and keeps score of itself. */
import { Clock, Context, Duration, Effect, Layer, Metric, Schedule } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { Scope } from "effect"
import type { QuotaReport, TokenId, TokenKind } from "../domain/Token.ts"
import type { Outcome } from "../pool/tokenState.ts"
import * as Replicas from "../store/Replicas.ts"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"
import * as evidence from "./evidence.ts"
import { defaults, isShort, predict, type Prediction, type PredictRules } from "./predict.ts"

export type { Level } from "../domain/quotaLevel.ts"
export type { Prediction } from "./predict.ts"

export interface PredictorOptions {
  /** Traffic of this time counts, in whole minutes (default 5 minutes). */
  readonly window?: Duration.Input
  /** For how long the upstream's own word is believed (default 15 minutes). */
  readonly believed?: Duration.Input
  /** The most tokens that are remembered; beyond it the one seen longest ago goes (default 500). */
  readonly maxTokens?: number
  /** How often what other processes have observed is taken over (default 30 seconds). */
  readonly syncEvery?: Duration.Input
}

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
  static readonly layerWith = (options: PredictorOptions = {}): Layer.Layer<Predictor, StoreUnavailable, Store> =>
    Layer.effect(
      Predictor,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Predictor, StoreUnavailable, Store> = Predictor.layerWith()
}

const kinds: Collection<evidence.KindEvidence> = { name: "predictor-kind", schema: evidence.KindEvidence }
const tokens: Collection<evidence.TokenEvidence> = { name: "predictor-token", schema: evidence.TokenEvidence }

const make = Effect.fnUntraced(function* (
  options: PredictorOptions
): Effect.fn.Return<Predictor["Service"], StoreUnavailable, Store | Scope.Scope> {
  const { maxTokens = 500 } = options
  const rules: PredictRules = {
    windowMinutes:
      options.window === undefined
        ? defaults.windowMinutes
        : Math.max(Math.ceil(Duration.toMinutes(options.window)), 1),
    fresh: options.believed === undefined ? defaults.fresh : Duration.toMillis(options.believed)
  }
  yield* fromZero(Object.values(observations))
  const byKind = yield* Replicas.make<evidence.KindEvidence, evidence.KindEvent>({
    collection: kinds,
    fold: (current, now, event) => evidence.observeKind(current, now, event, rules.windowMinutes)
  })
  const byToken = yield* Replicas.make({ collection: tokens, fold: evidence.observeToken })

  const predictNow = (now: number, provider: string, kind: TokenKind, token: TokenId | undefined): Prediction => {
    const group = evidence.groupOf(provider, kind)
    const known = byKind.get(group) ?? evidence.noEvidence
    const living: Array<number> = []
    for (const [id, { group: of, exhausted, served }] of byToken.all()) {
      if (of === group && exhausted === undefined && id !== token) living.push(served)
    }
    const subject = token === undefined ? undefined : (byToken.get(token) ?? evidence.unseen)
    return predict(now, known, { kind, ended: known.lives, living }, subject, rules)
  }

  /** Lets go of those seen longest ago, until there is room for so many more. */
  const makeRoom = (now: number, more: number) => {
    const tooMany = byToken.all().size + more - maxTokens
    if (tooMany <= 0) return
    const oldestFirst = [...byToken.all()].toSorted(([, a], [, b]) => a.seenAt - b.seenAt)
    for (const [id] of oldestFirst.slice(0, tooMany)) byToken.record(id, now, { _tag: "Forgotten" })
  }

  const sync = Effect.gen(function* () {
    yield* byKind.sync
    yield* byToken.sync
    makeRoom(yield* Clock.currentTimeMillis, 0)
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`what others have observed is not known: ${error.message}`)),
    Effect.annotateLogs({ service: "Predictor" })
  )
  makeRoom(yield* Clock.currentTimeMillis, 0)
  yield* Effect.forkScoped(Effect.schedule(sync, Schedule.spaced(options.syncEvery ?? "30 seconds")))

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
      if (known === undefined) makeRoom(now, 1)
      byToken.record(token, now, { _tag: "Observed", group, outcome })
      yield* Metric.update(observations[result], 1)
    }),
    noteQuota: Effect.fnUntraced(function* (token, { unlimited, limit, used, resetAt }) {
      const now = yield* Clock.currentTimeMillis
      if (byToken.get(token) === undefined) makeRoom(now, 1)
      byToken.record(token, now, { _tag: "QuotaTold", unlimited, limit, remaining: limit - used, resetAt })
    }),
    predict: Effect.fn("Predictor.predict")(function* ({ provider, kind, token }) {
      return predictNow(yield* Clock.currentTimeMillis, provider, kind, token)
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

const observationsTotal = Metric.counter("weirgate_predictor_observations_total", {
  description: "Outcomes of calls that the predictor has learned from",
  incremental: true
})
const observations = {
  served: Metric.withAttributes(observationsTotal, { result: "served" }),
  error: Metric.withAttributes(observationsTotal, { result: "error" }),
  quota: Metric.withAttributes(observationsTotal, { result: "quota" })
}
