/** Model events as OpenAI's Chat Completions wire writes them. */
import type { ChatEvent, Usage } from "../../domain/Chat.ts"

/** What all pieces of one answer have in common. */
export interface Answer {
  readonly id: string
  /** Epoch seconds. */
  readonly created: number
  readonly model: string
}

/** One whole answer. Reasoning goes where the field's other servers put it: `reasoning_content`. */
export const completionOf = (answer: Answer, events: ReadonlyArray<ChatEvent>) => {
  const texts = events.flatMap((event) => (event._tag === "Text" ? [event.text] : []))
  const reasoning = events.flatMap((event) => (event._tag === "Reasoning" ? [event.text] : []))
  const calls = events.flatMap((event) => (event._tag === "ToolCalled" ? [toolCallOf(event)] : []))
  const finished = events.find((event) => event._tag === "Finished")
  return {
    ...answer,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: texts.length === 0 && calls.length > 0 ? null : texts.join(""),
          refusal: null,
          ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
          ...(calls.length > 0 && { tool_calls: calls })
        },
        logprobs: null,
        finish_reason: finished?.reason
      }
    ],
    ...(finished?.usage !== undefined && { usage: usageOf(finished.usage) })
  }
}

/** The chunks that one event becomes; `tools` is how many tool calls came before it. */
export const chunksOf = (answer: Answer, event: ChatEvent, tools: number, includeUsage: boolean): Array<object> => {
  switch (event._tag) {
    case "Text":
      return [chunk(answer, { content: event.text }, null)]
    case "Reasoning":
      return [chunk(answer, { reasoning_content: event.text }, null)]
    case "ToolCalled":
      return [chunk(answer, { tool_calls: [{ index: tools, ...toolCallOf(event) }] }, null)]
    case "Finished": {
      const last = chunk(answer, {}, event.reason)
      if (!includeUsage) return [last]
      const usage = event.usage === undefined ? null : usageOf(event.usage)
      return [last, { ...answer, object: "chat.completion.chunk", choices: [], usage }]
    }
  }
}

/** The chunk every stream begins with. */
export const openingChunk = (answer: Answer) => chunk(answer, { role: "assistant", content: "" }, null)

const chunk = (answer: Answer, delta: object, finishReason: string | null) => ({
  ...answer,
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }]
})

const toolCallOf = (event: Extract<ChatEvent, { readonly _tag: "ToolCalled" }>) => ({
  id: event.id,
  type: "function",
  function: { name: event.name, arguments: event.arguments }
})

const usageOf = ({ prompt, completion }: Usage) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion
})
