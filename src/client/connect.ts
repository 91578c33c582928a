/** A running Weirgate, for programs with promises. */
import { Cause, Effect, Exit, ManagedRuntime, Redacted, Result, Schema } from "effect"
import { NewToken, Report, WhichToken } from "../contract/tokens.ts"
import { firstIssue } from "../domain/firstIssue.ts"
import type { ReportAnswer } from "./calls.ts"
import type { LendingOptions } from "./lending.ts"
import { checked, type ClientOptions } from "./options.ts"
import type {
  FilesAnswer,
  FoldersAnswer,
  LentToken,
  Listed,
  PlainDownloadAddress,
  PlainLentToken,
  PlainNewToken,
  PlainReport,
  PlainWhichToken,
  Statistics,
  Strategy,
  TokenAnswer,
  Which
} from "./shapes.ts"
import { WeirgateClient } from "./WeirgateClient.ts"
import { BadRequest, Unavailable, WeirgateError } from "./WeirgateError.ts"

export interface ConnectOptions extends Omit<ClientOptions, "apiKey"> {
  /** Of role `token` or `admin`; for the drive any. */
  readonly apiKey: string
}

export interface CallOptions {
  /** Ends the call, which then rejects with the signal's `reason`. */
  readonly signal?: AbortSignal | undefined
}

/**
 * The same calls as `WeirgateClient`, as promises. Secrets are plain strings here, since plain JavaScript needs them so: take
 * care where they go. Each rejects with a `WeirgateError`.
 */
export interface Weirgate extends AsyncDisposable {
  readonly tokens: {
    get(asked?: Strategy | Which, call?: CallOptions): Promise<PlainLentToken>
    add(token: PlainNewToken, call?: CallOptions): Promise<TokenAnswer>
    remove(which: PlainWhichToken, call?: CallOptions): Promise<TokenAnswer>
    /** Undefined when an earlier try had landed whose answer was lost. */
    report(report: PlainReport, call?: CallOptions): Promise<ReportAnswer | undefined>
    stats(asked?: { readonly provider?: string | undefined }, call?: CallOptions): Promise<Statistics>
  }
  readonly drive: {
    folders(asked?: Listed, call?: CallOptions): Promise<FoldersAnswer>
    files(asked?: Listed, call?: CallOptions): Promise<FilesAnswer>
    download(
      asked: { readonly url: string; readonly account?: string | undefined },
      call?: CallOptions
    ): Promise<PlainDownloadAddress>
  }
  /**
   * Runs `use` with a token and reports by itself how it ended; rejects with what `use` rejected with. `signal` in `use` is
   * aborted with the call: hand it on. A call that is aborted, or in which `use` rejects with an `AbortError`, is not
   * reported, and its lease is left to run out. One that is aborted after `use` has ended is: it rejects once that is done.
   * What another token may mend is tried with another.
   */
  withToken<A>(
    asked: Strategy | Which,
    use: (token: PlainLentToken, context: { readonly signal: AbortSignal }) => A | PromiseLike<A>,
    options?: LendingOptions<unknown> & CallOptions
  ): Promise<A>
  /** Ends what is under way, waits for the reports that are due, and refuses all further calls. */
  close(): Promise<void>
}

/** Asks nothing of the server. Throws a `WeirgateError` (`BadRequest`) when the options cannot be used. */
export const connect = ({ apiKey, ...options }: ConnectOptions): Weirgate => {
  const given = { ...options, apiKey: Redacted.make(apiKey) }
  Result.getOrThrow(checked(given))
  const runtime = ManagedRuntime.make(WeirgateClient.layerFetch(given))
  const closing = new AbortController()
  /** As many as the caller has under way. */
  const underWay = new Set<Promise<unknown>>()

  const run = <A>(
    call: (client: WeirgateClient["Service"]) => Effect.Effect<A, unknown>,
    { signal }: CallOptions = {}
  ): Promise<A> => {
    if (closing.signal.aborted) return Promise.reject(closed())
    if (signal?.aborted) return Promise.reject(signal.reason)
    const ends = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal])
    const running = runtime.runPromiseExit(WeirgateClient.use(call), { signal: ends })
    underWay.add(running)
    return running.then((exit) => {
      underWay.delete(running)
      if (Exit.isSuccess(exit)) return exit.value
      throw Cause.hasInterruptsOnly(exit.cause) && ends.aborted ? ends.reason : Cause.squash(exit.cause)
    })
  }

  const close = () => {
    closing.abort(closed())
    return Promise.all(underWay).then(() => runtime.dispose())
  }

  return {
    tokens: {
      get: (asked, call) => run(({ tokens }) => Effect.map(tokens.get(asked), plain), call),
      add: (token, call) => run(({ tokens }) => Effect.flatMap(asNewToken(token), tokens.add), call),
      remove: (which, call) => run(({ tokens }) => Effect.flatMap(asWhichToken(which), tokens.remove), call),
      report: (report, call) => run(({ tokens }) => Effect.flatMap(asReport(report), tokens.report), call),
      stats: (asked, call) => run(({ tokens }) => tokens.stats(asked), call)
    },
    drive: {
      folders: (asked, call) => run(({ drive }) => drive.folders(asked), call),
      files: (asked, call) => run(({ drive }) => drive.files(asked), call),
      download: (asked, call) =>
        run(({ drive }) => Effect.map(drive.download(asked), (at) => ({ ...at, url: Redacted.value(at.url) })), call)
    },
    withToken: <A>(
      asked: Strategy | Which,
      use: (token: PlainLentToken, context: { readonly signal: AbortSignal }) => A | PromiseLike<A>,
      { signal, ...lending }: LendingOptions<unknown> & CallOptions = {}
    ) =>
      run(
        ({ withToken }) =>
          withToken(
            asked,
            (token) =>
              // A promise may be rejected with anything, and the caller is to get just that.
              // @effect-diagnostics-next-line unknownInEffectCatch:off
              Effect.tryPromise({
                // What it throws before its first promise is a rejection as well.
                try: (signal) => new Promise<A>((resolve) => resolve(use(plain(token), { signal }))),
                catch: (error) => error
              }),
            lending
          ),
        { signal }
      ),
    close,
    [Symbol.asyncDispose]: close
  }
}

const closed = () =>
  new WeirgateError({
    reason: new Unavailable({ code: "closed", detail: "the client has been closed", mayBeDone: true })
  })

const plain = (lent: LentToken): PlainLentToken => ({ ...lent, token: Redacted.value(lent.token) })

/** JavaScript's callers may give `undefined` for a field that is left out, and an argument of any other shape. */
const given = <A, I>(schema: Schema.Codec<A, I>) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (input: object): Effect.Effect<A, WeirgateError> =>
    decode(Object.fromEntries(Object.entries(input ?? {}).filter(([, value]) => value !== undefined))).pipe(
      Effect.mapError(({ issue }) => {
        const { field } = firstIssue(issue)
        // Why is not told: it may quote a secret.
        const detail = field === "" ? "the argument cannot be used" : `${field}: it cannot be used`
        const param = field === "" ? null : field
        return new WeirgateError({ reason: new BadRequest({ code: "invalid_argument", param, detail }) })
      })
    )
}
const asNewToken = given(NewToken)
const asWhichToken = given(WhichToken)
const asReport = given(Report)
