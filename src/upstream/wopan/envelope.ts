/** The dispatcher's envelopes (protocols 5.1 and 5.2): how a call is wrapped, and what its answer holds. Pure. */
import { Option, Schema } from "effect"
import { decrypt, encrypt, signatureOf } from "./cipher.ts"

/** Of the account, or of its files. */
export type Channel = "api-user" | "wohome"

/** What the parameters of a call, and the data of its answer, are encrypted with. */
export interface CipherKeys {
  readonly key: string
  readonly iv: string
}

export interface Call {
  /** Such as `QueryAllFiles`. */
  readonly operation: string
  readonly channel: Channel
  readonly params: object
}

/** What makes one request differ from the next. */
export interface Stamp {
  /** Epoch milliseconds. */
  readonly at: number
  /** From `firstSequence` to `lastSequence`. */
  readonly sequence: number
}

export const firstSequence = 100_000
export const lastSequence = 108_998

/** The body of a request. A call of the account tells the client in clear as well. */
export const requestOf = ({ channel, operation, params }: Call, keys: CipherKeys, clientId: string, stamp: Stamp) => {
  const signed = { key: operation, resTime: stamp.at, reqSeq: stamp.sequence, channel, version: "" }
  const param = encrypt(JSON.stringify(params), keys.key, keys.iv)
  return {
    header: { ...signed, sign: signatureOf(signed) },
    body: { param, secret: true, ...(channel === "api-user" ? { clientId } : {}) }
  }
}

export interface Envelope {
  /** `0000` of a success; undefined when the dispatcher gave none that is one. */
  readonly code: string | undefined
  /** The upstream's own words. */
  readonly description: string | undefined
  /** As it came. */
  readonly data: unknown
}

export const ok = "0000"

const Code = Schema.Union([Schema.String, Schema.Finite])
const optionalText = Schema.optionalKey(Schema.NullOr(Schema.String))
const decodeEnvelope = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      STATUS: Schema.optionalKey(Schema.NullOr(Code)),
      MSG: optionalText,
      RSP: Schema.optionalKey(
        Schema.NullOr(
          Schema.Struct({ RSP_CODE: Code, RSP_DESC: optionalText, DATA: Schema.optionalKey(Schema.Unknown) })
        )
      )
    })
  )
)

/** Undefined of what is no envelope. */
export const envelopeOf = (body: string): Envelope | undefined => {
  const envelope = Option.getOrUndefined(decodeEnvelope(body))
  if (envelope === undefined) return undefined
  const { MSG, RSP, STATUS } = envelope
  if (RSP === undefined || RSP === null) {
    return STATUS === undefined || STATUS === null
      ? undefined
      : { code: undefined, description: MSG ?? undefined, data: undefined }
  }
  return { code: codeOf(RSP.RSP_CODE), description: RSP.RSP_DESC ?? MSG ?? undefined, data: RSP.DATA }
}

/** A code goes into logs and errors, so nothing else may pass for one. */
const codeOf = (code: string | number): string | undefined => {
  const text = typeof code === "number" ? String(code).padStart(ok.length, "0") : code.trim()
  return /^\w{1,8}$/.test(text) ? text : undefined
}

export type Data =
  | { readonly _tag: "None" }
  | { readonly _tag: "Value"; readonly value: unknown }
  /** It was encrypted with another key, or is of no shape that the upstream is known to answer in. */
  | { readonly _tag: "Unreadable" }

/** Of an answer in clear, of one that is encrypted, or of an empty one. */
export const dataOf = (data: unknown, { iv, key }: CipherKeys): Data => {
  if (data === undefined || data === null || data === "") return none
  if (typeof data !== "string") return { _tag: "Value", value: data }
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(data)) return unreadable
  const text = decrypt(data, key, iv)
  if (text === undefined) return unreadable
  if (text === "") return none
  return Option.match(decodeJson(text), { onNone: () => unreadable, onSome: (value) => ({ _tag: "Value", value }) })
}

const none: Data = { _tag: "None" }
const unreadable: Data = { _tag: "Unreadable" }
const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
