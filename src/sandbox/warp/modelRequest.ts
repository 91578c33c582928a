/** What a protobuf request asks the emulated model for. */
import { fromBinary } from "@bufbuild/protobuf"
import { RequestSchema } from "../../upstream/warp/warp_pb.ts"
import type {
  CallMcpToolResult,
  Message,
  Request,
  Request_Input_UserInput,
  UserQuery
} from "../../upstream/warp/warp_pb.ts"

export interface OfferedTool {
  readonly name: string
  /** The JSON Schema of its arguments. */
  readonly schema: unknown
}

export interface ToolResult {
  readonly id: string
  readonly text: string
  readonly failed: boolean
}

export interface ModelRequest {
  readonly conversationId: string | undefined
  /** The task the conversation already has. */
  readonly taskId: string | undefined
  readonly model: string
  /** Empty when the input holds nothing but tool results. */
  readonly query: string
  readonly systemPrompt: string | undefined
  readonly toolResults: ReadonlyArray<ToolResult>
  readonly tools: ReadonlyArray<OfferedTool>
  readonly historyLength: number
  /** How many characters the model has to read. */
  readonly inputLength: number
}

/** `undefined` when the bytes are not such a message, or hold no input. */
export const decodeRequest = (bytes: Uint8Array): ModelRequest | undefined => {
  const request = parse(bytes)
  if (request === undefined || request.input?.type.case !== "userInputs") return undefined
  const inputs = request.input.type.value.inputs
  if (inputs.length === 0) return undefined
  const queries = inputs.flatMap((input) => (input.input.case === "userQuery" ? [input.input.value] : []))
  const toolResults = inputs.flatMap(toolResultOf)
  const query = queries.map((asked) => asked.query).join("\n")
  const tasks = request.taskContext?.tasks ?? []
  const history = tasks.flatMap((task) => task.messages)
  const systemPrompt = systemPromptOf(queries) ?? systemPromptOf(history.flatMap(userQueryOf).toReversed())
  const tools = (request.mcpContext?.tools ?? []).map((tool) => ({ name: tool.name, schema: tool.inputSchema }))
  return {
    conversationId: request.metadata?.conversationId || undefined,
    taskId: tasks.at(-1)?.id || undefined,
    model: request.settings?.modelConfig?.base || "auto",
    query,
    systemPrompt,
    toolResults,
    tools,
    historyLength: history.length,
    inputLength:
      query.length +
      (systemPrompt?.length ?? 0) +
      sum(history.map(lengthOf)) +
      sum(toolResults.map((result) => result.text.length)) +
      sum(tools.map((tool) => tool.name.length + JSON.stringify(tool.schema ?? {}).length))
  }
}

const parse = (bytes: Uint8Array): Request | undefined => {
  if (bytes.length === 0) return undefined
  try {
    return fromBinary(RequestSchema, bytes)
  } catch {
    return undefined
  }
}

const userQueryOf = (message: Message) => (message.message.case === "userQuery" ? [message.message.value] : [])

const systemPromptOf = (queries: ReadonlyArray<Pick<UserQuery, "referencedAttachments">>): string | undefined => {
  for (const query of queries) {
    const attachment = query.referencedAttachments["SYSTEM_PROMPT"]
    if (attachment?.value.case === "plainText") return attachment.value.value
  }
  return undefined
}

const toolResultOf = ({ input }: Request_Input_UserInput): ReadonlyArray<ToolResult> => {
  if (input.case !== "toolCallResult") return []
  const { result, toolCallId } = input.value
  if (result.case !== "callMcpTool") return [{ id: toolCallId, text: "", failed: true }]
  return [{ id: toolCallId, text: textOf(result.value), failed: result.value.result.case === "error" }]
}

const textOf = ({ result }: CallMcpToolResult): string => {
  if (result.case === "error") return result.value.message
  if (result.case !== "success") return ""
  return result.value.results.map((part) => (part.result.case === "text" ? part.result.value.text : "")).join("\n")
}

const lengthOf = ({ message }: Message): number => {
  switch (message.case) {
    case "userQuery":
      return message.value.query.length
    case "agentOutput":
      return message.value.text.length
    case "toolCall":
      return JSON.stringify(message.value.tool.value?.args ?? {}).length
    case "toolCallResult":
      return message.value.result.case === "callMcpTool" ? textOf(message.value.result.value).length : 0
    default:
      return 0
  }
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)
