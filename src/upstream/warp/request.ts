/** Says a chat request in Warp's words. Pure: what has to be new for each request is given. */
import { create, toBinary } from "@bufbuild/protobuf"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { Result } from "effect"
import type { ChatRequest } from "../../domain/Chat.ts"
import { RequestRejected } from "../../domain/Failure.ts"
import { type Answer, type Conversation, type Query, readConversation, type ToolResult } from "./conversation.ts"
import { RequestSchema } from "./warp_pb.ts"
import type { MessageSchema, Request, Request_Input_UserInputSchema } from "./warp_pb.ts"

export interface RequestContext {
  readonly provider: string
  /** Never used before: names the task that holds the history, and its messages. */
  readonly taskId: string
}

/**
 * The conversation is told anew with each request and belongs to none that Warp keeps, so that callers never share one.
 * What Warp has no counterpart for (`tool_choice: "required"`, sampling) is left out.
 */
export const toRequest = (chat: ChatRequest, context: RequestContext): Result.Result<Request, RequestRejected> =>
  readConversation(chat).pipe(
    Result.map((conversation) => create(RequestSchema, requestOf(conversation, chat.model, context.taskId))),
    Result.mapError(
      ({ field, reason }) =>
        new RequestRejected({ provider: context.provider, status: 400, code: null, param: field, reason })
    )
  )

export const encodeRequest = (
  chat: ChatRequest,
  context: RequestContext
): Result.Result<Uint8Array<ArrayBuffer>, RequestRejected> =>
  Result.map(toRequest(chat, context), (request) => toBinary(RequestSchema, request))

/** CALL_MCP_TOOL. Told always, since an empty list would allow every tool of Warp's own. */
const callMcpTool = 9

const requestOf = (
  { history, input, systemPrompt, tools }: Conversation,
  model: string,
  taskId: string
): MessageInitShape<typeof RequestSchema> => {
  // The prompt belongs to the last query. When only tool results are new, that one is in the history.
  const prompted = input.findLast(isQuery) ?? history.findLast(isQuery)
  const queryOf: QueryOf = (turn) => ({
    query: turn.text,
    referencedAttachments:
      turn === prompted && systemPrompt !== ""
        ? { SYSTEM_PROMPT: { value: { case: "plainText", value: systemPrompt } } }
        : {}
  })
  const messages = history
    .flatMap((turn) => historyMessages(turn, queryOf))
    .map((message, index) => ({ id: `${taskId}-${index + 1}`, taskId, message }))
  return {
    taskContext: messages.length === 0 ? {} : { tasks: [{ id: taskId, messages }] },
    input: { type: { case: "userInputs", value: { inputs: input.map((turn) => inputOf(turn, queryOf)) } } },
    settings: { modelConfig: { base: model }, supportedTools: [callMcpTool] },
    metadata: { logging: { entrypoint: { kind: { case: "stringValue", value: "USER_INITIATED" } } } },
    ...(tools.length === 0
      ? {}
      : { mcpContext: { tools: tools.map(({ schema, ...tool }) => ({ ...tool, inputSchema: schema })) } })
  }
}

const isQuery = (turn: Query | ToolResult | Answer): turn is Query => turn.role === "user"

type QueryOf = (turn: Query) => {
  readonly query: string
  readonly referencedAttachments: Record<
    string,
    { readonly value: { readonly case: "plainText"; readonly value: string } }
  >
}
type HistoryMessage = Exclude<MessageInitShape<typeof MessageSchema>["message"], undefined>

const historyMessages = (turn: Query | ToolResult | Answer, queryOf: QueryOf): ReadonlyArray<HistoryMessage> => {
  switch (turn.role) {
    case "user":
      return [{ case: "userQuery", value: queryOf(turn) }]
    case "tool":
      return [{ case: "toolCallResult", value: resultOf(turn) }]
    case "assistant":
      return [
        ...(turn.text === "" ? [] : [{ case: "agentOutput" as const, value: { text: turn.text } }]),
        ...turn.calls.map(({ args, id, name }) => ({
          case: "toolCall" as const,
          value: { toolCallId: id, tool: { case: "callMcpTool" as const, value: { name, args } } }
        }))
      ]
  }
}

const inputOf = (turn: Query | ToolResult, queryOf: QueryOf): MessageInitShape<typeof Request_Input_UserInputSchema> =>
  turn.role === "user"
    ? { input: { case: "userQuery", value: queryOf(turn) } }
    : { input: { case: "toolCallResult", value: resultOf(turn) } }

const resultOf = ({ callId, text }: ToolResult) => ({
  toolCallId: callId,
  result: {
    case: "callMcpTool" as const,
    value: {
      result: {
        case: "success" as const,
        value: { results: [{ result: { case: "text" as const, value: { text } } }] }
      }
    }
  }
})
