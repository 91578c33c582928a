/** OpenAI's Chat Completions wire, as far as it steers us, and what a model answers in between. */
import { Data, Schema } from "effect"

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })

/** What a model said when it would not answer, as clients send it back in a history. */
const RefusalPart = Schema.Struct({ type: Schema.Literal("refusal"), refusal: Schema.String })

export const ToolCall = Schema.Struct({
  id: Schema.NonEmptyString,
  type: Schema.Literal("function"),
  function: Schema.Struct({ name: Schema.NonEmptyString, arguments: Schema.String })
})
export type ToolCall = typeof ToolCall.Type

const Content = Schema.Union([Schema.String, Schema.Array(TextPart)])

export const ChatMessage = Schema.Union([
  Schema.Struct({ role: Schema.Literals(["system", "developer", "user"]), content: Content }),
  Schema.Struct({
    role: Schema.Literal("assistant"),
    content: Schema.optionalKey(
      Schema.NullOr(Schema.Union([Schema.String, Schema.Array(Schema.Union([TextPart, RefusalPart]))]))
    ),
    tool_calls: Schema.optionalKey(Schema.NullOr(Schema.Array(ToolCall)))
  }),
  Schema.Struct({ role: Schema.Literal("tool"), tool_call_id: Schema.NonEmptyString, content: Content })
])
export type ChatMessage = typeof ChatMessage.Type

const ChatTool = Schema.Struct({
  type: Schema.Literal("function"),
  function: Schema.Struct({
    name: Schema.NonEmptyString,
    description: Schema.optionalKey(Schema.NullOr(Schema.String)),
    parameters: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Json)))
  })
})
export type ChatTool = typeof ChatTool.Type

const ToolChoice = Schema.Union([
  Schema.Literals(["none", "auto", "required"]),
  Schema.Struct({ type: Schema.Literal("function"), function: Schema.Struct({ name: Schema.NonEmptyString }) })
])

/** The fields that steer a completion. Others (temperature, …) are accepted and have no counterpart at Warp. */
export const ChatRequest = Schema.Struct({
  model: Schema.NonEmptyString,
  messages: Schema.Array(ChatMessage).check(Schema.isMinLength(1)),
  stream: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  stream_options: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ include_usage: Schema.optionalKey(Schema.NullOr(Schema.Boolean)) }))
  ),
  tools: Schema.optionalKey(Schema.NullOr(Schema.Array(ChatTool))),
  tool_choice: Schema.optionalKey(Schema.NullOr(ToolChoice)),
  n: Schema.optionalKey(Schema.NullOr(Schema.Literal(1)))
})
export type ChatRequest = typeof ChatRequest.Type

/** Tokens as the upstream counted them. */
export interface Usage {
  readonly prompt: number
  readonly completion: number
}

/** What a model answers, piece by piece. `Finished` comes exactly once and last, or the stream fails. */
export type ChatEvent = Data.TaggedEnum<{
  Text: { readonly text: string }
  Reasoning: { readonly text: string }
  ToolCalled: { readonly id: string; readonly name: string; readonly arguments: string }
  Finished: { readonly reason: "stop" | "tool_calls" | "length"; readonly usage: Usage | undefined }
}>
export const ChatEvent = Data.taggedEnum<ChatEvent>()
