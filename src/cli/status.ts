/** What a person wants to know first: what is wrong, the tokens, the budget, the last decisions. Reads the store: asks no server and no upstream. */
import { Clock, Effect } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import { journal } from "../acquisition/decisions.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import type { TokenState } from "../pool/tokenState.ts"
import { activeOf, alertRecords } from "../monitoring/alertState.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Store } from "../store/Store.ts"
import { table } from "./table.ts"
import { ago, span, timeOf, until } from "./time.ts"

export const status = Effect.gen(function* () {
  const pool = yield* TokenPool
  const limiter = yield* RateLimiter
  const now = yield* Clock.currentTimeMillis
  const tokens = yield* pool.list()
  const budget = yield* limiter.statistics(warpProvider)
  const decisions = yield* Store.use((store) => store.recent(journal, 10))
  const alerts = activeOf(yield* Store.use((store) => store.all(alertRecords)))
  const { limits } = budget
  const wait = budget.nextAllowedAt - now
  return [
    ...(alerts.length === 0
      ? []
      : [
          "Alerts",
          table(
            ["since", "alert"],
            alerts.map(({ message, since }) => [ago(now - since), message])
          ),
          ""
        ]),
    "Tokens",
    table(
      ["name", "provider", "kind", "state", "served", "quota left", "last used"],
      tokens.map((token) => [
        token.name,
        token.provider,
        token.kind,
        stateOf(token.state, now),
        token.served,
        quotaOf(token.quota),
        token.lastUsedAt === undefined ? "never" : ago(now - token.lastUsedAt)
      ])
    ),
    tokens.length === 0 ? "(none)" : "",
    "Budget for acquisitions",
    table(
      ["provider", "last hour", "last day", "failures in a row", "next allowed"],
      [
        [
          warpProvider,
          `${budget.hourly} of ${limits.hourly}`,
          `${budget.daily} of ${limits.daily}`,
          budget.consecutiveFailures,
          wait <= 0 ? "now" : `in ${span(wait)}`
        ]
      ]
    ),
    "",
    "Last decisions",
    table(
      ["when", "caller", "step", "answer", "reason"],
      decisions.map(({ at, caller, step, answer, reason }) => [timeOf(at), caller, step, answer, reason])
    ),
    decisions.length === 0 ? "(none)" : ""
  ].join("\n")
})

const stateOf = (state: TokenState, now: number) => {
  switch (state._tag) {
    case "active":
      return "active"
    case "dead":
      return `dead: ${state.why}`
    case "disabled":
      return `disabled: ${state.why}${until(state.until, now)}`
    case "cooling":
      return `cooling: ${state.why}${until(state.until, now)}`
    case "exhausted":
      return `exhausted${until(state.until, now)}`
  }
}

const quotaOf = (quota: { readonly limit: number; readonly used: number; readonly unlimited: boolean } | undefined) =>
  quota === undefined
    ? "unknown"
    : quota.unlimited
      ? "unlimited"
      : `${Math.max(0, quota.limit - quota.used)} of ${quota.limit}`
