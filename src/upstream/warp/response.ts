/**
 * Puts a model's answer together from Warp's events. A pure rule: each event yields what the caller is to be told and the
 * next state, or the failure in which the answer ends.
 */
import type { FieldMask } from "@bufbuild/protobuf/wkt"
import { Result } from "effect"
import { ChatEvent, type Usage } from "../../domain/Chat.ts"
import { type CallFailure, QuotaExhausted, RequestRejected, UpstreamUnavailable } from "../../domain/Failure.ts"
import type { TokenId } from "../../domain/Token.ts"
import { shownText } from "../shownText.ts"
import type { ClientAction, Message, ResponseEvent, ResponseEvent_StreamFinished } from "./warp_pb.ts"

interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
}

export interface State {
  /** What the caller was told of each message, by kind and message id. As long as the answer itself. */
  readonly told: ReadonlyMap<string, string>
  /** By message id, in order of arrival. Told at the end, since until then an update may replace or complete them. */
  readonly calls: ReadonlyMap<string, ToolCall>
  /** What a rollback returns to: the last begin or commit, or the beginning of all. */
  readonly savepoint: Pick<State, "told" | "calls">
  readonly finished: boolean
}

export const initial: State = {
  told: new Map(),
  calls: new Map(),
  savepoint: { told: new Map(), calls: new Map() },
  finished: false
}

export interface ResponseContext {
  readonly provider: string
  readonly token: TokenId
}

export type Step = Result.Result<readonly [ReadonlyArray<ChatEvent>, State], CallFailure>

/** Events and actions of unknown kinds are skipped, and so is whatever follows the end. */
export const step = (state: State, event: ResponseEvent, context: ResponseContext): Step => {
  if (state.finished) return Result.succeed([[], state])
  switch (event.type.case) {
    case "clientActions":
      return Result.mapError(
        event.type.value.actions.reduce(followedBy, Result.succeed([[], state])),
        (detail) => new UpstreamUnavailable({ provider: context.provider, reason: "malformed", detail })
      )
    case "finished":
      return Result.map(finish(state, event.type.value, context), (events) => [events, { ...state, finished: true }])
    default:
      return Result.succeed([[], state])
  }
}

/** What an action does, or why it cannot be done. */
type Applied = Result.Result<readonly [ReadonlyArray<ChatEvent>, State], string>

const nothing = (state: State): Applied => Result.succeed([[], state])

const followedBy = (done: Applied, { action }: ClientAction): Applied =>
  Result.flatMap(done, ([before, state]) =>
    Result.map(apply(state, action), ([events, next]) => [[...before, ...events], next])
  )

const apply = (state: State, action: ClientAction["action"]): Applied => {
  switch (action.case) {
    case "createTask":
      return addAll(state, action.value.task?.messages ?? [])
    case "addMessagesToTask":
      return addAll(state, action.value.messages)
    case "appendToMessageContent":
      return action.value.message === undefined
        ? nothing(state)
        : append(state, action.value.message, action.value.mask)
    case "updateTaskMessage":
      return action.value.message === undefined
        ? nothing(state)
        : replace(state, action.value.message, action.value.mask)
    case "beginTransaction":
    case "commitTransaction":
      return nothing({ ...state, savepoint: { told: state.told, calls: state.calls } })
    case "rollbackTransaction":
      return rollback(state)
    default:
      return nothing(state)
  }
}

const addAll = (state: State, messages: ReadonlyArray<Message>): Applied =>
  messages.reduce(
    (done: Applied, message) =>
      Result.flatMap(done, ([before, state]) =>
        Result.map(replace(state, message, undefined), ([events, next]) => [[...before, ...events], next])
      ),
    nothing(state)
  )

/** The texts of a message that a caller sees, and the path under which a mask names each. */
const texts = [
  {
    path: "agent_output.text",
    of: ({ message }: Message) => (message.case === "agentOutput" ? message.value.text : undefined),
    event: (text: string) => ChatEvent.Text({ text })
  },
  {
    path: "agent_reasoning.reasoning",
    of: ({ message }: Message) => (message.case === "agentReasoning" ? message.value.reasoning : undefined),
    event: (text: string) => ChatEvent.Reasoning({ text })
  }
]

