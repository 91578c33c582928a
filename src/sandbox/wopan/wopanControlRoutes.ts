/** Ends a token before its time, and changes what is in an account, so that what is live and what is remembered differ. */
import { Effect, Result, Schema } from "effect"
import { HttpRouter, type HttpServerResponse } from "effect/http"
import { firstIssue } from "../../domain/firstIssue.ts"
import { json, refused, withBody } from "../controlAnswers.ts"
import { WopanAccounts } from "./WopanAccounts.ts"

const Path = Schema.String.check(
  Schema.isPattern(/^[^/]+(\/[^/]+){0,15}$/u, { expected: "up to 16 names with a slash between them" }),
  Schema.isMaxLength(4_096)
)
const decodeExpiry = Schema.decodeUnknownResult(Schema.Struct({ account: Schema.String }))
const decodeEntry = Schema.decodeUnknownResult(
  Schema.Struct({
    account: Schema.String,
    path: Path,
    /** In bytes (default 0). */
    size: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
  })
)

interface Entry {
  readonly account: string
  readonly path: ReadonlyArray<string>
  readonly size: number
}

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

    const withEntry = (act: (entry: Entry) => Effect.Effect<HttpServerResponse.HttpServerResponse>) =>
      withBody((body) => {
        const decoded = decodeEntry(body)
        if (Result.isFailure(decoded)) return Effect.succeed(wrong(decoded.failure))
        const { account, path, size = 0 } = decoded.success
        return accounts.names.includes(account)
          ? act({ account, path: path.split("/"), size })
          : Effect.succeed(unknown)
      })

    const add = Effect.fnUntraced(function* ({ account, path, size }: Entry) {
      switch (yield* accounts.addFile(account, path, size)) {
        case "Added":
          return json({ account, path: path.join("/"), size })
        case "Taken":
          return refused("path", "a folder is there, or a file where a folder would have to be")
        case "Full":
          return refused("path", "the account is full")
      }
    })

    const remove = Effect.fnUntraced(function* ({ account, path }: Entry) {
      const removed = yield* accounts.remove(account, path)
      return removed ? json({ removed: path.join("/"), account }) : refused("path", "there is no such file or folder")
    })

    yield* router.add("POST", "/_sandbox/wopan/expire", withBody(expire))
    yield* router.add("POST", "/_sandbox/wopan/files", withEntry(add))
    yield* router.add("DELETE", "/_sandbox/wopan/files", withEntry(remove))
  })
)

const wrong = ({ issue }: Schema.SchemaError) => {
  const { field, reason } = firstIssue(issue)
  return refused(field === "" ? "body" : field, reason)
}
