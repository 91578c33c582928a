/** A line of a batch's output, or of its errors, in OpenAI's format: written and read again. Pure. */
import { isObject, parsed, type Question } from "./requestLine.ts"

export type Outcome =
  /** An answer over HTTP, good or bad. `body` is the text of a JSON object. */
  | { readonly _tag: "Response"; readonly status: number; readonly requestId: string; readonly body: string }
  /** There is none. */
  | { readonly _tag: "Error"; readonly code: string; readonly message: string }

const prefix = '{"id":"batch_req_'

/** With its line feed. */
export const written = ({ customId, digest }: Question, outcome: Outcome): string => {
  const [response, error] =
    outcome._tag === "Response"
      ? [
          `{"status_code":${outcome.status},"request_id":${JSON.stringify(outcome.requestId)},"body":${oneLine(outcome.body)}}`,
          "null"
        ]
      : ["null", JSON.stringify({ code: outcome.code, message: outcome.message })]
  return `${prefix}${digest}","custom_id":${JSON.stringify(customId)},"response":${response},"error":${error}}\n`
}

/** In the text of a JSON value, a line break can only stand between its parts. */
const oneLine = (json: string): string => json.replace(/[\r\n]+/g, " ")

/** What a line tells of what has been done; undefined when it is no line of an output. */
export const readAnswer = (text: string): { readonly customId: string; readonly print: number } | undefined => {
  const json = parsed(text)
  if (!isObject(json) || typeof json["custom_id"] !== "string") return undefined
  if (!("response" in json) && !("error" in json)) return undefined
  const [, digest] = /^batch_req_([0-9a-f]{24})$/.exec(String(json["id"])) ?? []
  return { customId: json["custom_id"], print: digest === undefined ? unknownPrint : printOf(digest) }
}

/** As much of a digest as tells two bodies of one `custom_id` apart: 28 bits, which a map holds without a box. */
export const printOf = (digest: string): number => Number.parseInt(digest.slice(0, 7), 16)

/** Of an answer that was not written here. */
export const unknownPrint = -1

/** Whether an unfinished line may be the beginning of one of ours: of zeros too, which a power cut leaves. */
export const mayBeTorn = (text: string): boolean =>
  text.startsWith(prefix) || prefix.startsWith(text) || /^\0*$/.test(text)
