/** Reads the conversation out of a chat request, or says which field keeps it from being one that can be continued. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf"
import { Result } from "effect"
import type { Schema } from "effect"
import type { ChatMessage, ChatRequest } from "../../domain/Chat.ts"

export interface Query {
  readonly role: "user"
  readonly text: string
}

export interface ToolResult {
  readonly role: "tool"
  readonly callId: string
  readonly text: string
}

export interface Answer {
  readonly role: "assistant"
  readonly text: string
  readonly calls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly args: JsonObject }>
}

export interface Conversation {
  /** All system and developer messages; empty when there are none. */
  readonly systemPrompt: string
  /** What was said until the last answer. */
  readonly history: ReadonlyArray<Query | ToolResult | Answer>
  /** What is to be answered. Never empty. */
  readonly input: ReadonlyArray<Query | ToolResult>
  /** Those the model may call. */
  readonly tools: ReadonlyArray<{ readonly name: string; readonly description: string; readonly schema: JsonObject }>
}

/** The path of the field at fault, as one writes it in JavaScript, and what is wrong with it. */
export interface Unfit {
  readonly field: string
  readonly reason: string
}

export const readConversation = (chat: ChatRequest): Result.Result<Conversation, Unfit> =>
  Result.gen(function* () {
    const history: Array<Query | ToolResult | Answer> = []
    let input: Array<Query | ToolResult> = []
    const called = new Set<string>()
    let answeredAt: number | undefined
    for (const [index, message] of chat.messages.entries()) {
      const field = `messages[${index}]`
      const text = textOf(message.content)
      switch (message.role) {
        case "user":
          input.push({ role: "user", text })
          break
        case "tool":
          if (!called.has(message.tool_call_id)) {
            return yield* unfit(`${field}.tool_call_id`, "no earlier message has a tool call of this id")
          }
          input.push({ role: "tool", callId: message.tool_call_id, text })
          break
        case "assistant": {
          const calls = []
          for (const [
            position,
            {
              function: { arguments: args, name },
              id
            }
          ] of (message.tool_calls ?? []).entries()) {
            called.add(id)
            calls.push({
              id,
              name,
              args: yield* readArguments(args, `${field}.tool_calls[${position}].function.arguments`)
            })
          }
          history.push(...input, { role: "assistant", text, calls })
          input = []
          answeredAt = index
        }
      }
    }
    if (input.length === 0) {
      return yield* answeredAt === undefined
        ? unfit("messages", "there is no user message and no tool result to answer")
        : unfit(`messages[${answeredAt}].role`, "an answer cannot be last: a user message or a tool result must follow")
    }
    return { systemPrompt: systemPromptOf(chat.messages), history, input, tools: yield* readTools(chat) }
  })

const unfit = (field: string, reason: string): Result.Result<never, Unfit> => Result.fail({ field, reason })

const isSystem = (message: ChatMessage) => message.role === "system" || message.role === "developer"

const systemPromptOf = (messages: ReadonlyArray<ChatMessage>): string =>
  messages
    .filter(isSystem)
    .map((message) => textOf(message.content))
    .filter((text) => text !== "")
    .join("\n\n")

const textOf = (content: ChatMessage["content"]): string => {
  if (content === undefined || content === null) return ""
  return typeof content === "string"
    ? content
    : content.map((part) => (part.type === "text" ? part.text : part.refusal)).join("")
}

const readTools = ({ tool_choice, tools }: ChatRequest): Result.Result<Conversation["tools"], Unfit> =>
  Result.gen(function* () {
    if (tool_choice === "none") return []
    const offered = []
    for (const [index, { function: tool }] of (tools ?? []).entries()) {
      const schema = yield* carried(tool.parameters ?? noParameters, `tools[${index}].function.parameters`)
      offered.push({ name: tool.name, description: tool.description ?? "", schema })
    }
    if (typeof tool_choice !== "object" || tool_choice === null) return offered
    const chosen = offered.filter(({ name }) => name === tool_choice.function.name)
    return chosen.length === 0 ? yield* unfit("tool_choice.function.name", "there is no tool of this name") : chosen
  })

const noParameters = { type: "object", properties: {} }

type JsonRecord = { readonly [key: string]: Schema.Json }

const isArray = (value: Schema.Json): value is ReadonlyArray<Schema.Json> => Array.isArray(value)
const isRecord = (value: Schema.Json): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const readArguments = (text: string, field: string): Result.Result<JsonObject, Unfit> => {
  // Some clients write nothing for a tool without parameters.
  const parsed = Result.try((): Schema.Json => JSON.parse(text === "" ? "{}" : text))
  return Result.isSuccess(parsed) && isRecord(parsed.success)
    ? carried(parsed.success, field)
    : unfit(field, "expected the text of a JSON object")
}

/** Protobuf readers stop at a hundred nested messages, and a level of JSON takes up to three of them. */
const deepest = 28

/** The same value, if Protobuf's `Struct` can hold it. */
const carried = (value: JsonRecord, field: string): Result.Result<JsonObject, Unfit> => {
  const obstacle = obstacleIn(value, 1)
  return obstacle === undefined ? Result.succeed(recordOf(value)) : unfit(field, obstacle)
}

const obstacleIn = (value: Schema.Json, depth: number): string | undefined => {
  if (depth > deepest) return `it is nested deeper than ${deepest} levels`
  if (typeof value === "number" && !Number.isFinite(value)) return "it holds a number that is too large"
  if (typeof value !== "object" || value === null) return undefined
  for (const inner of Object.values(value)) {
    const obstacle = obstacleIn(inner, depth + 1)
    if (obstacle !== undefined) return obstacle
  }
  return undefined
}

const recordOf = (value: JsonRecord): JsonObject =>
  Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, valueOf(inner)]))

const valueOf = (value: Schema.Json): JsonValue => {
  if (isArray(value)) return value.map(valueOf)
  return isRecord(value) ? recordOf(value) : value
}
