/** Ends a token before its time, and changes what is in an account, so that what is live and what is remembered differ. */
import { Effect, Result, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { firstIssue } from "../../domain/firstIssue.ts"
import { json, refused, withBody } from "../controlAnswers.ts"
import { WopanAccounts } from "./WopanAccounts.ts"

const Path = Schema.String.check(
  Schema.isPattern(/^[^/]+(\/[^/]+){0,15}$/u, { expected: "names with a slash between them" }),
  Schema.isMaxLength(4_096)
)
const decodeExpiry = Schema.decodeUnknownResult(Schema.Struct({ account: Schema.String }))
const decodeFile = Schema.decodeUnknownResult(
  Schema.Struct({
    account: Schema.String,
    path: Path,
    size: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
  })
)

export const wopanControlRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const accounts = yield* WopanAccounts
    const unknown = refused("account", `there are ${accounts.names.join(", ")}`)

    const expire = Effect.fnUntraced(function* (body: unknown) {
      const decoded = decodeExpiry(body)
      if (Result.isFailure(decoded)) return wrong(decoded.failure)
      const { account } = decoded.success
      return (yield* accounts.expire(account)) ? json({ expired: account }) : unknown
    })

    const change = (
      act: (file: { account: string; path: ReadonlyArray<string>; size: number }) => Effect.Effect<void>
    ) =>
      Effect.fnUntraced(function* (body: unknown) {
        const decoded = decodeFile(body)
        if (Result.isFailure(decoded)) return wrong(decoded.failure)
        const { account, path, size = 0 } = decoded.success
        if (!accounts.names.includes(account)) return unknown
        yield* act({ account, path: path.split("/"), size })
        return json({ account, path })
      })

    yield* router.add("POST", "/_sandbox/wopan/expire", withBody(expire))
    yield* router.add(
      "POST",
      "/_sandbox/wopan/files",
      withBody(change(({ account, path, size }) => accounts.addFile(account, path, size)))
    )
    yield* router.add(
      "DELETE",
      "/_sandbox/wopan/files",
      withBody(change(({ account, path }) => accounts.remove(account, path)))
    )
  })
)

const wrong = ({ issue }: Schema.SchemaError) => {
  const { field, reason } = firstIssue(issue)
  return refused(field === "" ? "body" : field, reason)
}
