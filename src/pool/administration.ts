/** What a person, or the acquirer, does to the tokens: add, remove, disable, enable, reset. */
import { Effect, Redacted, Schema } from "effect"
import type { Credential, TokenId } from "../domain/Token.ts"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import type { Holdings } from "./holdings.ts"
import * as Names from "./names.ts"
import { type Secrets, sealedOf } from "./secrets.ts"
import * as telling from "./telling.ts"
import type { TokenEvent, TokenRecord } from "./tokenState.ts"

/** There is no token of that id. */
export class TokenUnknown extends Schema.TaggedError<TokenUnknown>()("TokenUnknown", { id: Schema.String }) {
  override get message() {
    return `there is no token ${this.id}`
  }
}

export interface NewToken extends Names.Named {
  readonly acquired?: boolean
  readonly credential: Partial<Credential>
}

export interface Administration {
  add(token: NewToken): Effect.Effect<TokenId, StoreUnavailable>
  /** Forgets a token that is of no more use, unless another process knows better. */
  retire(record: TokenRecord): Effect.Effect<void, StoreUnavailable>
  remove(id: TokenId): Effect.Effect<void, TokenUnknown | StoreUnavailable>
  change(id: TokenId, event: TokenEvent): Effect.Effect<void, TokenUnknown | StoreUnavailable>
  find(id: TokenId): Effect.Effect<TokenRecord, TokenUnknown>
}

export const make = (store: Store["Service"], holdings: Holdings, secrets: Secrets): Administration => {
  const find = Effect.fnUntraced(function* (id: TokenId) {
    if (holdings.get(id) === undefined) yield* Effect.ignore(holdings.sync)
    return holdings.get(id) ?? (yield* new TokenUnknown({ id }))
  })

  /** The secrets as they are stored, unless the token was added with the same before and has perhaps renewed them since. */
  const sealed = Effect.fnUntraced(function* (
    id: TokenId,
    credential: Partial<Credential>,
    known: TokenRecord | undefined
  ) {
    const secret = credential.refresh ?? credential.access
    if (secret === undefined) return undefined
    const origin = yield* secrets.open(id, "origin", known?.origin)
    if (origin !== undefined && Redacted.value(origin) === Redacted.value(secret)) return undefined
    return yield* sealedOf(secrets, id, credential)
  })

  const add = Effect.fn("TokenPool.add")(function* (token: NewToken) {
    const { acquired = false, credential, kind, name, provider } = token
    let taken: TokenId | undefined
    while (true) {
      const held = holdings.of(provider).find((record) => record.name === name)?.id
      const proposed = held ?? (yield* Names.newId(token))
      // Without the store the token is held all the same: what it cost may not be had again. The commit then fails.
      const id = yield* Names.claim(store, token, proposed, taken).pipe(Effect.orElseSucceed(() => proposed))
      // Another process has given the name its id, and perhaps renewed its secrets.
      if (id !== proposed && holdings.get(id) === undefined) yield* Effect.ignore(holdings.sync)
      const own = yield* sealed(id, credential, holdings.get(id))
      const event = { _tag: "Added", id, provider, name, kind, acquired, ...(own && { secrets: own }) } as const
      const record = yield* holdings.commit(id, event)
      if (record === undefined || (record.provider === provider && record.name === name)) return id
      taken = id
    }
  })

  return {
    add,
    retire: Effect.fn("TokenPool.retire")(function* (record) {
      const kept = yield* holdings.commit(record.id, { _tag: "Retired" })
      if (kept !== undefined) return
      yield* Names.release(store, record, record.id)
      yield* telling.retired(record)
    }),
    remove: Effect.fn("TokenPool.remove")(function* (id) {
      const record = yield* find(id)
      yield* holdings.commit(id, { _tag: "Removed" })
      yield* Names.release(store, record, id)
    }),
    change: Effect.fnUntraced(function* (id, event) {
      yield* find(id)
      yield* holdings.commit(id, event)
    }),
    find
  }
}
