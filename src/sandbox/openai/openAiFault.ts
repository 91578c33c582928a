/** The faults the OpenAI-compatible providers can be asked for. */
import { Schema, Struct } from "effect"
import { Count, timing } from "../faultTerms.ts"
import type { Struck } from "../faultTerms.ts"
import { accountsOf, openAiCalls, providerNames } from "./providers.ts"
import type { OpenAiCall } from "./providers.ts"

const own = ["retryAfter", "headers", "afterEvents", "delay", "status", "code", "message", "bytes"] as const

/** What sets one kind of fault apart. */
interface Kind {
  readonly calls: ReadonlyArray<OpenAiCall>
  /** When it arrives, the call is struck whatever it asks; when accepted, an answer that would have been a good one. */
  readonly strikes: Struck["phase"]
  /** Strikes only answers that are wanted so. */
  readonly wanted?: "stream" | "whole"
  /** The fields that change something about it, besides those that say which calls it strikes. */
  readonly takes: ReadonlyArray<(typeof own)[number]>
  /** Which statuses it can answer with. */
  readonly statuses?: { readonly minimum: number; readonly maximum: number }
}

const every = openAiCalls
/** Calls whose answers can be streamed. */
const streamable = ["chat", "completions", "responses"] as const
/** Those that end in `[DONE]`. */
const terminated = ["chat", "completions"] as const

const clientError = { minimum: 400, maximum: 499 }
const serverError = { minimum: 500, maximum: 599 }

const refusal = (takes: Kind["takes"], statuses?: Kind["statuses"], calls: Kind["calls"] = every): Kind => ({
  calls,
  strikes: "arrival",
  takes: ["delay", "headers", ...takes, ...(statuses === undefined ? [] : (["status"] as const))],
  ...(statuses === undefined ? {} : { statuses })
})
const atDoor = (...takes: Kind["takes"]): Kind => ({ calls: every, strikes: "arrival", takes: ["delay", ...takes] })
const inAnswer = (...takes: Kind["takes"]): Kind => ({ calls: every, strikes: "accepted", takes })
const inStream = (calls: Kind["calls"], ...takes: Kind["takes"]): Kind => ({
  calls,
  strikes: "accepted",
  wanted: "stream",
  takes
})

const asking = ["chat", "completions", "embeddings", "responses"] as const

const kinds = {
  rate_limit: refusal(["retryAfter", "message"]),
  quota: refusal(["retryAfter", "message"]),
  insufficient_balance: refusal(["message"], clientError),
  unauthorized: refusal(["message"]),
  blocked: refusal(["message"], clientError),
  server_error: refusal(["retryAfter", "message"], serverError),
  bad_gateway_html: refusal(["retryAfter"], serverError),
  context_exceeded: refusal(["message"], clientError, asking),
  content_filter: refusal(["message"], clientError, asking),
  model_not_found: refusal(["message"], clientError, asking),
  redirect: refusal([], { minimum: 300, maximum: 399 }),
  reset: atDoor(),
  silence: { calls: every, strikes: "arrival", takes: [] },
  slow: atDoor(),
  empty: atDoor("headers"),
  error_in_body: atDoor("code", "message"),
  /** Breaks the connection of a call that a limit refuses, in place of a 429. */
  drop_over_limit: { calls: asking, strikes: "refused", takes: [] },
  slow_first: inAnswer("afterEvents", "delay"),
  cut: inAnswer("afterEvents", "delay"),
  stall: inAnswer("afterEvents", "delay"),
  malformed: inAnswer("afterEvents", "message"),
  huge_event: { ...inAnswer("bytes"), calls: streamable },
  content_filter_finish: { ...inAnswer(), calls: streamable },
  split: inAnswer(),
  no_content_type: inAnswer(),
  truncated: inStream(streamable, "afterEvents"),
  error_in_stream: inStream(streamable, "afterEvents", "code", "message"),
  quota_in_stream: inStream(streamable, "afterEvents", "message"),
  no_done: inStream(terminated),
  no_finish: inStream(terminated),
  crlf: inStream(streamable),
  multi_line: inStream(streamable),
  comments: inStream(streamable),
  json_instead_of_stream: inStream(streamable),
  stream_instead_of_json: { ...inStream(streamable), wanted: "whole" }
} satisfies Record<string, Kind>

