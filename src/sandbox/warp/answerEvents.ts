/** The events by which the emulated Warp streams an answer. */
import { create } from "@bufbuild/protobuf"
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf"
import { ResponseEventSchema } from "../../upstream/warp/warp_pb.ts"
import type {
  ClientActionSchema,
  MessageSchema,
  ResponseEvent,
  ResponseEvent_StreamFinishedSchema
} from "../../upstream/warp/warp_pb.ts"
import { pieces } from "../modelAnswer.ts"
import type { ModelAnswer } from "../modelAnswer.ts"

/** How one exchange names its parts. */
export interface Names {
  readonly conversationId: string
  readonly requestId: string
  readonly taskId: string
  /** Whether the conversation has no task yet. */
  readonly newTask: boolean
}

export interface Cost {
  readonly model: string
  readonly input: number
  readonly output: number
}

/** Why a stream ended, other than that the answer was complete. */
export type Mishap =
  | "other"
  | "maxTokenLimit"
  | "quotaLimit"
  | "contextWindowExceeded"
  | "llmUnavailable"
  | "internalError"

type Init<A extends DescMessage, K extends keyof MessageInitShape<A>> = Exclude<MessageInitShape<A>[K], undefined>

export const opening = (names: Names): ReadonlyArray<ResponseEvent> => [
  create(ResponseEventSchema, {
    type: { case: "init", value: { conversationId: names.conversationId, requestId: names.requestId } }
  }),
  ...(names.newTask ? [action({ case: "createTask", value: { task: { id: names.taskId } } })] : [])
]

export const content = (names: Names, answer: ModelAnswer): ReadonlyArray<ResponseEvent> => [
  ...(answer.reasoning === undefined
    ? []
    : streamed(
        names,
        `${names.requestId}-reasoning`,
        pieces(answer.reasoning),
        "agent_reasoning.reasoning",
        (reasoning) => ({
          case: "agentReasoning",
          value: { reasoning }
        })
      )),
  ...(answer.text === ""
    ? []
    : streamed(names, `${names.requestId}-text`, pieces(answer.text), "agent_output.text", (text) => ({
        case: "agentOutput",
        value: { text }
      }))),
  ...answer.toolCalls.map(({ args, name }, index) =>
    action({
      case: "addMessagesToTask",
      value: {
        taskId: names.taskId,
        messages: [
          {
            id: `${names.requestId}-tool-${index}`,
            taskId: names.taskId,
            requestId: names.requestId,
            message: {
              case: "toolCall",
              value: {
                toolCallId: `call-${names.requestId}-${index}`,
                tool: { case: "callMcpTool", value: { name, args } }
              }
            }
          }
        ]
      }
    })
  )
]

export const finished = (cost: Cost, mishap: Mishap | undefined, message = "the model failed"): ResponseEvent =>
  create(ResponseEventSchema, {
    type: {
      case: "finished",
      value: {
        reason: reasonOf(mishap, message),
        tokenUsage: [{ modelId: cost.model, totalInput: cost.input, output: cost.output }]
      }
    }
  })

export const transaction = (step: "beginTransaction" | "commitTransaction" | "rollbackTransaction"): ResponseEvent =>
  action({ case: step, value: {} })

const reasonOf = (
  mishap: Mishap | undefined,
  message: string
): Init<typeof ResponseEvent_StreamFinishedSchema, "reason"> => {
  if (mishap === undefined) return { case: "done", value: {} }
  return mishap === "internalError" ? { case: mishap, value: { message } } : { case: mishap, value: {} }
}

const action = (action: Init<typeof ClientActionSchema, "action">): ResponseEvent =>
  create(ResponseEventSchema, { type: { case: "clientActions", value: { actions: [{ action }] } } })

/** The first piece arrives in a message of its own, the rest is appended to it. */
const streamed = (
  names: Names,
  id: string,
  parts: ReadonlyArray<string>,
  path: string,
  message: (part: string) => Init<typeof MessageSchema, "message">
): ReadonlyArray<ResponseEvent> =>
  parts.map((part, index) => {
    const value = { id, taskId: names.taskId, requestId: names.requestId, message: message(part) }
    return index === 0
      ? action({ case: "addMessagesToTask", value: { taskId: names.taskId, messages: [value] } })
      : action({
          case: "appendToMessageContent",
          value: { taskId: names.taskId, message: value, mask: { paths: [path] } }
        })
  })
