/** Steps 4 to 6: is there a reason to ask for a token, does the budget allow it, and is the quota really at its end? */
import { Clock, Duration, Effect } from "effect"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { type AcquisitionRequest, storeFailed, type Verdict } from "./decision.ts"
import * as policy from "./policy.ts"
import { isShort, type Prediction } from "./predict.ts"
import { Predictor } from "./Predictor.ts"
import { RateLimiter } from "./RateLimiter.ts"

/** Above this confidence a prediction that the quota lasts is believed. */
const believed = 0.7

export const make = Effect.fnUntraced(function* (providers: ReadonlyArray<string>) {
  const warp = yield* WarpClient
  const pool = yield* TokenPool
  const limiter = yield* RateLimiter
  const predictor = yield* Predictor

  const look = Effect.fnUntraced(function* ({ provider, errorContext }: AcquisitionRequest) {
    yield* pool.sync
    const tokens = (yield* pool.list(provider)).map((view) => ({ ...view, held: stateOf(view) }))
    const statistics = yield* limiter.statistics(provider)
    const facts: policy.Facts = {
      now: yield* Clock.currentTimeMillis,
      provider,
      minting: warp.minting && providers.includes(provider),
      error: errorContext,
      tokens: tokens.map(({ kind, createdAt, held }) => ({ kind, createdAt, state: held })),
      coolingUntil: yield* pool.coolingUntil(provider),
      creationRefusedUntil:
        statistics.lastFailureType === "CreateUserRateLimited" ? statistics.blockedUntil : undefined,
      lastAttemptAt: statistics.lastAttemptAt
    }
    return { tokens, facts }
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
      : predictor.predict({ provider, kind: subject.kind, token: subject.id })
  }

  /** What speaks against asking the upstream, if anything does. */
  const against = Effect.fnUntraced(function* (
    request: AcquisitionRequest
  ): Effect.fn.Return<Verdict | undefined, Verdict> {
    const { provider } = request
    const { tokens, facts } = yield* Effect.mapError(look(request), storeFailed("policy"))
    const budget = yield* Effect.mapError(limiter.check(provider), storeFailed("rate_limiter"))
    const wait = Duration.toMillis(budget.retryAfter)

    const judgement = policy.judge(facts)
    if (!judgement.allowed) {
      const { creationRefusedUntil, coolingUntil, lastAttemptAt, minting } = facts
      const inputs = {
        about: policy.subjectOf(facts.error),
        tokens: countsOf(facts.tokens),
        ...defined({ minting, coolingUntil, creationRefusedUntil, lastAttemptAt })
      }
      // The policy may let go earlier than the budget; a caller who is told to come back shall not come in vain.
      const after = judgement.retryAfterMs === undefined ? undefined : Math.max(judgement.retryAfterMs, wait)
      return { step: "policy", answer: "denied", reason: judgement.reason, retryAfterMs: after, inputs }
    }
    if (!budget.allowed) {
      const reason = `the ${budget.rule ?? ""} limit of the budget is reached`
      return {
        step: "rate_limiter",
        answer: "denied",
        reason,
        retryAfterMs: wait,
        inputs: { rule: budget.rule ?? null }
      }
    }
    const { level, confidence, chance, reason } = yield* foresee(provider, tokens)
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

  return { against }
})

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
