/** The dispatcher's envelope, as the emulated drive reads and writes it (protocols 5.1 and 5.2). Pure. */
import { Option, Result, Schema } from "effect"
import { firstIssue } from "../../domain/firstIssue.ts"
import { decrypt, encrypt, keyOfAccess, signatureOf } from "../../upstream/wopan/cipher.ts"
import type { WopanConstants } from "./WopanAccounts.ts"

export const Channel = Schema.Literals(["api-user", "wohome"])
export type Channel = typeof Channel.Type

/** Why a call is not taken. */
export interface Refusal {
  readonly code: string
  readonly reason: string
}

/** A call that is signed right, and whose parameters have not been read. */
export interface Sealed {
  readonly operation: string
  readonly param: string
  readonly clientId: string | undefined
}

export interface Call {
  readonly operation: string
  readonly params: Readonly<Record<string, unknown>>
}

/** The web client numbers its requests from 100,000 up to this. */
const lastSequence = 189_998

const Envelope = Schema.Struct({
  header: Schema.Struct({
    key: Schema.NonEmptyString,
    resTime: Schema.Int,
    reqSeq: Schema.Int.check(Schema.isBetween({ minimum: 100_000, maximum: lastSequence })),
    channel: Schema.String,
    sign: Schema.String,
    version: Schema.String
  }),
  body: Schema.Struct({
    param: Schema.optionalKey(Schema.String),
    secret: Schema.Literal(true),
    clientId: Schema.optionalKey(Schema.String)
  })
})
const decodeEnvelope = Schema.decodeUnknownResult(Schema.fromJsonString(Envelope))
const decodeParams = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))
const decodeNamed = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ header: Schema.Struct({ key: Schema.String }) }))
)

/** What a body asks for, which may not be an envelope in any other way. */
export const operationIn = (text: string): string =>
  Option.match(decodeNamed(text), { onNone: () => "", onSome: ({ header }) => header.key })

export interface Circumstances {
  readonly channel: Channel
  /** Epoch milliseconds. */
  readonly now: number
  /** By how much the client's clock may differ, in milliseconds. */
  readonly clockSkew: number
}

/** Reads all that can be read without a key. */
export const readEnvelope = (text: string, { channel, clockSkew, now }: Circumstances): Sealed | Refusal => {
  const decoded = decodeEnvelope(text)
  if (Result.isFailure(decoded)) {
    const { field, reason } = firstIssue(decoded.failure.issue)
    return refusal("1000", field === "" ? "the body is not an envelope" : `${field}: ${reason}`)
  }
  const { body, header } = decoded.success
  if (header.channel !== channel) return refusal("1000", `header.channel: this is the dispatcher of ${channel}`)
  if (header.sign !== signatureOf(header)) {
    return refusal("1000", "header.sign: it is not the MD5 of key, resTime, reqSeq, channel and version")
  }
  if (Math.abs(header.resTime - now) > clockSkew) {
    return refusal("1000", `header.resTime: it differs from ${now} by more than ${clockSkew} ms`)
  }
  return { operation: header.key, param: body.param ?? "", clientId: body.clientId }
}

/** Reads the parameters with the key of the call. */
export const readParams = (
  { clientId, operation, param }: Sealed,
  channel: Channel,
  key: string,
  constants: WopanConstants
): Call | Refusal => {
  const text = isBase64(param) ? decrypt(param, key, constants.iv) : undefined
  if (text === undefined) return refusal("9002", "body.param: it could not be decrypted")
  const params = Option.getOrUndefined(decodeParams(text))
  if (params === undefined) return refusal("1000", "body.param: what was encrypted is not a JSON object")
  const named = channel === "api-user" ? clientId : params["clientId"]
  if (named !== constants.clientId) return refusal("1000", "clientId: it is missing or wrong")
  return { operation, params }
}

const isBase64 = (text: string) => text !== "" && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text)

/** Undefined of an access token that is none. */
export const keyOf = (channel: Channel, access: string, { clientSecret }: WopanConstants): string | undefined =>
  channel === "api-user" ? clientSecret : keyOfAccess(access)

const refusal = (code: string, reason: string): Refusal => ({ code, reason })

/** `Clear` is JSON as it stands, `Sealed` is encrypted, and `Nothing` is an empty text. */
export type Data =
  | { readonly _tag: "Clear"; readonly value: unknown }
  | { readonly _tag: "Sealed"; readonly value: unknown }
  | { readonly _tag: "Nothing" }

export const nothing: Data = { _tag: "Nothing" }

/** `logId` is 32 hexadecimal digits. */
export const envelope = (logId: string, code: string, description: string, data: unknown) => ({
  STATUS: "200",
  MSG: "success",
  LOGID: logId,
  RSP: { RSP_CODE: code, RSP_DESC: description, DATA: data }
})

export const written = (data: Data, key: string, iv: string): unknown => {
  switch (data._tag) {
    case "Clear":
      return data.value
    case "Sealed":
      return encrypt(JSON.stringify(data.value), key, iv)
    case "Nothing":
      return ""
  }
}
