/** OpenAI's Embeddings: the same text has always the same vector, of length one. */
import { Result, Schema } from "effect"
import { digest } from "../seed.ts"
import { optional, unreadable } from "./readCall.ts"
import type { Reader, Reply } from "./readCall.ts"

const most = 2_048
const Tokens = Schema.Array(Schema.Int).check(Schema.isMinLength(1))

const Body = Schema.Struct({
  model: Schema.NonEmptyString,
  input: Schema.Union([
    Schema.String,
    Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(most)),
    Tokens,
    Schema.Array(Tokens).check(Schema.isMinLength(1), Schema.isMaxLength(most))
  ]),
  encoding_format: optional(Schema.Literals(["float", "base64"])),
  dimensions: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4_096 })))
})

const decode = Schema.decodeUnknownResult(Body)

/** Fewer than a real model has: enough to tell texts apart. */
const defaultDimensions = 64

export const readEmbedding: Reader = (body) =>
  Result.mapBoth(decode(body), {
    onFailure: unreadable,
    onSuccess: (asked) => {
      const inputs = textsIn(asked.input)
      const encoded = asked.encoding_format === "base64" ? base64 : Array.from
      return {
        model: asked.model,
        stream: false,
        questions: inputs.map(({ text }) => ({ query: text, systemPrompt: undefined, tools: [], toolResults: [] })),
        historyLength: 0,
        inputLengths: inputs.map(({ length }) => length),
        maxTokens: undefined,
        whole: ({ model, usage }: Reply) => ({
          object: "list",
          data: inputs.map(({ text }, index) => ({
            object: "embedding",
            index,
            embedding: encoded(vectorOf(model, text, asked.dimensions ?? defaultDimensions))
          })),
          model,
          usage: { prompt_tokens: usage.prompt, total_tokens: usage.prompt }
        }),
        events: () => []
      }
    }
  })

/** Tokens count as the four characters for which they stand. */
const textsIn = (
  input: (typeof Body.Type)["input"]
): ReadonlyArray<{ readonly text: string; readonly length: number }> => {
  if (typeof input === "string") return [{ text: input, length: input.length }]
  const tokens = input.filter((item) => typeof item === "number")
  if (tokens.length > 0) return [{ text: tokens.join(" "), length: tokens.length * 4 }]
  return input
    .filter((item) => typeof item !== "number")
    .map((item) =>
      typeof item === "string" ? { text: item, length: item.length } : { text: item.join(" "), length: item.length * 4 }
    )
}

const vectorOf = (model: string, text: string, dimensions: number): Float32Array => {
  const drawn = Array.from({ length: Math.ceil(dimensions / 8) }, (_, block) => digest(model, text, block))
  const values = Array.from({ length: dimensions }, (_, index) => {
    const block = drawn[Math.floor(index / 8)]
    return (block?.readInt32BE((index % 8) * 4) ?? 0) / 2 ** 31
  })
  const norm = Math.hypot(...values) || 1
  return Float32Array.from(values, (value) => value / norm)
}

/** Little-endian, as OpenAI sends it. */
const base64 = (vector: Float32Array): string => {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString("base64")
}
