/** What a tokens.json would bring in: all of it, or nothing and why. Reads, and changes nothing. */
import { Effect } from "effect"
import type { Clash } from "../pool/TokenPool.ts"
import { type NewManagedToken, TokenManager } from "./TokenManager.ts"
import * as TokensFile from "./tokensFile.ts"

export interface ImportOptions {
  /** Of rows that name none. */
  readonly provider: string
  /** The upstreams there are tokens of. */
  readonly providers: ReadonlyArray<string>
  /** Tokens that are held already are passed over, instead of refused. */
  readonly skipKnown: boolean
}

export interface ImportPlan {
  /** In the order of the lines. Nothing is to be imported unless there are none. */
  readonly problems: ReadonlyArray<TokensFile.Problem>
  readonly fresh: ReadonlyArray<NewManagedToken>
  /** How many are passed over. */
  readonly skipped: number
}

export const planned = Effect.fnUntraced(function* (text: string, { provider, providers, skipKnown }: ImportOptions) {
  const tokens = yield* TokenManager
  const { problems, rows } = TokensFile.parse(text, provider)
  const clashes = yield* tokens.clashes(rows.map(({ token }) => token))
  const isKnown = (clash: Clash) => skipKnown && clash.by === "token"
  const skipped = new Set(clashes.filter(isKnown).map(({ index }) => index))
  const plan: ImportPlan = {
    problems: [
      ...problems,
      ...strangersAmong(rows, providers),
      // Those within the file have been told already.
      ...clashes.flatMap((clash) => {
        const place = rows[clash.index]?.place
        return place === undefined || clash.earlier !== undefined || isKnown(clash)
          ? []
          : [{ ...place, ...saidOf(clash) }]
      })
    ].toSorted((a, b) => a.line - b.line || a.column - b.column),
    fresh: rows.filter((_, index) => !skipped.has(index)).map(({ token }) => token),
    skipped: skipped.size
  }
  return plan
})

const strangersAmong = (rows: ReadonlyArray<TokensFile.Row>, known: ReadonlyArray<string>) =>
  rows.flatMap(({ place, token: { provider } }): ReadonlyArray<TokensFile.Problem> => {
    if (known.includes(provider)) return []
    return [{ ...place, field: "provider", reason: `there is no ${provider}; there are ${known.join(", ")}` }]
  })

const saidOf = ({ by, name }: Clash) =>
  by === "token"
    ? { reason: `the pool holds this token already, as ${name}` }
    : { field: "name", reason: `the pool has another token named ${name}` }
