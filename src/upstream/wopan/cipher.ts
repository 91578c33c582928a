/** The dispatcher's signature and cipher (protocols 5.1): what it makes of a header, and how it hides parameters. Pure. */
import { createCipheriv, createDecipheriv, hash } from "node:crypto"

/** The part of a request's header that is signed. */
export interface Signed {
  /** The operation, such as `QueryAllFiles`. */
  readonly key: string
  /** Epoch milliseconds. */
  readonly resTime: number
  readonly reqSeq: number
  readonly channel: string
  readonly version: string
}

/** Hexadecimal MD5 of the fields, one after the other: what the upstream asks for, and no protection of anything. */
export const signatureOf = ({ channel, key, reqSeq, resTime, version }: Signed): string =>
  hash("md5", `${key}${resTime}${reqSeq}${channel}${version}`, "hex")

const algorithm = "aes-128-cbc"
/** Of keys and of the initial vector, in ASCII characters. */
export const keyLength = 16

/** Why this cannot be the client secret or the initial vector; undefined when it can. Never repeats it. */
export const whyNotKey = (text: string): string | undefined =>
  /^[\x21-\x7e]{16}$/.test(text) ? undefined : `it must be of ${keyLength} printable ASCII characters`

/** The key of a call on an account's own channel: undefined of what is too short to be an access token. */
export const keyOfAccess = (access: string): string | undefined =>
  /^[\x21-\x7e]{16,}$/.test(access) ? access.slice(0, keyLength) : undefined

/** `key` and `iv` are of 16 ASCII characters. Answers base64. */
export const encrypt = (text: string, key: string, iv: string): string => {
  const cipher = createCipheriv(algorithm, key, iv)
  return Buffer.concat([cipher.update(text, "utf8"), cipher.final()]).toString("base64")
}

/**
 * Undefined of what was not encrypted with this key. Padding and UTF-8 are all there is to tell it by: of one in some
 * hundreds that were not, a short one comes out as other text.
 */
export const decrypt = (base64: string, key: string, iv: string): string | undefined => {
  try {
    const decipher = createDecipheriv(algorithm, key, iv)
    const bytes = Buffer.concat([decipher.update(Buffer.from(base64, "base64")), decipher.final()])
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
