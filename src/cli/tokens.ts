/** What only a person may decide about a token of the pool. A running server takes it over within five seconds. */
import { Effect, Schema } from "effect"
import { Audit } from "../access/Audit.ts"
import type { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"

/** No token is called so. */
export class NoSuchToken extends Schema.TaggedError<NoSuchToken>()("NoSuchToken", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `there is no token ${this.name}; there ${this.known.length === 0 ? "is none" : `are ${this.known.join(", ")}`}`
  }
}

const named = Effect.fnUntraced(function* (name: string) {
  const tokens = yield* TokenPool.use((pool) => pool.list())
  const found = tokens.find((token) => token.id === name || token.name === name)
  if (found === undefined) return yield* new NoSuchToken({ name, known: tokens.map((token) => token.name) })
  return found
})

/** Kept in the audit log, also when there is no such token or the store fails. */
const change = <E extends { readonly message: string }>(
  verb: string,
  act: (pool: TokenPool["Service"], id: TokenId) => Effect.Effect<void, E>
) =>
  Effect.fnUntraced(function* (name: string) {
    const pool = yield* TokenPool
    const audit = yield* Audit
    const kept = { actor: "command line", action: `token.${verb}` }
    const token = yield* Effect.flatMap(named(name), (token) => Effect.as(act(pool, token.id), token)).pipe(
      Effect.tapError(({ message }) => audit.record({ ...kept, subject: name, result: "refused", detail: message }))
    )
    yield* audit.record({ ...kept, subject: `${token.name} (${token.id})`, result: "done" })
  })

/** Forgets its failures, also the final ones: it is as if new. */
export const reset = change("reset", (pool, id) => pool.reset(id))

/** Takes it out of use until `enable` or `reset`. */
export const disable = change("disable", (pool, id) => pool.disable(id, "disabled by a person"))

export const enable = change("enable", (pool, id) => pool.enable(id))

/** Forgets it, secrets and all. One that the configuration names comes back at the next start. */
export const remove = change("remove", (pool, id) => pool.remove(id))
