/** Takes a token in, whose secrets are asked for. A running server takes it over within five seconds. */
import { Clock, Console, Effect, Redacted, Schema } from "effect"
import { Audit } from "../access/Audit.ts"
import { NewToken } from "../contract/tokens.ts"
import type { TokenKind } from "../domain/Token.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import { TokenManager } from "../manager/TokenManager.ts"
import { expiryOf } from "./keys.ts"
import { secrets } from "./secretInput.ts"

/** What was given cannot be a token. */
export class TokenRefused extends Schema.TaggedError<TokenRefused>()("TokenRefused", {
  field: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.field}: ${this.reason}`
  }
}

export interface Wanted {
  readonly provider: string
  readonly name: string | undefined
  readonly kind: TokenKind | undefined
  /** A duration from now on, or an ISO date, which without a zone is UTC's. */
  readonly expires: string | undefined
  /** Whether there is a secret to renew it with, which is asked for after the token. */
  readonly isRenewable: boolean
}

/** Kept in the audit log, also when it is refused. */
export const add = Effect.fnUntraced(function* ({ expires, isRenewable, kind, name, provider }: Wanted) {
  const manager = yield* TokenManager
  const accessExpiresAt = expires === undefined ? undefined : yield* expiryOf(expires, yield* Clock.currentTimeMillis)
  const fields = { provider, ...(name !== undefined && { name }), ...(kind !== undefined && { kind }) }
  // Before a secret is asked for.
  yield* checked({ ...fields, token: "unknown-yet" })
  const [token, refresh] = yield* secrets(isRenewable ? ["token", "refresh token"] : ["token"])
  const given = yield* checked({
    ...fields,
    token: token && Redacted.value(token),
    ...(refresh && { refresh_token: Redacted.value(refresh) })
  })
  const told = (subject: string, result: "done" | "refused", detail: string) =>
    Audit.use((audit) => audit.record({ actor: "command line", action: "token.add", subject, result, detail }))
  const added = yield* manager
    .add({ provider, name, kind, token: given.token, refresh: given.refresh_token, accessExpiresAt })
    .pipe(Effect.tapError(({ message }) => told(name ?? provider, "refused", message)))
  yield* told(`${added.name} (${added.id})`, "done", `of ${provider}`)
  yield* Console.log(`${added.name} (${added.id}) of ${provider}: added`)
})

const decode = Schema.decodeUnknownEffect(NewToken)

const checked = (input: object) =>
  Effect.mapError(decode(input), ({ issue }) => {
    const { field, reason } = firstIssue(issue)
    // Where the secret of a `Redacted` is at fault, the path goes into it; why is told without it.
    const name = field.replace(/\.value$/, "")
    return name === "token" || name === "refresh_token"
      ? new TokenRefused({
          field: name.replace("_", " "),
          reason: "expected 1 to 8192 printable ASCII characters without spaces"
        })
      : new TokenRefused({ field: `--${name}`, reason })
  })
