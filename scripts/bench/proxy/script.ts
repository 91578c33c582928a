/** What the upstream says, and what it is asked. */

const json = (value: object) => Buffer.from(JSON.stringify(value))
const event = (value: object) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)
const common = { id: "chatcmpl-bench", created: 1_700_000_000, model: "m" }
const usage = { prompt_tokens: 110, completion_tokens: 199, total_tokens: 309 }

/** A whole answer, about 600 bytes. */
export const answer = json({
  ...common,
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "x".repeat(360) }, finish_reason: "stop" }],
  usage
})

const chunk = (delta: object, finish_reason: string | null) =>
  event({ ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })

/** How many pieces of JSON a streamed answer has. */
export const streamed = 200
export const chunks: ReadonlyArray<Buffer> = [
  chunk({ role: "assistant", content: "" }, null),
  ...Array.from({ length: streamed - 2 }, (_, i) => chunk({ content: `word${i} ` }, null)),
  chunk({}, "stop"),
  Buffer.from("data: [DONE]\n\n")
]
/** Said before the last one to who asked for it by `stream_options`. */
export const usageChunk = event({ ...common, object: "chat.completion.chunk", choices: [], usage })

export type Kind = "whole" | "stream" | "paced" | "silent"

export const question = (kind: Kind, model: string): string =>
  JSON.stringify({
    model,
    ...(kind !== "whole" && { stream: true }),
    messages: [{ role: "user", content: `bench-${kind} ${"y".repeat(400)}` }]
  })

/** What a reader of the answer gets to see. */
export const contentOf = (kind: Kind, payload: string): string => {
  if (kind === "whole") return JSON.parse(payload).choices[0].message.content
  return payload
    .split("\n\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "")
    .join("")
}

export const expectedContent = (kind: Kind) =>
  contentOf(kind, (kind === "whole" ? answer : Buffer.concat(chunks)).toString())
