/** D4's token manager: lends tokens to programs outside this one, and learns from what they report. */
import { Context, Duration, Effect, Layer, Schema } from "effect"
import type { Redacted } from "effect"
import type { TokenId, TokenKind } from "../domain/Token.ts"
import { type Clash, type NoTokenUsable, type Strategy, TokenPool } from "../pool/TokenPool.ts"
import type { TokenState } from "../pool/tokenState.ts"
import { Store, type StoreUnavailable } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import type { LeaseUnknown, ProviderUnknown, TokenHeld, TokenNotHeld } from "./failures.ts"
import * as LendingOut from "./lendingOut.ts"
import * as Stock from "./stock.ts"

export { LeaseUnknown, ProviderUnknown, TokenHeld, TokenNotHeld } from "./failures.ts"

/** A token that is lent to a program outside. */
export interface RemoteLease {
  /** Opaque, good in any process that shares the store and its key, and over a restart. */
  readonly lease: string
  readonly id: TokenId
  readonly name: string
  readonly provider: string
  readonly access: Redacted.Redacted
  /** Epoch milliseconds: of the access secret, if it ends; and until when a report counts. */
  readonly accessExpiresAt: number | undefined
  readonly leaseExpiresAt: number
}

/** How the call ended for which a token was lent. `failed` (D4's) only counts; `abandoned` says nothing of the token; the others say what is to be done. */
export const ReportedOutcome = Schema.Literals([
  "succeeded",
  "failed",
  "quota_exhausted",
  "rate_limited",
  "unauthorized",
  "upstream_fault",
  "abandoned"
])
export type ReportedOutcome = typeof ReportedOutcome.Type

export interface Report {
  /** Who reports: the name of a key. */
  readonly caller: string
  readonly lease?: string | undefined
  /** Without a lease: the caller's oldest open lease of this token is meant. */
  readonly token?: Redacted.Redacted | undefined
  readonly provider?: string | undefined
  readonly outcome: ReportedOutcome
  readonly retryAfterMs?: number | undefined
  /** What a person may read about it; cut, and never kept when it holds the token. */
  readonly error?: string | undefined
}

export interface NewManagedToken {
  readonly provider: string
  /** Default: `Token-n`. */
  readonly name?: string | undefined
  /** Default: shared. */
  readonly kind?: TokenKind | undefined
  /** Warp's is a secret to renew with; all others are called with. May be absent where `refresh` is there to get one. */
  readonly token?: Redacted.Redacted | undefined
  readonly refresh?: Redacted.Redacted | undefined
  readonly accessExpiresAt?: number | undefined
  /** Held, but not lent until someone enables it. */
  readonly disabled?: boolean | undefined
}

/** Which of the tokens: by its secret, its id or its name. */
export interface WhichToken {
  readonly provider: string
  readonly token?: Redacted.Redacted | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
}

export interface ManagedToken {
  readonly id: TokenId
  readonly name: string
  readonly provider: string
  readonly state: TokenState["_tag"]
  readonly isActive: boolean
  /** Epoch milliseconds. */
  readonly lastUsedAt: number | undefined
  readonly lastCheckedAt: number | undefined
  readonly lastError: string | undefined
  readonly succeeded: number
  readonly failed: number
  readonly leased: number
}

export class TokenManager extends Context.Service<
  TokenManager,
  {
    /**
     * Lends a token to a program outside until it is reported, `leaseFor` is over or the layer closes; whatever was not
     * reported then is given back without a word. Waits only while an access secret is renewed. Interruption gives it back.
     * At most 10,000 leases are held open in a process: beyond, the oldest of whoever has most is given back before its time,
     * and its report counts all the same.
     */
    get(request: {
      readonly provider: string
      readonly strategy: Strategy
      readonly caller: string
    }): Effect.Effect<RemoteLease, NoTokenUsable | ProviderUnknown>
    /**
     * Says how the call ended. A lease counts once, whichever process gave it or takes the report, and over a restart: that it
     * was reported is stored before the report counts. Only its borrower reports it. Waits for the store for at most two
     * seconds: while that fails, what this process knows decides. Without a lease, only those that this process has given
     * since its start are looked through. Not interrupted once begun.
     */
    report(report: Report): Effect.Effect<ManagedToken, LeaseUnknown | TokenNotHeld>
    /** Durable when it returns. Refused when the provider has it, by whichever of its secrets, or has another of that name. */
    add(token: NewManagedToken): Effect.Effect<ManagedToken, TokenHeld | ProviderUnknown | StoreUnavailable>
    /** All of them or none, also when the process dies meanwhile. The failure names the first that is at fault. */
    addAll(
      tokens: ReadonlyArray<NewManagedToken>
    ): Effect.Effect<ReadonlyArray<ManagedToken>, TokenHeld | ProviderUnknown | StoreUnavailable>
    /** All for which `addAll` would be refused now. */
    clashes(tokens: ReadonlyArray<NewManagedToken>): Effect.Effect<ReadonlyArray<Clash>>
    /** Of several ways to name it, all must name the same. Durable when it returns; leases of it end with it. */
    remove(which: WhichToken): Effect.Effect<ManagedToken, TokenNotHeld | StoreUnavailable>
    /** By name. */
    list(provider: string): Effect.Effect<ReadonlyArray<ManagedToken>, ProviderUnknown>
    /** With their secrets, to be kept as such. A token that our key does not open is left out. By name. */
    export(provider: string): Effect.Effect<ReadonlyArray<NewManagedToken & { readonly name: string }>>
  }
>()("weirgate/manager/TokenManager") {
  /** Gives back what is still lent when it closes. */
  static readonly layerWith = (options: ManagerOptions): Layer.Layer<TokenManager, never, TokenPool | Vault | Store> =>
    Layer.effect(
      TokenManager,
      Effect.gen(function* () {
        const [pool, vault, store] = [yield* TokenPool, yield* Vault, yield* Store]
        const { leaseFor = "10 minutes", providers } = options
        const lending = yield* LendingOut.make({
          pool,
          vault,
          store,
          providers,
          leaseFor: Duration.toMillis(leaseFor),
          capacity: maxOpen
        })
        return TokenManager.of({ ...lending, ...Stock.make(pool, providers) })
      })
    )
}

export interface ManagerOptions {
  /** The upstreams there are tokens of; asked anew each time. */
  readonly providers: () => ReadonlyArray<string>
  /** How long a report may be waited for. Default: 10 minutes. */
  readonly leaseFor?: Duration.Input
}

/** Some seven megabytes: 660 bytes each were measured. */
const maxOpen = 10_000