/** An absent mask names all. A path also names what lies below it. */
const names = (mask: FieldMask | undefined, path: string): boolean =>
  mask === undefined || mask.paths.length === 0 || mask.paths.some((named) => `${path}.`.startsWith(`${named}.`))

const append = (state: State, message: Message, mask: FieldMask | undefined): Applied => {
  for (const { event, of, path } of texts) {
    const text = of(message)
    if (text !== undefined && names(mask, path)) return tell(state, `${path} ${message.id}`, text, event)
  }
  return nothing(withCall(state, message))
}

const replace = (state: State, message: Message, mask: FieldMask | undefined): Applied => {
  for (const { event, of, path } of texts) {
    const key = `${path} ${message.id}`
    const told = state.told.get(key) ?? ""
    const text = of(message) ?? (mask?.paths.includes(path) === true ? "" : undefined)
    if (text === undefined || !names(mask, path)) continue
    if (!text.startsWith(told)) return Result.fail("the stream rewrote a text that had been passed on")
    return tell(state, key, text.slice(told.length), event)
  }
  return nothing(withCall(state, message))
}

const tell = (state: State, key: string, text: string, event: (text: string) => ChatEvent): Applied =>
  text === ""
    ? nothing(state)
    : Result.succeed([
        [event(text)],
        { ...state, told: new Map(state.told).set(key, (state.told.get(key) ?? "") + text) }
      ])

/** An update need not repeat what it leaves as it was. */
const withCall = (state: State, { id, message }: Message): State => {
  if (message.case !== "toolCall" || message.value.tool.case !== "callMcpTool") return state
  const before = state.calls.get(id)
  const { args, name } = message.value.tool.value
  return {
    ...state,
    calls: new Map(state.calls).set(id, {
      id: message.value.toolCallId || before?.id || id,
      name: name || (before?.name ?? ""),
      arguments: args === undefined ? (before?.arguments ?? "{}") : JSON.stringify(args)
    })
  }
}

const rollback = (state: State): Applied => {
  const { savepoint, told } = state
  return lengthOf(told) === lengthOf(savepoint.told)
    ? nothing({ ...state, calls: savepoint.calls })
    : Result.fail("the stream took back a text that had been passed on")
}

const lengthOf = (told: ReadonlyMap<string, string>): number =>
  [...told.values()].reduce((sum, text) => sum + text.length, 0)

const finish = (
  state: State,
  finished: ResponseEvent_StreamFinished,
  { provider, token }: ResponseContext
): Result.Result<ReadonlyArray<ChatEvent>, CallFailure> => {
  const failed = (detail: string) => Result.fail(new UpstreamUnavailable({ provider, reason: "internal", detail }))
  const ended = (reason: "stop" | "length") => {
    const calls = [...state.calls.values()].map(ChatEvent.ToolCalled)
    if (calls.some(({ name }) => name === "")) return failed("the stream holds a tool call without a name")
    return Result.succeed([
      ...calls,
      ChatEvent.Finished({
        reason: reason === "stop" && calls.length > 0 ? "tool_calls" : reason,
        usage: usageOf(finished)
      })
    ])
  }
  switch (finished.reason.case) {
    case "done":
      return ended("stop")
    case "maxTokenLimit":
      return ended("length")
    case "contextWindowExceeded":
      // Nothing said is no answer that was cut short.
      return lengthOf(state.told) > 0 || state.calls.size > 0
        ? ended("length")
        : Result.fail(
            new RequestRejected({
              provider,
              status: 400,
              code: "context_length_exceeded",
              param: "messages",
              reason: "the conversation is longer than the model's context"
            })
          )
    case "quotaLimit":
      return Result.fail(new QuotaExhausted({ provider, token }))
    case "llmUnavailable":
      return failed("the model is not available")
    case "internalError":
      return failed(shownText(finished.reason.value.message) ?? "an internal error")
    case "invalidApiKey":
      return failed("the key that the account holds for the model's own provider is not accepted")
    case "other":
      return failed("the stream ended for a reason that was not given")
    default:
      return failed("the stream ended for a reason that is not known here")
  }
}

const usageOf = ({ tokenUsage }: ResponseEvent_StreamFinished): Usage | undefined =>
  tokenUsage.length === 0
    ? undefined
    : tokenUsage.reduce(
        (sum, { output, totalInput }) => ({ prompt: sum.prompt + totalInput, completion: sum.completion + output }),
        { prompt: 0, completion: 0 }
      )
