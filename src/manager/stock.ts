/** The tokens that people hand in and take out. */
import { Effect } from "effect"
import type { Newcomer, TokenPool, TokensClash } from "../pool/TokenPool.ts"
import { StoreUnavailable } from "../store/Store.ts"
import { credentialOf, handedOf } from "./credentials.ts"
import { ProviderUnknown, TokenHeld, TokenNotHeld } from "./failures.ts"
import { managedToken } from "./managedToken.ts"
import { namesOf } from "./tokenNames.ts"
import type { NewManagedToken, TokenManager, WhichToken } from "./TokenManager.ts"

/** Why a token is out of use that came in so. */
const disabledWhenAdded = "disabled when it was added"

type Stock = Pick<TokenManager["Service"], "add" | "addAll" | "clashes" | "export" | "list" | "remove">

export const make = (pool: TokenPool["Service"], providers: () => ReadonlyArray<string>): Stock => {
  const viewsOf = (provider: string) =>
    Effect.map(pool.list(provider), (views) => views.toSorted((a, b) => (a.name < b.name ? -1 : 1)))

  /** With names for those that have none. */
  const newcomersOf = Effect.fnUntraced(function* (tokens: ReadonlyArray<NewManagedToken>) {
    const named = new Map<NewManagedToken, string>()
    for (const provider of new Set(tokens.map((token) => token.provider))) {
      const own = tokens.filter((token) => token.provider === provider)
      const taken = new Set((yield* pool.list(provider)).map(({ name }) => name))
      for (const [i, name] of namesOf(
        own.map(({ name }) => name),
        taken
      ).entries()) {
        const token = own[i]
        if (token !== undefined) named.set(token, name)
      }
    }
    return tokens.map((token) => newcomerOf(token, named.get(token) ?? ""))
  })

  /** Another process may take a name that we gave, but not for long. */
  const admitted = (tokens: ReadonlyArray<NewManagedToken>) =>
    Effect.flatMap(newcomersOf(tokens), pool.addAll).pipe(
      Effect.retry({
        while: (error) =>
          error._tag === "TokensClash" &&
          error.clashes.every(({ by, index }) => by === "name" && tokens[index]?.name === undefined),
        times: 5
      })
    )

  const addAll: Stock["addAll"] = Effect.fn("TokenManager.addAll")(function* (tokens) {
    const known = providers()
    const stranger = tokens.find(({ provider }) => !known.includes(provider))
    if (stranger !== undefined) return yield* new ProviderUnknown({ provider: stranger.provider, known })
    const ids = yield* admitted(tokens).pipe(Effect.catchTag("TokensClash", (clash) => Effect.fail(heldOf(clash))))
    return yield* Effect.forEach(ids, pool.view).pipe(
      Effect.map((views) => views.map(managedToken)),
      Effect.mapError(
        () => new StoreUnavailable({ operation: "add tokens", detail: "they were removed while they were added" })
      )
    )
  })

  /** The one that all that is said of it names. */
  const found = Effect.fnUntraced(function* ({ id, name, provider, token }: WhichToken) {
    if (id === undefined && name === undefined && token === undefined) return undefined
    const bySecret = token && (yield* pool.find(provider, token))
    return (yield* pool.list(provider)).find(
      (view) =>
        (token === undefined || view.id === bySecret) &&
        (id === undefined || view.id === id) &&
        (name === undefined || view.name === name)
    )
  })

  return {
    add: (token) =>
      Effect.flatMap(addAll([token]), ([added]) =>
        added === undefined ? Effect.die("nothing comes of one token") : Effect.succeed(added)
      ),
    addAll,
    clashes: (tokens) => Effect.flatMap(newcomersOf(tokens), pool.clashes),
    remove: Effect.fn("TokenManager.remove")(function* (which) {
      const view = (yield* found(which)) ?? (yield* Effect.andThen(pool.sync, found(which)))
      if (view === undefined) return yield* new TokenNotHeld()
      yield* pool.remove(view.id).pipe(Effect.catchTag("TokenUnknown", () => Effect.fail(new TokenNotHeld())))
      return managedToken(view)
    }),
    list: Effect.fnUntraced(function* (provider) {
      const views = yield* viewsOf(provider)
      const known = providers()
      // Tokens may be left of one that is offered no more.
      if (views.length === 0 && !known.includes(provider)) return yield* new ProviderUnknown({ provider, known })
      return views.map(managedToken)
    }),
    export: Effect.fn("TokenManager.export")(function* (provider) {
      const tokens: Array<NewManagedToken & { readonly name: string }> = []
      for (const { id, kind, name, state } of yield* viewsOf(provider)) {
        const credential = yield* pool.credentialOf(id).pipe(Effect.orElseSucceed(() => ({})))
        const handed = handedOf(provider, credential)
        if (handed === undefined) continue
        // One that the pool has disabled for a while comes back by itself.
        const disabled = state._tag === "disabled" && state.until === undefined
        tokens.push({ provider, name, kind, ...handed, ...(disabled && { disabled }) })
      }
      return tokens
    })
  }
}

const newcomerOf = (token: NewManagedToken, name: string): Newcomer => ({
  provider: token.provider,
  name,
  kind: token.kind ?? "shared",
  credential: credentialOf(token.provider, token),
  disabled: token.disabled === true ? disabledWhenAdded : undefined
})

const heldOf = ({ clashes: [{ by, index, name }] }: TokensClash) => new TokenHeld({ name, by, index })