const kindOf = ({ kind }: { readonly kind: keyof typeof kinds }): Kind => kinds[kind]

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(1_000))
/** What a header can carry. */
const HeaderText = Text.check(Schema.isPattern(/^[\x20-\x7e]+$/))
const HeaderName = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,63}$/))

const Fields = Schema.Struct({
  provider: Schema.Literals(providerNames),
  /** Default "chat". */
  call: Schema.optionalKey(Schema.Literals(openAiCalls)),
  kind: Schema.Literals(Struct.keys(kinds)),
  /** Strikes only requests for this model. */
  model: Schema.optionalKey(Text),
  /** Strikes only requests with this account's key, such as "zhipu-a": with `skip`, a quota of its own. */
  account: Schema.optionalKey(Schema.Literals(providerNames.flatMap(accountsOf))),
  ...timing,
  /** Sent as it stands: seconds, a fraction, an HTTP date, or nonsense. */
  retryAfter: Schema.optionalKey(Schema.Union([Schema.Finite, HeaderText])),
  /** Further headers, such as `retry-after-ms` or `x-ratelimit-reset-requests`. Names in lower case. */
  headers: Schema.optionalKey(Schema.Record(HeaderName, HeaderText).check(Schema.isMaxProperties(16))),
  /** How many events leave before it strikes. */
  afterEvents: Schema.optionalKey(Count),
  status: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 300, maximum: 599 }))),
  /** The code of an error inside a 200. */
  code: Schema.optionalKey(Schema.Union([Text, Schema.Int])),
  /** In place of the provider's own words, or of what is sent as no JSON. */
  message: Schema.optionalKey(Text),
  /** How large a huge event is (default 2 MiB). */
  bytes: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 * 1024 * 1024 })))
})

/** A fault that could never strike, or a field that would change nothing, is refused rather than silently kept. */
export const OpenAiFault = Fields.check(Schema.makeFilter((fault: typeof Fields.Type) => misfits(fault)))
export type OpenAiFault = typeof OpenAiFault.Type

export const callOf = ({ call = "chat" }: Pick<OpenAiFault, "call">): OpenAiCall => call

/** Whether a fault at the call's own provider strikes it. */
export const fits = (fault: OpenAiFault, { account, call, phase, stream }: Struck): boolean => {
  const { strikes, wanted } = kindOf(fault)
  return (
    callOf(fault) === call &&
    strikes === phase &&
    (wanted === undefined || (wanted === "stream") === (stream === true)) &&
    (fault.account === undefined || fault.account === account)
  )
}

const misfits = (fault: typeof Fields.Type) => {
  const { calls, statuses, takes } = kindOf(fault)
  const call = callOf(fault)
  const { account, model, provider, status } = fault
  return [
    ...(calls.includes(call) ? [] : [{ path: ["kind"], issue: `"${fault.kind}" can only strike ${calls.join(", ")}` }]),
    ...(model !== undefined && call === "models" ? [{ path: ["model"], issue: `"models" names no model` }] : []),
    ...(account === undefined || accountsOf(provider).includes(account)
      ? []
      : [{ path: ["account"], issue: `${provider} knows ${accountsOf(provider).join(", ")}` }]),
    ...own
      .filter((field) => fault[field] !== undefined && !takes.includes(field))
      .map((field) => ({ path: [field], issue: `changes nothing about "${fault.kind}"` })),
    ...(status === undefined || statuses === undefined || (status >= statuses.minimum && status <= statuses.maximum)
      ? []
      : [{ path: ["status"], issue: `"${fault.kind}" answers ${statuses.minimum} to ${statuses.maximum}` }])
  ]
}
