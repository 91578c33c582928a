/** Asks one account after another until one answers. */
import { Clock, Duration, Effect, Result } from "effect"
import type { TokenId } from "../domain/Token.ts"
import { NoTokenUsable } from "../pool/lease.ts"
import type { Strategy } from "../pool/strategies.ts"
import type { TokenPool } from "../pool/TokenPool.ts"
import { wopanProvider as provider } from "../upstream/WopanClient.ts"
import { type Account, nextAccount } from "./accounts.ts"
import { type DriveFailure, isOfToken } from "./failure.ts"
import { tooSlow } from "./session.ts"

export interface Search<A> {
  readonly answer: A | undefined
  /** Who gave it. */
  readonly account: Account | undefined
  /** Those whose drive said that there is no such path. */
  readonly unknownTo: ReadonlySet<TokenId>
  /** Those that failed to answer, in the order in which they were asked. */
  readonly failed: ReadonlyArray<Account>
  /** The first failure that is no answer. */
  readonly failure: DriveFailure | undefined
}

export interface Options {
  readonly pool: TokenPool["Service"]
  readonly strategy: Strategy
  /** For all accounts together. */
  readonly within: Duration.Duration
}

/** The account of the token that is called so. */
export const accountNamed = Effect.fnUntraced(function* (pool: TokenPool["Service"], name: string) {
  const views = yield* pool.list(provider)
  const found = views.find((view) => view.name === name)
  if (found !== undefined) return { id: found.id, name }
  return yield* new NoTokenUsable({ provider, held: 0, reason: "no token has the name of that account" })
})

/**
 * Asks `only`, or the accounts whose token can be lent: `preferred` first, each once. The next is asked when the drive of one
 * knows no such path, for it is another drive, or when its token turns out to be of no use; not when the drive as a whole
 * fails. Bounded by the number of tokens and by `within`.
 */
export const search = Effect.fnUntraced(function* <A>(
  { pool, strategy, within }: Options,
  { only, preferred }: { readonly only: Account | undefined; readonly preferred: TokenId | undefined },
  ask: (account: Account) => Effect.Effect<A, DriveFailure>
) {
  const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(within)
  const tried = new Set<TokenId>()
  const unknownTo = new Set<TokenId>()
  const failed: Array<Account> = []
  let failure: DriveFailure | undefined
  const ended = (answer?: A, account?: Account): Search<A> => ({ answer, account, unknownTo, failed, failure })

  /** One that the pool lends though none seemed usable: another process may have said so. */
  const anyone = Effect.scoped(Effect.map(pool.lease({ provider, strategy }), ({ id, name }) => ({ id, name })))

  while (true) {
    let account = only ?? nextAccount(yield* pool.list(provider), tried, preferred, strategy)
    if (account === undefined && tried.size === 0) {
      const lent = yield* Effect.result(anyone)
      if (Result.isFailure(lent)) failure = lent.failure
      else account = lent.success
    }
    if (account === undefined || tried.has(account.id)) return ended()
    tried.add(account.id)
    const left = until - (yield* Clock.currentTimeMillis)
    const result = yield* ask(account).pipe(
      Effect.timeoutOrElse({
        duration: Duration.clamp(Duration.millis(left), { minimum: Duration.zero, maximum: within }),
        orElse: () => Effect.fail(tooSlow(within))
      }),
      Effect.result
    )
    if (Result.isSuccess(result)) return ended(result.success, account)
    if (result.failure._tag === "PathUnknown") {
      unknownTo.add(account.id)
    } else {
      failed.push(account)
      failure ??= result.failure
      if (!isOfToken(result.failure)) return ended()
    }
  }
})
