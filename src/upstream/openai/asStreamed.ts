/** A whole answer as the stream that the client asked for, from an upstream that does not stream. */
import { Cause, Effect } from "effect"
import { UpstreamUnavailable } from "../../domain/Failure.ts"
import type { Endpoint, StreamedAnswer, WholeAnswer } from "../ModelClient.ts"

/** `undefined` for an answer that has no such form, or of a shape that nobody knows. */
export const asStreamed = (
  endpoint: Endpoint,
  whole: WholeAnswer,
  { includeUsage, provider }: { readonly includeUsage: boolean; readonly provider: string }
): StreamedAnswer | undefined => {
  const json: unknown = JSON.parse(decoder.decode(whole.body))
  if (!isObject(json) || !Array.isArray(json["choices"])) return undefined
  const { choices, usage, ...rest } = json
  const events = endpoint === "/chat/completions" ? chunks(rest, choices) : endpoint === "/completions" ? [json] : []
  if (events.length === 0) return undefined
  if (includeUsage && endpoint === "/chat/completions") events.push({ ...rest, object: chunk, choices: [], usage })
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
  const left = [encoder.encode("data: [DONE]\n\n")]
  let isCut = false
  return {
    _tag: "Streamed",
    first: encoder.encode(text),
    next: Effect.suspend((): Effect.Effect<Uint8Array, UpstreamUnavailable | Cause.Done> => {
      if (isCut)
        return Effect.fail(new UpstreamUnavailable({ provider, reason: "internal", detail: "it was ended here" }))
      const next = left.shift()
      return next === undefined ? Cause.done() : Effect.succeed(next)
    }),
    cut: () => {
      isCut = true
    },
    usage: () => whole.usage
  }
}

const chunk = "chat.completion.chunk"

const chunks = (rest: object, choices: ReadonlyArray<unknown>): Array<object> =>
  choices.filter(isObject).flatMap(({ finish_reason, index, logprobs = null, message }) => {
    const delta = isObject(message) ? message : {}
    const calls = Array.isArray(delta["tool_calls"])
      ? { tool_calls: delta["tool_calls"].filter(isObject).map((call, i) => ({ index: i, ...call })) }
      : {}
    return [
      { ...rest, object: chunk, choices: [{ index, delta: { ...delta, ...calls }, logprobs, finish_reason: null }] },
      {
        ...rest,
        object: chunk,
        choices: [{ index, delta: {}, logprobs: null, finish_reason: finish_reason ?? "stop" }]
      }
    ]
  })

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const encoder = new TextEncoder()
const decoder = new TextDecoder()
