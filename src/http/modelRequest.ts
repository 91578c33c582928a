/** Reads what steers a model request: parsed once, looked at by hand, and kept as the bytes that came. */
import { Duration, Option, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import type { IncomingHttpHeaders } from "node:http"
import type { Endpoint, RequestBody } from "../upstream/ModelClient.ts"
import { type Client, local } from "../access/Client.ts"
import { BadRequest } from "./failures.ts"

export interface ModelRequest {
  readonly body: RequestBody
  readonly model: string
  readonly stream: boolean
}

export const read = (endpoint: Endpoint, bytes: Uint8Array): ModelRequest | BadRequest => {
  const json = parse(bytes)
  if (json instanceof BadRequest) return json
  const { model, stream } = json
  const wrong = wrongIn(json, endpoint)
  if (wrong !== undefined || typeof model !== "string") return wrong ?? notObject
  return { body: { bytes, json }, model, stream: stream === true }
}

const json = /^application\/([\w.-]+\+)?json\b/i

export const isJson = (contentType: string | undefined): boolean =>
  contentType === "application/json" || json.test(contentType ?? "")

export const notJsonType = new BadRequest({ status: 415, param: null, reason: "the body must be application/json" })

const notJson = new BadRequest({ status: 400, param: null, reason: "the body is not valid JSON" })

const notObject = new BadRequest({ status: 400, param: null, reason: "the body is not a JSON object" })

const parse = (bytes: Uint8Array): Record<string, unknown> | BadRequest => {
  try {
    if (!isUtf8(bytes)) return notJson
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
    const json: unknown = JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
    return isObject(json) ? json : notObject
  } catch {
    return notJson
  }
}

const byteOrderMark = 0xfeff

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Names of models are far shorter. They are kept per target, and told in a header, of which clients take some 16 KB. */
const longestModel = 500

/** Only what steers us; the rest is the upstream's to judge. */
const wrongIn = (json: Readonly<Record<string, unknown>>, endpoint: Endpoint): BadRequest | undefined => {
  const { messages, model, stream } = json
  if (typeof model !== "string" || model === "") return expected("model", "a non-empty string", model)
  if (model.length > longestModel) {
    return new BadRequest({ status: 400, param: "model", reason: `expected at most ${longestModel} characters` })
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return expected("stream", "a boolean", stream)
  }
  if (endpoint === "/chat/completions") {
    if (!Array.isArray(messages)) return expected("messages", "an array", messages)
    if (messages.length === 0) return expected("messages", "at least one message", messages)
  }
  if (endpoint === "/embeddings" && (json["input"] === undefined || json["input"] === null)) {
    return expected("input", "a string or an array", json["input"])
  }
  return undefined
}

const expected = (param: string, what: string, got: unknown) =>
  new BadRequest({ status: 400, param, reason: `expected ${what}, got ${shown(got)}` })

const shown = (value: unknown) =>
  value === undefined
    ? "nothing"
    : Array.isArray(value)
      ? "an array"
      : value === null
        ? "null"
        : JSON.stringify(value).slice(0, 60)

/** How a request is to be treated. */
export interface Treatment {
  readonly priority: number | undefined
  readonly timeout: Duration.Duration | undefined
  readonly client: string
}

/** Of one that is sent twice, the first counts. */
const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : value?.[0]
}

export const wantsExplanation = (headers: IncomingHttpHeaders): boolean =>
  /^(1|true|yes)$/i.test(headerOf(headers, "x-weirgate-explain") ?? "")

/**
 * What its headers say, within what its key may ask for. Without keys, all callers share this machine: then a header may tell
 * them apart, so that they are served in turns.
 */
export const treatment = (headers: IncomingHttpHeaders, caller: Client): Treatment | BadRequest => {
  const priority = headerOf(headers, "x-weirgate-priority")
  if (priority !== undefined && !/^[0-9]$/.test(priority)) {
    return expectedHeader("x-weirgate-priority", "a digit from 0 to 9, 9 being the most urgent")
  }
  const asked = headerOf(headers, "x-weirgate-timeout")
  const timeout = asked === undefined ? caller.timeout : durationOf(asked)
  if (asked !== undefined && timeout === undefined) {
    return expectedHeader("x-weirgate-timeout", `seconds, or a duration such as "30 seconds", of at most a day`)
  }
  const named = headerOf(headers, "x-weirgate-client")
  return {
    priority: priority === undefined ? caller.priority : Math.min(Number(priority), caller.priority ?? 9),
    timeout,
    client: caller.name === local && named !== undefined ? named.slice(0, longestName) : caller.name
  }
}

const longestName = 100

const expectedHeader = (name: string, what: string) =>
  new BadRequest({ status: 400, param: name, reason: `expected ${what}` })

const decodeDuration = Schema.decodeUnknownOption(Schema.DurationFromString)

/** A day is longer than anyone waits; more is taken for a mistake of the unit. */
const longest = Duration.days(1)

const durationOf = (text: string): Duration.Duration | undefined => {
  const shorthand = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)?\s*$/.exec(text)
  const read =
    shorthand === null
      ? Option.getOrUndefined(decodeDuration(text.trim()))
      : Duration.millis(Number(shorthand[1]) * (unitOf[shorthand[2] ?? "s"] ?? 1_000))
  return read !== undefined && Duration.isGreaterThan(read, Duration.zero) && !Duration.isGreaterThan(read, longest)
    ? read
    : undefined
}

const unitOf: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
