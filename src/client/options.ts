/** How a client is told whom to call and how patient to be. */
import { Duration, Redacted, Result } from "effect"
import type { Patience } from "./retrying.ts"
import { BadRequest, WeirgateError } from "./WeirgateError.ts"

/** Times are durations such as `"5 seconds"`; a plain number is milliseconds. */
export interface Timing {
  /**
   * For one try of a token call. Default: 5 seconds. A drive call has as long as `deadline`, since the server may have to ask
   * the drive for many pages.
   */
  readonly timeout?: Duration.Input | undefined
  /** For a call with all its tries and waits. Default: 30 seconds. */
  readonly deadline?: Duration.Input | undefined
  /** How long `withToken` may spend on telling how the call ended. Default: 10 seconds. */
  readonly reportWithin?: Duration.Input | undefined
  readonly retry?:
    | {
        /** In all. Default: 3. */
        readonly tries?: number | undefined
        /** Before the second; twice that before the third, and so on, each longer by chance by up to a fifth. Default: 1 second. */
        readonly delay?: Duration.Input | undefined
        /** A server that asks for a longer wait than this is not waited for. Default: 10 seconds. */
        readonly longestWait?: Duration.Input | undefined
      }
    | false
    | undefined
}

export interface ClientOptions extends Timing {
  /** Such as `http://127.0.0.1:28889`; a path in it is kept. */
  readonly baseUrl: string | URL
  /** Of role `token` or `admin`; for the drive any. */
  readonly apiKey: Redacted.Redacted
}

export interface Checked {
  /** Without a slash at its end. */
  readonly baseUrl: string
  readonly apiKey: Redacted.Redacted
  readonly patience: { readonly tokens: Patience; readonly drive: Patience; readonly report: Patience }
}

/** Never repeats what was given: a URL may hold a password, and a header that cannot be sent is quoted by what refuses it. */
export const checked = (options: ClientOptions): Result.Result<Checked, WeirgateError> =>
  Result.try({
    try: () => {
      const { apiKey, baseUrl } = options
      const url = URL.canParse(String(baseUrl)) ? new URL(baseUrl) : undefined
      if (url === undefined || !/^https?:$/.test(url.protocol)) throw flaw("baseUrl", "expected an http or https URL")
      if (url.username !== "" || url.password !== "") throw flaw("baseUrl", "credentials belong in apiKey")
      if (url.search !== "" || url.hash !== "") throw flaw("baseUrl", "it has a query or a fragment")
      if (!/^[\x21-\x7e]+$/.test(Redacted.value(apiKey))) throw flaw("apiKey", "expected a key, without spaces")
      return { baseUrl: `${url.origin}${url.pathname.replace(/\/+$/, "")}`, apiKey, patience: patienceOf(options) }
    },
    catch: (error) => (error instanceof WeirgateError ? error : flaw("options", "they cannot be used"))
  })

const patienceOf = (timing: Timing): Checked["patience"] => {
  const deadline = millis("deadline", timing.deadline ?? "30 seconds")
  const timeout = millis("timeout", timing.timeout ?? "5 seconds")
  const { delay, longestWait, tries = 3 } = timing.retry === false ? { tries: 1 } : (timing.retry ?? {})
  if (!Number.isInteger(tries) || tries < 1) throw flaw("retry.tries", "expected a whole number from 1")
  const tokens = {
    tries,
    delay: millis("retry.delay", delay ?? "1 second"),
    longestWait: millis("retry.longestWait", longestWait ?? "10 seconds"),
    timeout,
    deadline
  }
  const within = millis("reportWithin", timing.reportWithin ?? "10 seconds")
  return { tokens, drive: { ...tokens, timeout: deadline }, report: { ...tokens, deadline: within } }
}

const millis = (param: string, input: Duration.Input): number => {
  const millis = Result.getOrElse(
    Result.try(() => Duration.toMillis(Duration.fromInputUnsafe(input))),
    () => Number.NaN
  )
  if (!(millis > 0)) throw flaw(param, 'expected a duration above zero, such as "5 seconds"')
  return millis
}

const flaw = (param: string, detail: string) =>
  new WeirgateError({ reason: new BadRequest({ code: "invalid_option", param, detail: `${param}: ${detail}` }) })
