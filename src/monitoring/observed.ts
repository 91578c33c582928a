/** What the services know at this moment, as far as the rules ask. Asks no upstream. */
import { Clock, Effect } from "effect"
import { isShort } from "../acquisition/predict.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenState, TokenView } from "../pool/tokenState.ts"
import { Governor } from "../traffic/Governor.ts"
import type { Facts, TokenFacts } from "./rules.ts"

/** Above this confidence a prediction is believed. */
const believed = 0.7

/** `providers`: those at which tokens are acquired. */
export const make = Effect.fnUntraced(function* (providers: ReadonlyArray<string>) {
  const governor = yield* Governor
  const limiter = yield* RateLimiter
  const pool = yield* TokenPool
  const predictor = yield* Predictor

  /** Looks no further than to the first that lasts: with thousands of tokens that is nearly always the first. */
  const lasts = Effect.fnUntraced(function* (usable: ReadonlyArray<TokenView>) {
    for (const { id, kind, provider } of usable) {
      const { confidence, level } = yield* predictor.predict({ provider, kind, token: id })
      if (!isShort(level) || confidence <= believed) return true
    }
    return false
  })

  const tokensOf = Effect.fnUntraced(function* (provider: string, views: ReadonlyArray<TokenView>) {
    const usable = views.filter((view) => view.usable)
    const states: Partial<Record<TokenState["_tag"], number>> = {}
    for (const { state, usable } of views) if (!usable) states[state._tag] = (states[state._tag] ?? 0) + 1
    const facts: TokenFacts = {
      provider,
      held: views.length,
      usable: usable.length,
      states,
      lasts: yield* lasts(usable)
    }
    return facts
  })

  return Effect.gen(function* () {
    const budgets = yield* Effect.forEach(providers, (provider) =>
      Effect.map(limiter.statistics(provider), ({ daily, hourly, limits }) => ({ provider, daily, hourly, limits }))
    )
    const byProvider = Map.groupBy(yield* pool.list(), ({ provider }) => provider)
    const tokens = yield* Effect.forEach(byProvider, ([provider, views]) => tokensOf(provider, views))
    const facts: Facts = { now: yield* Clock.currentTimeMillis, budgets, tokens, standings: yield* governor.providers }
    return facts
  })
})
