/** What only a person may decide about a token of the pool. A running server takes it over within five seconds. */
import { Console, Effect, Result, Runtime, Schema } from "effect"
import { Audit } from "../access/Audit.ts"
import type { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { chosen } from "./chosenToken.ts"
import { json } from "./json.ts"
import { RunningServer } from "./RunningServer.ts"
import { shown } from "./table.ts"

/** Kept in the audit log, also when there is no such token or the store fails. */
const change = <E extends { readonly message: string }>(
  verb: string,
  act: (pool: TokenPool["Service"], id: TokenId) => Effect.Effect<void, E>
) =>
  Effect.fnUntraced(function* (name: string, provider?: string) {
    const pool = yield* TokenPool
    const audit = yield* Audit
    const kept = { actor: "command line", action: `token.${verb}` }
    const meant = Effect.flatMap(pool.list(), (tokens) => Effect.fromResult(chosen(tokens, name, provider)))
    const token = yield* Effect.flatMap(meant, (token) => Effect.as(act(pool, token.id), token)).pipe(
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

/** The upstream does not call the token good. The process ends with 2. */
export class CheckNotPassed extends Schema.TaggedError<CheckNotPassed>()("CheckNotPassed", {
  name: Schema.String,
  reason: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    return shown(`${this.name}: ${this.reason}`)
  }
}

/** Has a server ask the token's upstream, which only it can tell apart from what it is doing with the token. */
export const check = Effect.fnUntraced(function* (name: string, provider: string | undefined, isJson: boolean) {
  const server = yield* RunningServer
  const found = chosen(yield* server.tokens({ provider }), name)
  // One that was added a moment ago is in no list of the server's yet, but it finds it by its id.
  const check = yield* Result.match(found, {
    onSuccess: ({ id }) => server.check(id),
    onFailure: (failure) =>
      failure._tag === "NoSuchToken" && provider === undefined
        ? Effect.catchIf(
            server.check(name),
            ({ code }) => code === "token_unknown",
            () => Effect.fail(failure)
          )
        : Effect.fail(failure)
  })
  if (isJson) yield* Console.log(json({ check }))
  if (check === null) return yield* new CheckNotPassed({ name, reason: "its upstream cannot be asked, or not now" })
  if (!check.ok) return yield* new CheckNotPassed({ name, reason: check.detail ?? "its check failed" })
  if (!isJson) yield* Console.log(`${name}: its upstream calls it good (${Math.round(check.took)} ms)`)
})
