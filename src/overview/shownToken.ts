/** What the console shows of a token, and what of it makes the console show it anew: pure rules. */
import type { Prediction } from "../acquisition/predict.ts"
import type { ConsoleToken } from "../contract/console.ts"
import type { Overview } from "../contract/overview.ts"
import type { TokenView } from "../pool/tokenState.ts"

export const shown = (view: TokenView, prediction: Prediction | undefined): ConsoleToken => {
  const { lastCheck, lastFailure, state } = view
  const calls = view.succeeded + view.failed
  return {
    id: view.id,
    provider: view.provider,
    name: view.name,
    kind: view.kind,
    state: state._tag,
    why: "why" in state ? state.why : null,
    until: "until" in state ? (state.until ?? null) : null,
    source: "source" in state ? state.source : null,
    usable: view.usable,
    created_at: view.createdAt,
    last_used_at: view.lastUsedAt ?? null,
    proven_at: view.provenAt ?? null,
    access_expires_at: view.accessExpiresAt ?? null,
    served: view.served,
    succeeded: view.succeeded,
    failed: view.failed,
    success_rate: calls === 0 ? null : view.succeeded / calls,
    leased: view.leased,
    last_check:
      lastCheck === undefined ? null : { at: lastCheck.at, ok: lastCheck.ok, detail: lastCheck.detail ?? null },
    last_failure:
      lastFailure === undefined
        ? null
        : { at: lastFailure.at, outcome: lastFailure.outcome, detail: lastFailure.detail ?? null },
    quota: view.quota ?? null,
    predicted:
      prediction === undefined || prediction.confidence === 0
        ? null
        : {
            level: prediction.level,
            confidence: prediction.confidence,
            chance: prediction.chance,
            reason: prediction.reason
          }
  }
}

/** Another text whenever something that is shown has changed; a prediction only ever changes with these, or with time. */
export const fingerprint = ({ lastCheck, lastFailure, quota, state, ...view }: TokenView): string =>
  [
    state._tag,
    "until" in state ? state.until : "",
    "why" in state ? state.why : "",
    view.usable,
    view.name,
    view.lastUsedAt,
    view.accessExpiresAt,
    view.served,
    view.succeeded,
    view.failed,
    view.leased,
    view.provenAt,
    lastCheck?.at,
    lastFailure?.at,
    quota?.at,
    quota?.used
  ].join("|")

type Standing = Overview["tokens"][number]

/** By name of the provider. */
export const standings = (views: ReadonlyArray<TokenView>): ReadonlyArray<Standing> => {
  const providers = new Map<string, { -readonly [K in keyof Standing]: Standing[K] }>()
  for (const { leased, provider, state, usable } of views) {
    let standing = providers.get(provider)
    if (standing === undefined) {
      standing = {
        provider,
        total: 0,
        usable: 0,
        leased: 0,
        active: 0,
        cooling: 0,
        exhausted: 0,
        disabled: 0,
        dead: 0
      }
      providers.set(provider, standing)
    }
    standing.total += 1
    standing.usable += Number(usable)
    standing.leased += leased
    standing[state._tag] += 1
  }
  return [...providers.values()].toSorted((a, b) => (a.provider < b.provider ? -1 : 1))
}
