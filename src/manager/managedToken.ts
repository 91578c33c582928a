/** What a person sees of a token that the manager holds: a pure rule. */
import type { TokenView } from "../pool/tokenState.ts"
import type { ManagedToken } from "./TokenManager.ts"

export const managedToken = (view: TokenView): ManagedToken => ({
  id: view.id,
  name: view.name,
  provider: view.provider,
  state: view.state._tag,
  isActive: view.state._tag === "active",
  lastUsedAt: view.lastUsedAt,
  lastCheckedAt: view.lastCheck?.at,
  lastError: lastError(view),
  succeeded: view.succeeded,
  failed: view.failed,
  leased: view.leased
})

/** Of a call or a check, whichever failed last. */
const lastError = ({ lastCheck, lastFailure }: TokenView): string | undefined => {
  if (lastCheck !== undefined && !lastCheck.ok && lastCheck.at > (lastFailure?.at ?? 0)) {
    return lastCheck.detail ?? "its check failed"
  }
  return lastFailure && (lastFailure.detail ?? said[lastFailure.outcome] ?? lastFailure.outcome)
}

const said: Readonly<Record<string, string>> = {
  Failed: "a call failed",
  QuotaExhausted: "its quota is used up",
  Throttled: "it was asked too often",
  AccessRejected: "its upstream refused it",
  RefreshRejected: "its upstream did not renew it",
  Blocked: "its upstream has blocked it"
}
