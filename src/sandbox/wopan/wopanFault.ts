/** The faults the emulated drive can be asked for. */
import { Schema, Struct } from "effect"
import { timing, type Struck } from "../faultTerms.ts"

export const WopanCall = Schema.Literals(["login", "refresh", "user", "list", "download", "other"])
export type WopanCall = typeof WopanCall.Type

/** The fields that change something about a kind, besides those that say which calls it strikes. */
const kinds = {
  rate_limit: ["retryAfter"],
  server_error: ["status", "retryAfter"],
  unauthorized: [],
  reset: [],
  silence: [],
  slow: [],
  /** The dispatcher's code 9999, whatever the token. */
  expired: [],
  not_logged_in: [],
  refresh_rejected: [],
  rsp_code: ["code", "message"],
  malformed: [],
  html: [],
  /** An answer that is encrypted with another key. */
  bad_cipher: []
} as const satisfies Record<string, ReadonlyArray<"retryAfter" | "status" | "code" | "message">>

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(1_000))
const HeaderText = Text.check(Schema.isPattern(/^[\x20-\x7e]+$/))

const Fields = Schema.Struct({
  provider: Schema.Literal("wopan"),
  call: WopanCall,
  kind: Schema.Literals(Struct.keys(kinds)),
  /** Strikes only calls of this account. */
  account: Schema.optionalKey(Text),
  ...timing,
  retryAfter: Schema.optionalKey(Schema.Union([Schema.Finite, HeaderText])),
  /** Default 500. */
  status: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 500, maximum: 599 }))),
  /** Of `rsp_code`; default 9999. */
  code: Schema.optionalKey(Text.check(Schema.isMaxLength(8))),
  message: Schema.optionalKey(Text)
})

/** A fault that could never strike, or a field that would change nothing, is refused rather than silently kept. */
export const WopanFault = Fields.check(Schema.makeFilter((fault: typeof Fields.Type) => misfits(fault)))
export type WopanFault = typeof WopanFault.Type

const misfits = (fault: typeof Fields.Type) => {
  const takes: ReadonlyArray<string> = kinds[fault.kind]
  const withoutAccount = fault.call === "login" || fault.call === "refresh"
  return [
    ...(fault.kind === "refresh_rejected" && fault.call !== "refresh"
      ? [{ path: ["kind"], issue: `"refresh_rejected" can only strike refresh` }]
      : []),
    ...(fault.kind === "bad_cipher" && withoutAccount
      ? [{ path: ["kind"], issue: `"bad_cipher" can only strike answers that are encrypted` }]
      : []),
    ...(fault.account !== undefined && withoutAccount
      ? [{ path: ["account"], issue: `"${fault.call}" carries no access token` }]
      : []),
    ...(["retryAfter", "status", "code", "message"] as const)
      .filter((field) => fault[field] !== undefined && !takes.includes(field))
      .map((field) => ({ path: [field], issue: `changes nothing about "${fault.kind}"` }))
  ]
}

export const fits = (fault: WopanFault, call: Struck): boolean =>
  call.provider === "wopan" &&
  fault.call === call.call &&
  (fault.account === undefined || fault.account === call.account)
