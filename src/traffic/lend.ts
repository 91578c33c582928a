/** A token for a provider: from the pool, or, where tokens can be made, a new one when the seven steps allow it. */
import { Duration, Effect, Schema } from "effect"
import { Acquisition, type AcquisitionDenied } from "../acquisition/Acquisition.ts"
import { Throttled, UpstreamUnavailable } from "../domain/Failure.ts"
import type { Provider } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"
import { type HeldLease, type NoTokenUsable, type Restore, TokenPool } from "../pool/TokenPool.ts"
import { StoreUnavailable } from "../store/Store.ts"

/** No token can serve the request now and none may be acquired. Absent `retryAfter`: it needs a person. */
export class NoCapacity extends Schema.TaggedError<NoCapacity>()("NoCapacity", {
  provider: Schema.String,
  reason: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}) {
  override get message() {
    return `${this.provider} cannot serve now: ${this.reason}`
  }
}

/** Why a provider has no token for a request. */
export type Shortage = NoCapacity | Throttled | UpstreamUnavailable | StoreUnavailable

/**
 * Takes the pool once. To be asked for where nothing interrupts, with `restore` for what it waits for: a look into the store, a
 * renewal, and at Warp an acquisition.
 */
export const make = Effect.gen(function* () {
  const pool = yield* TokenPool
  const acquisition = yield* Acquisition

  const acquire = Effect.fnUntraced(function* (
    none: NoTokenUsable,
    exclude: ReadonlySet<TokenId>,
    caller: string,
    restore: Restore
  ) {
    const { provider } = none
    const asked = yield* Effect.result(restore(acquisition.request({ provider, errorContext: none.message, caller })))
    // Also after a denial: one that says that a token is usable ends in using it.
    return yield* Effect.catchTag(pool.borrow({ provider, exclude }, restore), "NoTokenUsable", (still) =>
      Effect.fail(
        asked._tag === "Failure" ? shortOf(still, asked.failure) : noCapacity(still, still.reason, still.retryAfter)
      )
    )
  })

  const short = Effect.fnUntraced(function* (
    none: NoTokenUsable,
    kind: Provider["kind"],
    exclude: ReadonlySet<TokenId>,
    caller: string,
    restore: Restore
  ) {
    const { awaitsRenewal, provider, retryAfter } = none
    // More tokens do not help against a limit above them.
    if ((yield* pool.coolingUntil(provider)) !== undefined) {
      return yield* new Throttled({ provider, signature: "provider", ...(retryAfter !== undefined && { retryAfter }) })
    }
    if (awaitsRenewal === true) {
      const detail = "its token service does not renew our tokens"
      return yield* new UpstreamUnavailable({ provider, reason: "connection", detail })
    }
    if (kind !== "warp") return yield* noCapacity(none, none.reason, retryAfter)
    return yield* acquire(none, exclude, caller, restore)
  })

  return (
    { kind, name }: Provider,
    exclude: ReadonlySet<TokenId>,
    caller: string,
    restore: Restore
  ): Effect.Effect<HeldLease, Shortage> =>
    Effect.catchTag(pool.borrow({ provider: name, exclude }, restore), "NoTokenUsable", (none) =>
      short(none, kind, exclude, caller, restore)
    )
})

/** Why a request that found no token got none: a store that is away says nothing of tokens. */
const shortOf = (none: NoTokenUsable, denied: AcquisitionDenied) =>
  denied.undecided === true
    ? new StoreUnavailable({ operation: "decide on an acquisition", detail: denied.reason })
    : noCapacity(none, denied.message, soonest(none.retryAfter, denied.retryAfter))

const noCapacity = ({ provider }: NoTokenUsable, reason: string, retryAfter: Duration.Duration | undefined) =>
  new NoCapacity({ provider, reason, ...(retryAfter !== undefined && { retryAfter }) })

const soonest = (a: Duration.Duration | undefined, b: Duration.Duration | undefined) =>
  a === undefined ? b : b === undefined ? a : Duration.min(a, b)
