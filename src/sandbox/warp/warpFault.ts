/** The faults the emulated Warp can be asked for. */
import { Schema, Struct } from "effect"
import { Count, timing } from "../faultTerms.ts"

export const WarpCall = Schema.Literals(["createAnonymousUser", "exchange", "refresh", "quota", "ai"])
export type WarpCall = typeof WarpCall.Type

/** What sets one kind of fault apart. */
interface Kind {
  readonly calls: ReadonlyArray<WarpCall>
  /** When it arrives, the call is struck whatever it asks; when accepted, an answer that would have been a good one. */
  readonly strikes: "arrival" | "accepted"
  /** The fields that change something about it, besides those that say which calls it strikes. */
  readonly takes: ReadonlyArray<"retryAfter" | "afterEvents" | "delay" | "status" | "code" | "message">
}

const onArrival = (calls: ReadonlyArray<WarpCall>, ...takes: Kind["takes"]): Kind => ({
  calls,
  strikes: "arrival",
  takes: ["delay", ...takes]
})
const inStream = (...takes: Kind["takes"]): Kind => ({ calls: ["ai"], strikes: "accepted", takes })

const every = WarpCall.literals

const kinds = {
  rate_limit: onArrival(every, "retryAfter"),
  quota: onArrival(every, "retryAfter"),
  out_of_credits: onArrival(every, "retryAfter", "message"),
  unauthorized: onArrival(every),
  blocked: onArrival(every, "message"),
  cloud_armor: onArrival(every),
  server_error: onArrival(every, "status", "retryAfter"),
  reset: onArrival(every),
  silence: onArrival(every),
  slow: onArrival(every),
  user_facing_error: onArrival(["createAnonymousUser", "quota"], "code", "message"),
  graphql_errors: onArrival(["createAnonymousUser", "quota"], "message"),
  refresh_rejected: onArrival(["exchange", "refresh"], "code"),
  refresh_rotated: { calls: ["refresh"], strikes: "accepted", takes: [] },
  model_not_allowed: onArrival(["ai"]),
  slow_first: inStream("delay"),
  cut: inStream("afterEvents", "delay"),
  truncated: inStream("afterEvents"),
  stall: inStream("afterEvents", "delay"),
  malformed: inStream("afterEvents", "message"),
  quota_in_stream: inStream("afterEvents"),
  max_tokens_in_stream: inStream("afterEvents"),
  context_exceeded_in_stream: inStream("afterEvents"),
  llm_unavailable_in_stream: inStream("afterEvents"),
  internal_error_in_stream: inStream("afterEvents", "message"),
  other_in_stream: inStream("afterEvents"),
  rollback_in_stream: inStream("afterEvents"),
  no_content_type: inStream(),
  crlf: inStream(),
  multi_line: inStream(),
  comments: inStream(),
  quoted: inStream(),
  unpadded: inStream(),
  split: inStream()
} satisfies Record<string, Kind>

export const strikesOnArrival = (fault: WarpFault): boolean => kindOf(fault).strikes === "arrival"

const kindOf = (fault: Pick<WarpFault, "kind">): Kind => kinds[fault.kind]

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(1_000))
/** What a header can carry. */
const HeaderText = Text.check(Schema.isPattern(/^[\x20-\x7e]+$/))

const Fields = Schema.Struct({
  provider: Schema.optionalKey(Schema.Literal("warp")),
  call: WarpCall,
  kind: Schema.Literals(Struct.keys(kinds)),
  /** Strikes only requests for this model. */
  model: Schema.optionalKey(Text),
  ...timing,
  /** Sent as it stands: seconds, a fraction, an HTTP date, or nonsense. */
  retryAfter: Schema.optionalKey(Schema.Union([Schema.Finite, HeaderText])),
  /** How many events leave before it strikes. */
  afterEvents: Schema.optionalKey(Count),
  /** Default 500. */
  status: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 }))),
  /** The upstream's own code: of a rejected token, or the type of a user-facing error. */
  code: Schema.optionalKey(Text),
  message: Schema.optionalKey(Text)
})

/** A fault that could never strike, or a field that would change nothing, is refused rather than silently kept. */
export const WarpFault = Fields.check(Schema.makeFilter((fault: typeof Fields.Type) => misfits(fault)))
export type WarpFault = typeof WarpFault.Type

const misfits = (fault: typeof Fields.Type) => {
  const { calls, takes } = kindOf(fault)
  const optional = ["retryAfter", "afterEvents", "delay", "status", "code", "message"] as const
  return [
    ...(calls.includes(fault.call)
      ? []
      : [{ path: ["kind"], issue: `"${fault.kind}" can only strike ${calls.join(", ")}` }]),
    ...(fault.model === undefined || fault.call === "ai"
      ? []
      : [{ path: ["model"], issue: `only "ai" names a model` }]),
    ...optional
      .filter((field) => fault[field] !== undefined && !takes.includes(field))
      .map((field) => ({ path: [field], issue: `changes nothing about "${fault.kind}"` }))
  ]
}
