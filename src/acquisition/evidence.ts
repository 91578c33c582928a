/** What is known about the quota of a kind of token, and the pure rules by which an observation is added to it. */
import { Schema } from "effect"
import type { TokenKind } from "../domain/Token.ts"
import type { Outcome } from "../pool/tokenState.ts"

const Bucket = Schema.Struct({
  /** Epoch minute. */
  minute: Schema.Int,
  requests: Schema.Int,
  /** Failures that were not about quota. */
  errors: Schema.Int,
  quotaErrors: Schema.Int,
  /** Requests whose latency is known, and the sum of it. */
  timed: Schema.Int,
  latency: Schema.Finite
})

/** How well the predictions made so far came true. */
export const Score = Schema.Struct({
  predictions: Schema.Int,
  correct: Schema.Int,
  /** Sum of the squared errors of the predicted chances. */
  squaredError: Schema.Finite
})
export type Score = typeof Score.Type

/** Evidence about one kind of token at one provider. */
export const KindEvidence = Schema.Struct({
  /** Oldest first; those of the window. */
  buckets: Schema.Array(Bucket),
  /** How many requests each of the last hundred used-up tokens had served, oldest first. */
  lives: Schema.Array(Schema.Int),
  score: Score
})
export type KindEvidence = typeof KindEvidence.Type

/** Evidence about one token. */
export const TokenEvidence = Schema.Struct({
  /** Provider and kind, once it has been seen at work. */
  group: Schema.optionalKey(Schema.String),
  /** Requests served since it was new or refilled. */
  served: Schema.Int,
  seenAt: Schema.Finite,
  /** Its last answer was that nothing is left; until when that holds. */
  exhausted: Schema.optionalKey(Schema.Struct({ at: Schema.Finite, until: Schema.Finite })),
  /** The upstream's own word, and how much had been served when it was given. */
  quota: Schema.optionalKey(
    Schema.Struct({
      at: Schema.Finite,
      unlimited: Schema.Boolean,
      limit: Schema.Finite,
      remaining: Schema.Finite,
      served: Schema.Int,
      resetAt: Schema.optionalKey(Schema.Finite)
    })
  )
})
export type TokenEvidence = typeof TokenEvidence.Type

export const groupOf = (provider: string, kind: TokenKind) => `${provider}/${kind}`

export const noEvidence: KindEvidence = {
  buckets: [],
  lives: [],
  score: { predictions: 0, correct: 0, squaredError: 0 }
}

export const unseen: TokenEvidence = { served: 0, seenAt: 0 }

export const minute = 60_000
/** Minutes of traffic that count, unless told otherwise. */
export const usualWindow = 5
/** Earlier tokens whose life is remembered, by kind. */
const maxLives = 100
/** How long "nothing is left" holds when the upstream did not say. */
const unstatedExhaustion = 60 * minute

/** What an outcome says about quota. */
export type Result = "served" | "error" | "quota" | "nothing"

export const resultOf = (outcome: Outcome): Result => {
  switch (outcome._tag) {
    case "Succeeded":
    case "CallerFault":
      return "served"
    case "QuotaExhausted":
      return "quota"
    case "Abandoned":
      return "nothing"
    default:
      return "error"
  }
}

/** One outcome, with the prediction that was made before it. */
export interface KindEvent {
  readonly outcome: Outcome
  /** How many requests the token had served, when this outcome ended its life. */
  readonly life?: number | undefined
  readonly prediction?: { readonly chance: number; readonly short: boolean } | undefined
}

export const observeKind = (
  current: KindEvidence | undefined,
  now: number,
  event: KindEvent,
  windowMinutes = usualWindow
): KindEvidence => {
  const before = current ?? noEvidence
  const result = resultOf(event.outcome)
  if (result === "nothing") return before
  return {
    buckets: addToBucket(recentBuckets(before, now, windowMinutes), Math.floor(now / minute), event.outcome, result),
    lives: event.life === undefined ? before.lives : [...before.lives, event.life].slice(-maxLives),
    score: result === "error" ? before.score : addToScore(before.score, event.prediction, result === "quota")
  }
}

/** Buckets of the window. One from the future is that of a clock which has jumped back, and says nothing of now. */
export const recentBuckets = ({ buckets }: KindEvidence, now: number, windowMinutes: number) => {
  const current = Math.floor(now / minute)
  return buckets.filter(({ minute }) => minute <= current && minute > current - windowMinutes)
}

const addToBucket = (buckets: KindEvidence["buckets"], at: number, outcome: Outcome, result: Result) => {
  const last = buckets.at(-1)
  const bucket =
    last?.minute === at ? last : { minute: at, requests: 0, errors: 0, quotaErrors: 0, timed: 0, latency: 0 }
  const timed = outcome._tag === "Succeeded"
  const next = {
    minute: at,
    requests: bucket.requests + 1,
    errors: bucket.errors + (result === "error" ? 1 : 0),
    quotaErrors: bucket.quotaErrors + (result === "quota" ? 1 : 0),
    timed: bucket.timed + (timed ? 1 : 0),
    latency: bucket.latency + (timed ? outcome.latencyMs : 0)
  }
  return [...(bucket === last ? buckets.slice(0, -1) : buckets), next]
}

const addToScore = (score: Score, prediction: KindEvent["prediction"], ranOut: boolean): Score =>
  prediction === undefined
    ? score
    : {
        predictions: score.predictions + 1,
        correct: score.correct + (prediction.short === ranOut ? 1 : 0),
        squaredError: score.squaredError + (prediction.chance - (ranOut ? 1 : 0)) ** 2
      }

export type TokenEventOf =
  | { readonly _tag: "Observed"; readonly group: string; readonly outcome: Outcome }
  | {
      readonly _tag: "QuotaTold"
      readonly unlimited: boolean
      readonly limit: number
      readonly remaining: number
      readonly resetAt: number | undefined
    }
  | { readonly _tag: "Forgotten" }

export const observeToken = (
  current: TokenEvidence | undefined,
  now: number,
  event: TokenEventOf
): TokenEvidence | undefined => {
  if (event._tag === "Forgotten") return undefined
  const before = current ?? unseen
  if (event._tag === "QuotaTold") {
    const { unlimited, limit, remaining, resetAt } = event
    const { exhausted, ...rest } = before
    // A few credits may be left and yet too few for one request, so its refusal stands until it is clearly refilled.
    const refilled = exhausted !== undefined && (unlimited || remaining > limit / 5)
    const served = refilled ? 0 : before.served
    return {
      ...rest,
      served,
      seenAt: now,
      quota: { at: now, unlimited, limit, remaining, served, ...(resetAt !== undefined && { resetAt }) },
      ...(exhausted !== undefined && !refilled && { exhausted })
    }
  }
  const { exhausted, ...rest } = before
  const seen = { ...rest, group: event.group, seenAt: now }
  switch (resultOf(event.outcome)) {
    case "served":
      return { ...seen, served: exhausted === undefined ? before.served + 1 : 1 }
    case "quota": {
      const stated = event.outcome._tag === "QuotaExhausted" ? event.outcome.resetAt : undefined
      return { ...seen, exhausted: { at: now, until: stated ?? now + unstatedExhaustion } }
    }
    default:
      return exhausted === undefined ? seen : { ...seen, exhausted }
  }
}

/** The life that this outcome ends, if it does: a refusal repeated is no second death. */
export const lifeEnded = (token: TokenEvidence | undefined, outcome: Outcome): number | undefined =>
  resultOf(outcome) === "quota" && token?.exhausted === undefined ? (token?.served ?? 0) : undefined
