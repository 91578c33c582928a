/** What only a person may decide about a token of the pool. A running server takes it over within five seconds. */
import { Effect, Schema } from "effect"
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

/** Forgets its failures, also the final ones: it is as if new. */
export const reset = Effect.fnUntraced(function* (name: string) {
  const { id } = yield* named(name)
  yield* TokenPool.use((pool) => pool.reset(id))
})

/** Takes it out of use until `enable` or `reset`. */
export const disable = Effect.fnUntraced(function* (name: string) {
  const { id } = yield* named(name)
  yield* TokenPool.use((pool) => pool.disable(id, "disabled by a person"))
})

export const enable = Effect.fnUntraced(function* (name: string) {
  const { id } = yield* named(name)
  yield* TokenPool.use((pool) => pool.enable(id))
})

/** Forgets it, secrets and all. One that the configuration names comes back at the next start. */
export const remove = Effect.fnUntraced(function* (name: string) {
  const { id } = yield* named(name)
  yield* TokenPool.use((pool) => pool.remove(id))
})
