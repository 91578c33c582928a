/** The calls of the contract, one method each, with retries. Names of fields are those of the wire. */
import { Effect, type Redacted } from "effect"
import { HttpApiClient } from "effect/http-api"
import type { LentToken, NewToken, Report, Statistics, Strategy, TokenAnswer, WhichToken } from "./shapes.ts"
import type { DownloadAddress, FilesAnswer, FoldersAnswer, Listed, Which } from "./shapes.ts"
import { Api, type Exchange } from "./exchange.ts"
import type { Checked } from "./options.ts"
import { type Kind, type Patience, withRetries } from "./retrying.ts"
import type { Reason, WeirgateError } from "./WeirgateError.ts"

/** Each fails with a `WeirgateError`; each waits for retries for at most `deadline`; interruption aborts the request. */
export interface TokenCalls {
  /**
   * Lends a token, `wopan`'s by round robin unless it says otherwise. When there is none now and the server says when there will
   * be, that is waited for if it is soon (`longestWait`). How the call with it ended is to be reported before
   * `lease_expires_at`; `withToken` does both. A lease whose answer was lost runs out by itself.
   */
  get(asked?: Strategy | Which): Effect.Effect<LentToken, WeirgateError>
  /** `TokenHeld` when it is there already, `Conflict` (`name_taken`) when its name is. Retried only when nothing was sent, or on 429 and 503. */
  add(token: NewToken): Effect.Effect<TokenAnswer, WeirgateError>
  /** By exactly one of `token`, `id` and `name`. Retried as `add` is; `NotFound` when there is none. */
  remove(which: WhichToken): Effect.Effect<TokenAnswer, WeirgateError>
  /**
   * With `lease` it is retried until it lands: undefined when an earlier try had landed whose answer was lost. Without, by
   * `token`, it is retried as `add` is, since twice would count twice.
   */
  report(report: Report): Effect.Effect<ReportAnswer | undefined, WeirgateError>
  stats(asked?: { readonly provider?: string | undefined }): Effect.Effect<Statistics, WeirgateError>
}

export interface DriveCalls {
  /** The names of the folders in the root, or in `folder`, such as `a/b`. */
  folders(asked?: Listed): Effect.Effect<FoldersAnswer, WeirgateError>
  /** What is in the root, or in `folder`. `realtime` asks the drive itself; `source` and `age` tell where the answer comes from. */
  files(asked?: Listed): Effect.Effect<FilesAnswer, WeirgateError>
  /** An address at which the file `url`, such as `folder/name`, can be had for a while. */
  download(asked: {
    readonly url: string
    readonly account?: string | undefined
  }): Effect.Effect<DownloadAddress, WeirgateError>
}

export type ReportAnswer = TokenAnswer & { readonly state: string }

type Secrets = ReadonlyArray<Redacted.Redacted | undefined>

export const tokenCalls = (
  { endpoints, once }: Exchange,
  patience: Patience,
  reporting: Patience
): { readonly tokens: TokenCalls; readonly report: TokenCalls["report"] } => {
  const { tokens } = endpoints
  const decoders = {
    get: HttpApiClient.decodeResponse(Api, { group: "tokens", endpoint: "get" }),
    add: HttpApiClient.decodeResponse(Api, { group: "tokens", endpoint: "add" }),
    remove: HttpApiClient.decodeResponse(Api, { group: "tokens", endpoint: "remove" }),
    report: HttpApiClient.decodeResponse(Api, { group: "tokens", endpoint: "report" }),
    stats: HttpApiClient.decodeResponse(Api, { group: "tokens", endpoint: "stats" })
  }
  const dataOf = <A>(attempt: Effect.Effect<{ readonly data: A }, Reason>, kind: Kind) =>
    withRetries(() => Effect.map(attempt, ({ data }) => data), kind, patience)

  const report = (patience: Patience) => (given: Report) => {
    const ask = tokens.report({ payload: defined(given), responseMode })
    const attempt = Effect.map(once(ask, decoders.report, [given.token]), ({ data }): ReportAnswer | undefined => data)
    if (given.lease === undefined) return withRetries(() => attempt, "once", patience)
    return withRetries(
      (mayBeDone) => (mayBeDone ? Effect.catchIf(attempt, hasBeenReported, () => Effect.undefined) : attempt),
      "repeatable",
      patience
    )
  }

  return {
    tokens: {
      get: (asked) => {
        const query = defined(typeof asked === "string" ? { strategy: asked } : (asked ?? {}))
        return dataOf(once(tokens.get({ query, responseMode }), decoders.get), "repeatable")
      },
      add: (token) => {
        const secrets: Secrets = [token.token, token.refresh_token]
        return dataOf(once(tokens.add({ payload: defined(token), responseMode }), decoders.add, secrets), "once")
      },
      remove: (which) => {
        const ask = tokens.remove({ payload: defined(which), responseMode })
        return dataOf(once(ask, decoders.remove, [which.token]), "once")
      },
      report: report(patience),
      stats: (asked = {}) =>
        dataOf(once(tokens.stats({ query: defined(asked), responseMode }), decoders.stats), "repeatable")
    },
    report: report(reporting)
  }
}

export const driveCalls = ({ endpoints, once }: Exchange, patience: Checked["patience"]["drive"]): DriveCalls => {
  const { drive } = endpoints
  const decoders = {
    folders: HttpApiClient.decodeResponse(Api, { group: "drive", endpoint: "folders" }),
    files: HttpApiClient.decodeResponse(Api, { group: "drive", endpoint: "files" }),
    download: HttpApiClient.decodeResponse(Api, { group: "drive", endpoint: "download" })
  }
  const patiently = <A extends object>(attempt: Effect.Effect<A, Reason>) =>
    withRetries(() => Effect.map(attempt, withoutFrame), "repeatable", patience)

  return {
    folders: (asked) => patiently(once(drive.folders({ query: listedQuery(asked), responseMode }), decoders.folders)),
    files: (asked) => patiently(once(drive.files({ query: listedQuery(asked), responseMode }), decoders.files)),
    download: (asked) => patiently(once(drive.download({ query: defined(asked), responseMode }), decoders.download))
  }
}

const responseMode = "response-only"

/** That it was reported before, after a try whose answer was lost, is what was asked for. */
export const hasBeenReported = (reason: Reason): boolean => reason.code === "lease_reported"

const listedQuery = ({ account, folder, realtime }: Listed = {}) =>
  defined({
    account,
    folder,
    realtime: realtime === undefined ? undefined : realtime ? ("true" as const) : ("false" as const)
  })

const withoutFrame = <A extends object>(answer: A): Omit<A, "code" | "success"> => {
  const {
    code: _code,
    success: _success,
    ...rest
  } = answer as A & { readonly code: unknown; readonly success: unknown }
  return rest
}

type Defined<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> }

/** The contract takes a field or none; JavaScript's callers give `undefined` as well. */
const defined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
