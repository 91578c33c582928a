/** Which account is asked first: the one that answered last, over a restart. Processes that share a store have one each. */
import { Effect, Schema } from "effect"
import { TokenId } from "../domain/Token.ts"
import type { Collection, Store } from "../store/Store.ts"
import type { Search } from "./search.ts"

export interface Preference {
  readonly account: () => TokenId | undefined
  /** Takes note of who answered. */
  note(searched: Search<unknown>): Effect.Effect<void>
}

const Last = Schema.Struct({ id: TokenId })
const accounts: Collection<typeof Last.Type> = { name: "drive_account", schema: Last }
const key = "last"

export const make = Effect.fnUntraced(function* (store: Store["Service"]): Effect.fn.Return<Preference> {
  let preferred = (yield* Effect.orElseSucceed(store.get(accounts, key), () => undefined))?.id
  return {
    account: () => preferred,
    note: ({ account, unknownTo }) =>
      Effect.suspend(() => {
        // One that was asked because the drives before it know no such path does not take their place: a listing of the root
        // would be of another drive from then on.
        if (account === undefined || unknownTo.size > 0 || account.id === preferred) return Effect.void
        const { id } = account
        preferred = id
        // That it could not be stored matters after a restart only.
        return Effect.ignore(store.modify(accounts, key, () => [undefined, { id }]))
      })
  }
})
