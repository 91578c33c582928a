/** OpenAI's older Completions: a text, or several, each continued. */
import { Result, Schema } from "effect"
import { pieces } from "../modelAnswer.ts"
import { done, optional, StreamOptions, TokenLimit, unreadable, usageOf } from "./readCall.ts"
import type { AnswerEvent, Reader, Reply } from "./readCall.ts"

const Body = Schema.Struct({
  model: Schema.NonEmptyString,
  prompt: Schema.Union([
    Schema.String,
    Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(128))
  ]),
  stream: optional(Schema.Boolean),
  stream_options: optional(StreamOptions),
  max_tokens: optional(TokenLimit)
})

const decode = Schema.decodeUnknownResult(Body)

export const readCompletion: Reader = (body) =>
  Result.mapBoth(decode(body), {
    onFailure: unreadable,
    onSuccess: (asked) => {
      const prompts = typeof asked.prompt === "string" ? [asked.prompt] : asked.prompt
      const includeUsage = asked.stream_options?.include_usage === true
      return {
        model: asked.model,
        stream: asked.stream === true,
        questions: prompts.map((query) => ({ query, systemPrompt: undefined, tools: [], toolResults: [] })),
        historyLength: 0,
        inputLengths: prompts.map((prompt) => prompt.length),
        maxTokens: asked.max_tokens ?? undefined,
        whole,
        events: (reply) => events(reply, includeUsage)
      }
    }
  })

const frameOf = (reply: Reply) => ({
  id: `cmpl-${reply.id}`,
  object: "text_completion",
  created: reply.created,
  model: reply.model
})

const choice = (index: number, text: string, finish: string | null) => ({
  index,
  text,
  logprobs: null,
  finish_reason: finish
})

const whole = (reply: Reply) => ({
  ...frameOf(reply),
  choices: reply.answers.map(({ finish, text }, index) => choice(index, text, finish)),
  usage: usageOf(reply.usage)
})

const events = (reply: Reply, includeUsage: boolean): ReadonlyArray<AnswerEvent> => {
  const chunk = (part: AnswerEvent["part"], choices: ReadonlyArray<object>, usage: object | null): AnswerEvent => ({
    part,
    json: { ...frameOf(reply), choices, ...(includeUsage ? { usage } : {}) }
  })
  const streamed = reply.answers.flatMap(({ finish, text }, index) => [
    ...pieces(text).map((piece) => chunk("content", [choice(index, piece, null)], null)),
    chunk("finish", [choice(index, "", finish)], null)
  ])
  return [...streamed, ...(includeUsage ? [chunk("usage", [], usageOf(reply.usage))] : []), done]
}
