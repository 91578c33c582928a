/** Asks upstreams on a schedule whether each token is still good, so that one that was taken out of use comes back by itself. */
import { Context, Schema } from "effect"
import type { Duration, Effect } from "effect"
import type { StoreUnavailable } from "../store/Store.ts"
import { TokenId } from "../domain/Token.ts"

export const CheckResult = Schema.Struct({
  /** Epoch milliseconds. */
  at: Schema.Finite,
  token: TokenId,
  name: Schema.String,
  provider: Schema.String,
  ok: Schema.Boolean,
  /** In milliseconds. */
  took: Schema.Finite,
  /** Of what failed: never a secret. */
  detail: Schema.optionalKey(Schema.String)
})
export type CheckResult = typeof CheckResult.Type

export interface HealthCheckOptions {
  /** Between two checks of one token (default 5 minutes). */
  readonly every?: Duration.Input
}

export class HealthChecks extends Context.Service<
  HealthChecks,
  {
    /** Newest first. Survives a restart. */
    history(limit: number, token?: TokenId): Effect.Effect<ReadonlyArray<CheckResult>, StoreUnavailable>
    /** Checks one token now, whatever the schedule says; undefined when its upstream cannot be asked. Waits for the upstream. */
    check(token: TokenId): Effect.Effect<CheckResult | undefined>
  }
>()("weirgate/health/HealthChecks") {}
