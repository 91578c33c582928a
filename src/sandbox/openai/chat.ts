/** OpenAI's Chat Completions. */
import { Result, Schema } from "effect"
import { pieces } from "../modelAnswer.ts"
import {
  Content,
  conversation,
  done,
  offered,
  optional,
  StreamOptions,
  textOf,
  TokenLimit,
  unreadable,
  usageOf
} from "./readCall.ts"
import type { Answered, AnswerEvent, Reader, Reply } from "./readCall.ts"

const Message = Schema.Struct({
  role: Schema.Literals(["system", "developer", "user", "assistant", "tool"]),
  content: optional(Content),
  tool_calls: optional(Schema.Array(Schema.Unknown))
})

const Tool = Schema.Struct({
  type: Schema.Literal("function"),
  function: Schema.Struct({ name: Schema.NonEmptyString, parameters: Schema.optionalKey(Schema.Unknown) })
})

const ToolChoice = Schema.Union([
  Schema.Literals(["none", "auto", "required"]),
  Schema.Struct({ type: Schema.Literal("function"), function: Schema.Struct({ name: Schema.NonEmptyString }) })
])

const Body = Schema.Struct({
  model: Schema.NonEmptyString,
  messages: Schema.Array(Message).check(Schema.isMinLength(1)),
  stream: optional(Schema.Boolean),
  stream_options: optional(StreamOptions),
  tools: optional(Schema.Array(Tool)),
  tool_choice: optional(ToolChoice),
  max_tokens: optional(TokenLimit),
  max_completion_tokens: optional(TokenLimit)
})

const decode = Schema.decodeUnknownResult(Body)

export const readChat: Reader = (body) =>
  Result.mapBoth(decode(body), {
    onFailure: unreadable,
    onSuccess: (asked) => {
      const system = asked.messages.filter(({ role }) => role === "system" || role === "developer")
      const turns = asked.messages.flatMap(({ content, role }) =>
        role === "system" || role === "developer" ? [] : [{ role, text: textOf(content) }]
      )
      const { historyLength, query, toolResults } = conversation(turns)
      const tools = (asked.tools ?? []).map((tool) => ({ name: tool.function.name, schema: tool.function.parameters }))
      const choice = asked.tool_choice ?? undefined
      const includeUsage = asked.stream_options?.include_usage === true
      return {
        model: asked.model,
        stream: asked.stream === true,
        questions: [
          {
            query,
            toolResults,
            systemPrompt: system.length === 0 ? undefined : system.map(({ content }) => textOf(content)).join("\n"),
            ...offered(tools, typeof choice === "object" ? choice.function : choice)
          }
        ],
        historyLength,
        inputLengths: [lengthOf(asked)],
        maxTokens: asked.max_completion_tokens ?? asked.max_tokens ?? undefined,
        whole,
        events: (reply) => events(reply, includeUsage)
      }
    }
  })

const lengthOf = ({ messages, tools }: typeof Body.Type): number => {
  const said = messages.reduce(
    (sum, message) =>
      sum + textOf(message.content).length + (message.tool_calls ? JSON.stringify(message.tool_calls).length : 0),
    0
  )
  return said + (tools ? JSON.stringify(tools).length : 0)
}

const whole = (reply: Reply) => ({
  id: `chatcmpl-${reply.id}`,
  object: "chat.completion",
  created: reply.created,
  model: reply.model,
  choices: reply.answers.map((answer, index) => ({
    index,
    message: {
      role: "assistant",
      content: answer.toolCalls.length > 0 && answer.text === "" ? null : answer.text,
      ...(answer.reasoning === undefined ? {} : { reasoning_content: answer.reasoning }),
      ...(answer.toolCalls.length === 0
        ? {}
        : { tool_calls: callsOf(reply, answer).map(({ args, ...call }) => toolCall(call, args)) })
    },
    logprobs: null,
    finish_reason: answer.finish
  })),
  usage: usageOf(reply.usage)
})

const callsOf = (reply: Reply, { toolCalls }: Answered) =>
  toolCalls.map(({ args, name }, index) => ({
    id: `call_${reply.id}_${index}`,
    name,
    args: JSON.stringify(args)
  }))

const toolCall = ({ id, name }: { readonly id: string; readonly name: string }, args: string) => ({
  id,
  type: "function",
  function: { name, arguments: args }
})

const events = (reply: Reply, includeUsage: boolean): ReadonlyArray<AnswerEvent> => {
  const chunk = (part: AnswerEvent["part"], choices: ReadonlyArray<object>, usage: object | null): AnswerEvent => ({
    part,
    json: {
      id: `chatcmpl-${reply.id}`,
      object: "chat.completion.chunk",
      created: reply.created,
      model: reply.model,
      choices,
      ...(includeUsage ? { usage } : {})
    }
  })
  const streamed = reply.answers.flatMap((answer, index) => {
    const delta = (part: AnswerEvent["part"], delta: object, finish: string | null = null) =>
      chunk(part, [{ index, delta, logprobs: null, finish_reason: finish }], null)
    const content = (fields: object) => delta("content", fields)
    return [
      delta("opening", { role: "assistant", content: "" }),
      ...pieces(answer.reasoning ?? "").map((piece) => content({ reasoning_content: piece })),
      ...pieces(answer.text).map((piece) => content({ content: piece })),
      ...callsOf(reply, answer).flatMap(({ args, ...call }, position) => [
        content({ tool_calls: [{ index: position, ...toolCall(call, "") }] }),
        ...halves(args).map((half) => content({ tool_calls: [{ index: position, function: { arguments: half } }] }))
      ]),
      delta("finish", {}, answer.finish)
    ]
  })
  return [...streamed, ...(includeUsage ? [chunk("usage", [], usageOf(reply.usage))] : []), done]
}

/** Arguments come in pieces too, cut where no JSON ends. */
export const halves = (text: string): ReadonlyArray<string> => {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)].filter((half) => half !== "")
}
