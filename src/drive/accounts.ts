/** Whose drive is asked: one token is one account, and different accounts hold different files. Pure. */
import type { TokenId } from "../domain/Token.ts"
import { choose, type Strategy } from "../pool/strategies.ts"
import type { TokenView } from "../pool/tokenState.ts"

export interface Account {
  readonly id: TokenId
  readonly name: string
}

/**
 * The next to be asked, of those whose token can be lent and that were not `tried`: the one that is `preferred`, then by the
 * strategy.
 */
export const nextAccount = (
  views: ReadonlyArray<TokenView>,
  tried: ReadonlySet<TokenId>,
  preferred: TokenId | undefined,
  strategy: Strategy
): Account | undefined => {
  const usable = views.filter((view) => view.usable && !tried.has(view.id))
  const first = usable.find((view) => view.id === preferred)
  if (first !== undefined) return { id: first.id, name: first.name }
  const last = views.find((view) => view.id === preferred)
  return choose(strategy, usable.map(candidateOf), last)?.account
}

/** How the pool lends to others is not seen here; when a token was used last is close enough. */
const candidateOf = ({ createdAt, failed, id, kind, lastUsedAt, name, succeeded }: TokenView) => ({
  account: { id, name },
  record: { id, kind, createdAt, succeeded, failed, ...(lastUsedAt !== undefined && { lastUsedAt }) },
  lentAt: Number.NEGATIVE_INFINITY,
  turn: 0,
  probe: false
})
