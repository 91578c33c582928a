/** A line of a batch's input, in OpenAI's format, read: a request, or what is wrong with it. Pure. */
import { hash } from "node:crypto"
import { type Endpoint, endpoints, type RequestBody } from "../upstream/ModelClient.ts"
import type { Line } from "./lines.ts"
import { rawValue } from "./rawValue.ts"

export interface Question {
  readonly customId: string
  readonly endpoint: Endpoint
  readonly model: string
  readonly body: RequestBody
  /** 24 hexadecimal digits of what is asked, and as what: the same for the same line, however it is spaced. */
  readonly digest: string
}

export type ReadLine =
  | { readonly _tag: "Question"; readonly question: Question }
  | { readonly _tag: "Bad"; readonly field: string; readonly reason: string }
  | { readonly _tag: "Blank" }

/** The longest line that is read, in bytes: 64 MiB. A server of ours takes a sixth of that by default. */
export const longestLine = 64 * 1024 * 1024

/** The longest `custom_id`, in characters: all of them are held in memory. */
export const longestId = 512

export const read = (line: Line): ReadLine => {
  if (line.isTooLong) return bad("(line)", `it is longer than ${longestLine / 1024 / 1024} MiB`)
  if (isBlank(line)) return { _tag: "Blank" }
  const text = decoded(line.bytes)
  if (text === undefined) return bad("(line)", "it is not UTF-8")
  const json = parsed(text)
  if (json === undefined) return bad("(line)", "it is not JSON")
  if (!isObject(json)) return bad("(line)", `expected an object, got ${shown(json)}`)
  const { body, custom_id: customId, method, url } = json
  if (typeof customId !== "string" || customId === "") return expected("custom_id", "a non-empty string", customId)
  if (customId.length > longestId) return bad("custom_id", `it is longer than ${longestId} characters`)
  if (method !== "POST") return expected("method", '"POST"', method)
  const endpoint = endpoints.find((path) => `/v1${path}` === url)
  if (endpoint === undefined) return expected("url", endpoints.map((path) => `"/v1${path}"`).join(" or "), url)
  if (!isObject(body)) return expected("body", "an object", body)
  const { model, stream } = body
  if (typeof model !== "string" || model === "") return expected("body.model", "a non-empty string", model)
  if (stream !== undefined && stream !== null && stream !== false) {
    return bad("body.stream", `a batch is not streamed: expected false or nothing, got ${shown(stream)}`)
  }
  const raw = rawValue(text, "body") ?? JSON.stringify(body)
  const digest = hash("sha256", JSON.stringify([customId, url, body]), "hex").slice(0, 24)
  return {
    _tag: "Question",
    question: { customId, endpoint, model, digest, body: { bytes: Buffer.from(raw), json: body } }
  }
}

/** Nothing, but perhaps a byte order mark and what separates words. */
export const isBlank = ({ bytes }: Line): boolean => {
  const marked = byteOrderMark.every((byte, i) => bytes[i] === byte)
  return bytes.every((byte, i) => byte <= space || (marked && i < byteOrderMark.length))
}
const space = 0x20
const byteOrderMark = [0xef, 0xbb, 0xbf]

const decoder = new TextDecoder("utf-8", { fatal: true })

const decoded = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Undefined when it is not JSON. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const bad = (field: string, reason: string): ReadLine => ({ _tag: "Bad", field, reason })

const expected = (field: string, what: string, got: unknown): ReadLine =>
  bad(field, `expected ${what}, got ${shown(got)}`)

const shown = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (Array.isArray(value)) return "an array"
  if (isObject(value)) return "an object"
  return JSON.stringify(value).slice(0, 60)
}
