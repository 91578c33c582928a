/** Gives tokens their ids: readable, and one for each provider and name whichever process asks. */
import { Effect, Random, Schema } from "effect"
import { TokenId, type TokenKind } from "../domain/Token.ts"
import type { Collection, Records, Store, StoreUnavailable } from "../store/Store.ts"

export interface Named {
  readonly provider: string
  readonly name: string
  readonly kind: TokenKind
}

const Name = Schema.Struct({ id: TokenId })
const names: Collection<typeof Name.Type> = { name: "token_name", schema: Name }
const keyOf = (token: Named) => JSON.stringify([token.provider, token.name])

/** The id of that name: `proposed`, unless it has one that is not `taken` by another token. */
export const claim = (
  store: Store["Service"],
  token: Named,
  proposed: TokenId,
  taken: TokenId | undefined
): Effect.Effect<TokenId, StoreUnavailable> =>
  store.modify(names, keyOf(token), (current) =>
    current === undefined || current.id === taken ? [proposed, { id: proposed }] : [current.id, current]
  )

export const release = (store: Store["Service"], token: Named, id: TokenId): Effect.Effect<void, StoreUnavailable> =>
  store.modify(names, keyOf(token), (current) => [undefined, current?.id === id ? undefined : current])

/** The id of that name, within a step of the store. */
export const idIn = (records: Records, token: Named): TokenId | undefined => records.get(names, keyOf(token))?.id

export const set = (records: Records, token: Named, id: TokenId): void => records.set(names, keyOf(token), { id })

/** One that is not among `taken`: of the usual length, unless there are too many of those. */
export const newIdBut = Effect.fnUntraced(function* (token: Named, taken: ReadonlySet<TokenId>) {
  for (let i = 0; i < 20; i++) {
    const id = yield* newId(token)
    if (!taken.has(id)) return id
  }
  while (true) {
    const long = TokenId.make(`${yield* newId(token)}-${(yield* Random.nextIntBetween(0, 0xffffffff)).toString(16)}`)
    if (!taken.has(long)) return long
  }
})

/** Such as `warp-anonymous-3f2a`. */
export const newId = ({ provider, kind }: Named): Effect.Effect<TokenId> =>
  Effect.map(Random.nextIntBetween(0, 0xffff), (n) =>
    TokenId.make(`${provider}-${kind}-${n.toString(16).padStart(4, "0")}`)
  )
