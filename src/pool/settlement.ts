/** Takes in how calls ended: each for its token, and what several tokens meet at once for the provider. */
import { Clock, Effect } from "effect"
import type { TokenId } from "../domain/Token.ts"
import type { Desk, Loan } from "./desk.ts"
import type { Holdings } from "./holdings.ts"
import { isHarmless } from "./outcomeRules.ts"
import { providerStanding } from "./providerState.ts"
import { sharedLimit, togetherWithin } from "./scope.ts"
import * as telling from "./telling.ts"
import type { Outcome, TokenEvent, TokenRecord } from "./tokenState.ts"

/** How a call ended that this process has not lent the token for. */
export interface Settled {
  readonly outcome: Outcome
  /** Of the access secret that was used. */
  readonly generation: number
  /** Who lent it, when the call was the token's probe. */
  readonly probe?: string | undefined
  /** For a person: no secret. */
  readonly detail?: string | undefined
}

export interface Settlement {
  /** The call that the loan was for has ended so; `detail` is for a person and holds no secret. Never waits. */
  settle(loan: Loan, outcome: Outcome, detail?: string | undefined): Effect.Effect<void>
  /** So has one that was lent by another process, or by one of before a restart. Never waits. */
  settleAfar(token: Pick<TokenRecord, "id" | "provider">, settled: Settled): Effect.Effect<void>
  /** The same at once for a success that changes nothing but numbers; false when this one does. */
  settleNow(loan: Loan, outcome: Outcome & { _tag: "Succeeded" }, now: number): boolean
  /** A check of the token has ended so. Never waits. */
  settleCheck(id: TokenId, provider: string, event: TokenEvent & { readonly _tag: "Checked" }): Effect.Effect<void>
  /** The loan has come to nothing before it was used. Never waits. */
  release(loan: Loan): Effect.Effect<void>
  /** Looks for limits that several processes have met one token each of. */
  readonly inferAll: Effect.Effect<void>
}

/** `process` names this process among those that share the store. */
export const make = (holdings: Holdings, desk: Desk, process: string): Settlement => {
  const infer = Effect.fnUntraced(function* (provider: string, signature: string) {
    const limit = sharedLimit(holdings.of(provider), signature, yield* Clock.currentTimeMillis)
    if (limit === undefined) return
    const { since, until } = limit
    yield* holdings.settleProvider(provider, { _tag: "Limited", signature, ...(until === undefined ? {} : { until }) })
    yield* telling.limited(provider, limit.tokens.length, holdings.provider(provider)?.cooling?.until)
    yield* Effect.forEach(limit.tokens, (id) => holdings.settle(id, { _tag: "PenaltyUndone", signature, since }), {
      discard: true
    })
  })

  /** Whether the provider's limit, known already, was met once more. */
  const isKnownLimit = (provider: string, signature: string, now: number) => {
    const record = holdings.provider(provider)
    return record?.cooling?.signature === signature && providerStanding(record, now) !== "ready"
  }

  const settleInFull = (loan: Loan, outcome: Outcome, detail?: string | undefined) =>
    Effect.suspend(() => {
      const { generation, probesProvider, probesToken } = loan
      desk.endProbe(loan)
      return take(
        loan.record,
        { outcome, generation, probe: probesToken ? process : undefined, detail },
        probesProvider
      )
    })

  const take = Effect.fnUntraced(function* (
    { id, provider }: Pick<TokenRecord, "id" | "provider">,
    { detail, generation, outcome, probe }: Settled,
    probesProvider: boolean
  ) {
    const now = yield* Clock.currentTimeMillis
    const reported = (outcome: Outcome): TokenEvent => ({
      _tag: "Reported",
      outcome,
      generation,
      ...(detail === undefined ? {} : { detail }),
      ...(probe === undefined ? {} : { probe })
    })

    if (outcome._tag === "Throttled" && isKnownLimit(provider, outcome.signature, now)) {
      yield* holdings.record(id, now, reported({ _tag: "UpstreamFault" }))
      return yield* holdings.settleProvider(provider, {
        _tag: "Limited",
        signature: outcome.signature,
        ...(outcome.retryAfterMs ? { until: now + outcome.retryAfterMs } : {}),
        ...(probesProvider ? { probe: process } : {})
      })
    }
    if (outcome._tag === "Succeeded") {
      if (holdings.provider(provider) !== undefined) yield* holdings.settleProvider(provider, { _tag: "Served" })
    } else if (probesProvider) {
      yield* holdings.settleProvider(provider, { _tag: "ProbeReleased", by: process })
    }
    if (isHarmless(outcome)) return yield* holdings.record(id, now, reported(outcome))
    yield* holdings.settle(id, reported(outcome))
    if (outcome._tag === "Throttled") yield* infer(provider, outcome.signature)
  })

  const settleNow: Settlement["settleNow"] = ({ generation, probe, record: { id, provider } }, outcome, now) => {
    if (probe || holdings.provider(provider) !== undefined || holdings.get(id)?.state._tag !== "active") return false
    holdings.recordQuietly(id, now, { _tag: "Reported", outcome, generation })
    return true
  }

  const settle: Settlement["settle"] = (loan, outcome, detail) =>
    Effect.clockWith((clock) =>
      outcome._tag === "Succeeded" && settleNow(loan, outcome, clock.currentTimeMillisUnsafe())
        ? Effect.void
        : settleInFull(loan, outcome, detail)
    )

  const settleCheck: Settlement["settleCheck"] = Effect.fnUntraced(function* (id, provider, event) {
    const { outcome } = event
    if (outcome._tag !== "Throttled") return yield* holdings.settle(id, event)
    const now = yield* Clock.currentTimeMillis
    if (!isKnownLimit(provider, outcome.signature, now)) {
      yield* holdings.settle(id, event)
      return yield* infer(provider, outcome.signature)
    }
    yield* holdings.settle(id, { ...event, outcome: { _tag: "UpstreamFault" } })
    yield* holdings.settleProvider(provider, {
      _tag: "Limited",
      signature: outcome.signature,
      ...(outcome.retryAfterMs ? { until: now + outcome.retryAfterMs } : {})
    })
  })

  const release = Effect.fnUntraced(function* (loan: Loan) {
    const { id, provider } = loan.record
    const { probesToken, probesProvider } = loan
    desk.giveBack(loan)
    if (probesToken) yield* holdings.settle(id, { _tag: "ProbeReleased", by: process })
    if (probesProvider) yield* holdings.settleProvider(provider, { _tag: "ProbeReleased", by: process })
  })

  const inferAll = Effect.gen(function* () {
    const since = (yield* Clock.currentTimeMillis) - togetherWithin
    const met = new Map<string, Set<string>>()
    for (const { provider, throttle } of holdings.all()) {
      if (throttle === undefined || throttle.at < since) continue
      met.set(provider, (met.get(provider) ?? new Set()).add(throttle.signature))
    }
    for (const [provider, signatures] of met) {
      for (const signature of signatures) yield* infer(provider, signature)
    }
  })

  return {
    settle,
    settleAfar: (token, settled) => take(token, settled, false),
    settleNow,
    settleCheck,
    release,
    inferAll
  }
}
