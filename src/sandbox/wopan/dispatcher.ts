/** The dispatcher's envelope, as the emulated drive reads and writes it (protocols 5.1 and 5.2). Pure. */
import { Option, Schema } from "effect"
import { decrypt, encrypt, keyOfAccess, signatureOf } from "../../upstream/wopan/cipher.ts"
import type { WopanConstants } from "./WopanAccounts.ts"

export const Channel = Schema.Literals(["api-user", "wohome"])
export type Channel = typeof Channel.Type

/** Why a call is not taken. */
export interface Refusal {
  readonly code: string
  readonly reason: string
}

export interface Call {
  readonly operation: string
  readonly params: Readonly<Record<string, unknown>>
}

const Body = Schema.Struct({
  header: Schema.Struct({
    key: Schema.NonEmptyString,
    resTime: Schema.Int,
    reqSeq: Schema.Int,
    channel: Schema.String,
    sign: Schema.String,
    version: Schema.String
  }),
  body: Schema.Struct({
    param: Schema.optionalKey(Schema.String),
    clientId: Schema.optionalKey(Schema.String)
  })
})
const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(Body))
const decodeParams = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/** Clocks may differ by so much. */
const skew = 10 * 60 * 1_000
/** The web client numbers its requests from 100,000 up to this. */
const lastSequence = 189_998

export interface Circumstances {
  readonly channel: Channel
  readonly constants: WopanConstants
  /** What the `Accesstoken` header holds. */
  readonly access: string
  readonly now: number
}

export const readCall = (text: string, { access, channel, constants, now }: Circumstances): Call | Refusal => {
  const read = Option.getOrUndefined(decodeBody(text))
  if (read === undefined) return refusal("1000", "the body is not an envelope")
  const { body, header } = read
  if (header.channel !== channel) return refusal("1000", `the channel is ${channel}`)
  if (header.sign !== signatureOf(header)) return refusal("1000", "the signature is wrong")
  if (Math.abs(header.resTime - now) > skew) return refusal("1000", "resTime is not now")
  if (header.reqSeq < 100_000 || header.reqSeq > lastSequence) return refusal("1000", "reqSeq is out of range")
  if (channel === "api-user" && body.clientId !== constants.clientId)
    return refusal("1000", "clientId is missing or wrong")
  const key = keyOf(channel, access, constants)
  const param = key && body.param && decrypt(body.param, key, constants.iv)
  if (param === undefined || param === "") return refusal("9002", "the parameters could not be decrypted")
  const params = Option.getOrUndefined(decodeParams(param))
  if (params === undefined) return refusal("1000", "the parameters are not JSON")
  if (channel === "wohome" && params["clientId"] !== constants.clientId) {
    return refusal("1000", "clientId is missing or wrong")
  }
  return { operation: header.key, params }
}

/** Undefined of an access token that is none. */
export const keyOf = (channel: Channel, access: string, { clientSecret }: WopanConstants): string | undefined =>
  channel === "api-user" ? clientSecret : keyOfAccess(access)

const refusal = (code: string, reason: string): Refusal => ({ code, reason })

/** `clear` is JSON as it stands, `sealed` is encrypted, and nothing is an empty text. */
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
