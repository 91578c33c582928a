/** The faults the emulated drive can be asked for. */
import { Schema, Struct } from "effect"
import { timing, type Struck } from "../faultTerms.ts"

/** `download` asks for the address of a file, `content` for what is there. */
export const WopanCall = Schema.Literals(["login", "refresh", "user", "list", "download", "content", "other"])
export type WopanCall = typeof WopanCall.Type

/** What sets one kind of fault apart. */
interface Kind {
  readonly calls: ReadonlyArray<WopanCall>
  /** The fields that change something about it, besides those that say which calls it strikes. */
  readonly takes: ReadonlyArray<"retryAfter" | "status" | "code" | "message">
}

const every = (...takes: Kind["takes"]): Kind => ({ calls: WopanCall.literals, takes })
/** An answer of the dispatcher. */
const told = (...takes: Kind["takes"]): Kind => ({
  calls: WopanCall.literals.filter((call) => call !== "content"),
  takes
})

const kinds = {
  rate_limit: every("retryAfter"),
  server_error: every("status", "retryAfter"),
  /** HTTP 401. */
  unauthorized: every(),
  reset: every(),
  silence: every(),
  slow: every(),
  /** A page with HTTP 200. */
  html: every(),
  /** No JSON. */
  malformed: told(),
  /** The dispatcher's code 9999, as of a token that has ended. */
  expired: told(),
  /** The same code, as of anything else that goes wrong there. */
  system_error: told("message"),
  /** Code 1001. */
  not_logged_in: told(),
  /** Code 8005. */
  refresh_rejected: { calls: ["refresh"], takes: [] },
  rsp_code: told("code", "message"),
  /** Data that is encrypted with another key. */
  bad_cipher: { calls: ["user", "list", "download", "other"], takes: [] }
} satisfies Record<string, Kind>

/** Calls that say whose they are, by an access or a refresh token. */
const withAccount: ReadonlySet<WopanCall> = new Set(["refresh", "user", "list", "download", "other"])

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(1_000))
const HeaderText = Text.check(Schema.isPattern(/^[\x20-\x7e]+$/))

const Fields = Schema.Struct({
  provider: Schema.Literal("wopan"),
  call: WopanCall,
  kind: Schema.Literals(Struct.keys(kinds)),
  /** Strikes only calls with a token that was issued to this account, void or not. */
  account: Schema.optionalKey(Text),
  ...timing,
  /** Sent as it stands: seconds, a fraction, an HTTP date, or nonsense. */
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
  const { calls, takes }: Kind = kinds[fault.kind]
  return [
    ...(calls.includes(fault.call)
      ? []
      : [{ path: ["kind"], issue: `"${fault.kind}" can only strike ${calls.join(", ")}` }]),
    ...(fault.account === undefined || withAccount.has(fault.call)
      ? []
      : [{ path: ["account"], issue: `"${fault.call}" carries no token` }]),
    ...(["retryAfter", "status", "code", "message"] as const)
      .filter((field) => fault[field] !== undefined && !takes.includes(field))
      .map((field) => ({ path: [field], issue: `changes nothing about "${fault.kind}"` }))
  ]
}

export const fits = (fault: WopanFault, call: Struck): boolean =>
  call.provider === "wopan" &&
  fault.call === call.call &&
  (fault.account === undefined || fault.account === call.account)
