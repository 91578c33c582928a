/** The tokens as a person looks at them: from the store, or from a server, which also knows what is lent now. */
import { Clock, Effect, Layer } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import type { ConsoleToken } from "../contract/console.ts"
import type { TokenState } from "../contract/tokens.ts"
import { shown } from "../overview/shownToken.ts"
import { compare } from "../overview/tokenPages.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { json } from "./json.ts"
import { records } from "./layers.ts"
import { RunningServer } from "./RunningServer.ts"
import { table } from "./table.ts"
import { ago, until } from "./time.ts"

export interface Wanted {
  readonly provider: string | undefined
  readonly state: TokenState | undefined
  readonly json: boolean
}

/** How many have a token is the servers' to know. */
type Token = Omit<ConsoleToken, "leased"> & { readonly leased?: number }

export const stored = Predictor.layer.pipe(Layer.provideMerge(records))

export const ofStore = Effect.fnUntraced(function* (wanted: Wanted) {
  const predictor = yield* Predictor
  const views = yield* TokenPool.use((pool) => pool.list(wanted.provider))
  const tokens = yield* Effect.forEach(
    views.filter(({ state }) => wanted.state === undefined || state._tag === wanted.state).toSorted(compare),
    (view) =>
      Effect.map(
        predictor.predict({ provider: view.provider, kind: view.kind, token: view.id }),
        (prediction): Token => {
          const { leased: _ofThisProcess, ...token } = shown(view, prediction)
          return token
        }
      )
  )
  return yield* told(tokens, wanted)
})

export const ofServer = (wanted: Wanted) =>
  Effect.flatMap(
    RunningServer.use((server) => server.tokens(wanted)),
    (tokens) => told(tokens, wanted)
  )

const told = (tokens: ReadonlyArray<Token>, wanted: Wanted) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    if (wanted.json) return json({ tokens })
    if (tokens.length === 0) return "(none)"
    return table(
      ["id", "name", "provider", "kind", "state", "served", "success", "quota left", "last used"],
      tokens.map((token) => [
        token.id,
        token.name,
        token.provider,
        token.kind,
        `${token.state}${token.why === null ? "" : `: ${token.why}`}${until(token.until ?? undefined, now)}`,
        token.served,
        token.success_rate === null ? "–" : percent(token.success_rate),
        quotaOf(token),
        token.last_used_at === null ? "never" : ago(now - token.last_used_at)
      ])
    )
  })

const percent = (share: number) => `${Math.floor(share * 100)} %`

/** What the upstream says; of what is only expected, how sure that is. */
const quotaOf = ({ predicted, quota }: Token): string => {
  const left =
    quota === null ? [] : [quota.unlimited ? "unlimited" : `${Math.max(0, quota.limit - quota.used)} of ${quota.limit}`]
  const expected = predicted === null ? [] : [`${predicted.level} (${percent(predicted.confidence)} sure)`]
  return [...left, ...expected].join(", ") || "unknown"
}
