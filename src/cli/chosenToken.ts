/** Which token a person means who names one: a pure rule. */
import { Result, Schema } from "effect"
import { shown } from "./table.ts"

/** No token is called so. */
export class NoSuchToken extends Schema.TaggedError<NoSuchToken>()("NoSuchToken", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const [some, more] = [this.known.slice(0, mostTold), this.known.length - mostTold]
    const are = some.length === 0 ? "is none" : `are ${some.join(", ")}${more > 0 ? ` and ${more} more` : ""}`
    return shown(`there is no token ${this.name}; there ${are}`)
  }
}

/** Several providers have a token of that name. */
export class TokenAmbiguous extends Schema.TaggedError<TokenAmbiguous>()("TokenAmbiguous", {
  name: Schema.String,
  ids: Schema.Array(Schema.String)
}) {
  override get message() {
    return shown(
      `several tokens are named ${this.name}: say which by its id (${this.ids.join(", ")}) or with --provider`
    )
  }
}

const mostTold = 20

interface Named {
  readonly id: string
  readonly name: string
  readonly provider: string
}

/** Nobody chooses an id, so one that is given is meant. */
export const chosen = <A extends Named>(
  tokens: ReadonlyArray<A>,
  nameOrId: string,
  provider?: string
): Result.Result<A, NoSuchToken | TokenAmbiguous> => {
  const own = tokens.filter((token) => provider === undefined || token.provider === provider)
  const byId = own.find(({ id }) => id === nameOrId)
  if (byId !== undefined) return Result.succeed(byId)
  const [first, ...others] = own.filter(({ name }) => name === nameOrId)
  if (first === undefined) {
    return Result.fail(new NoSuchToken({ name: nameOrId, known: own.map(({ name }) => name) }))
  }
  return others.length === 0
    ? Result.succeed(first)
    : Result.fail(new TokenAmbiguous({ name: nameOrId, ids: [first, ...others].map(({ id }) => id) }))
}
