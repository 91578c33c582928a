/** D4's token manager over HTTP. */
import { DateTime, Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Audit } from "../access/Audit.ts"
import { Caller } from "../contract/Access.ts"
import type { Report, Statistics, TokenStatistics } from "../contract/tokens.ts"
import { type ManagedToken, type ReportedOutcome, TokenManager } from "../manager/TokenManager.ts"
import { wopanProvider } from "../upstream/WopanClient.ts"
import { Routed } from "./Api.ts"
import { auditing } from "./audited.ts"
import { answeringManager } from "./Errors.ts"
import { BadRequest, NothingToLend } from "./failures.ts"

/** D4's tokens are those of the drive. */
const defaultProvider = wopanProvider

export const tokenRoutes = HttpApiBuilder.group(
  Routed,
  "tokens",
  Effect.fnUntraced(function* (handlers) {
    const manager = yield* TokenManager
    const audited = auditing(yield* Audit)

    return handlers
      .handle("get", ({ query }) =>
        Effect.gen(function* () {
          const { name: caller } = yield* Caller
          const { strategy = "round_robin", provider = defaultProvider } = query
          const lent = yield* manager.get({ provider, strategy, caller })
          return {
            code: 200 as const,
            success: true as const,
            data: {
              token: lent.access,
              name: lent.name,
              id: lent.id,
              provider: lent.provider,
              lease: lent.lease,
              lease_expires_at: instant(lent.leaseExpiresAt),
              expires_at: lent.accessExpiresAt === undefined ? null : instant(lent.accessExpiresAt)
            }
          }
        }).pipe(
          Effect.catchTag("NoTokenUsable", ({ message, retryAfter }) =>
            Effect.fail(new NothingToLend({ reason: message, ...(retryAfter && { retryAfter }) }))
          ),
          answeringManager
        )
      )
      .handle("add", ({ payload }) =>
        Effect.gen(function* () {
          const { expires_at, kind, name, provider = defaultProvider, refresh_token, token } = payload
          const adding = manager.add({
            provider,
            name,
            kind,
            token,
            refresh: refresh_token,
            accessExpiresAt: expires_at && DateTime.toEpochMillis(expires_at)
          })
          const added = yield* audited("token.add", (added) => added.name, adding)
          return done(`${added.name} was added`, named(added))
        }).pipe(answeringManager)
      )
      .handle("remove", ({ payload }) =>
        Effect.gen(function* () {
          const { id, name, provider = defaultProvider, token } = payload
          if ([id, name, token].filter((which) => which !== undefined).length !== 1) {
            const reason = "expected exactly one of token, id and name"
            return yield* new BadRequest({ status: 400, param: "token", reason })
          }
          const removing = manager.remove({ provider, token, id, name })
          const removed = yield* audited("token.remove", (removed) => removed.name, removing)
          return done(`${removed.name} was removed`, named(removed))
        }).pipe(answeringManager)
      )
      .handle("report", ({ payload }) =>
        Effect.gen(function* () {
          const { name: caller } = yield* Caller
          const { error, lease, provider = defaultProvider, retry_after, token } = payload
          if (lease === undefined && token === undefined) {
            return yield* new BadRequest({ status: 400, param: "lease", reason: "missing" })
          }
          const outcome = outcomeOf(payload)
          if (outcome instanceof BadRequest) return yield* outcome
          const reported = yield* manager.report({
            caller,
            lease,
            token,
            provider,
            outcome,
            error: error ?? undefined,
            retryAfterMs: retry_after && Duration.toMillis(Duration.seconds(retry_after))
          })
          return done("the report was taken", { ...named(reported), state: reported.state })
        }).pipe(answeringManager)
      )
      .handle("stats", ({ query }) =>
        manager.list(query.provider ?? defaultProvider).pipe(
          Effect.map((tokens) => ({ code: 200 as const, success: true as const, data: statisticsOf(tokens) })),
          answeringManager
        )
      )
  })
)

const instant = (at: number) => DateTime.formatIso(DateTime.makeUnsafe(at))

const named = ({ id, name, provider }: ManagedToken) => ({ id, name, provider })

const done = <A>(message: string, data: A) => ({ code: 200 as const, success: true as const, message, data })

/** `success` is what D4's clients send; `outcome` may say more, but nothing else. */
const outcomeOf = ({ outcome, success }: Report): ReportedOutcome | BadRequest => {
  const said = outcome ?? (success ? "succeeded" : "failed")
  return (said === "succeeded") === success
    ? said
    : new BadRequest({ status: 400, param: "outcome", reason: `${said} stands against success: ${success}` })
}

const statisticsOf = (tokens: ReadonlyArray<ManagedToken>): Statistics => {
  const total = (count: (token: ManagedToken) => number) => tokens.reduce((sum, token) => sum + count(token), 0)
  const succeeded = total((token) => token.succeeded)
  const failed = total((token) => token.failed)
  return {
    total_tokens: tokens.length,
    active_tokens: total(({ isActive }) => Number(isActive)),
    total_requests: succeeded + failed,
    total_success: succeeded,
    total_errors: failed,
    overall_success_rate: rateOf(succeeded, failed),
    tokens: tokens.map(shown)
  }
}

const shown = (token: ManagedToken): TokenStatistics => ({
  id: token.id,
  token: token.id,
  name: token.name,
  provider: token.provider,
  is_active: token.isActive,
  state: token.state,
  last_used: token.lastUsedAt === undefined ? null : instant(token.lastUsedAt),
  success_count: token.succeeded,
  error_count: token.failed,
  last_error: token.lastError ?? null,
  last_check: token.lastCheckedAt === undefined ? null : instant(token.lastCheckedAt),
  success_rate: rateOf(token.succeeded, token.failed),
  leased: token.leased
})

/** In percent, to two decimals. */
const rateOf = (succeeded: number, failed: number) =>
  succeeded + failed === 0 ? 100 : Math.round((10_000 * succeeded) / (succeeded + failed)) / 100
