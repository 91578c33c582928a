/** OpenAI's Responses: items in, items out, every event of the stream named and numbered. */
import { Result, Schema } from "effect"
import { pieces } from "../modelAnswer.ts"
import { halves } from "./chat.ts"
import { Content, conversation, offered, optional, textOf, TokenLimit, unreadable } from "./readCall.ts"
import type { Answered, AnswerEvent, Reader, Reply, Turn } from "./readCall.ts"

const Message = Schema.Struct({
  type: Schema.optionalKey(Schema.Literal("message")),
  role: Schema.Literals(["system", "developer", "user", "assistant"]),
  content: Content
})
const ToolOutput = Schema.Struct({ type: Schema.Literal("function_call_output"), output: Content })
const OtherItem = Schema.Struct({ type: Schema.Literals(["function_call", "reasoning", "item_reference"]) })

const Tool = Schema.Struct({
  type: Schema.Literal("function"),
  name: Schema.NonEmptyString,
  parameters: Schema.optionalKey(Schema.Unknown)
})

const Body = Schema.Struct({
  model: Schema.NonEmptyString,
  input: Schema.Union([
    Schema.String,
    Schema.Array(Schema.Union([Message, ToolOutput, OtherItem])).check(Schema.isMinLength(1))
  ]),
  instructions: optional(Schema.String),
  stream: optional(Schema.Boolean),
  tools: optional(Schema.Array(Tool)),
  tool_choice: optional(
    Schema.Union([
      Schema.Literals(["none", "auto", "required"]),
      Schema.Struct({ type: Schema.Literal("function"), name: Schema.NonEmptyString })
    ])
  ),
  max_output_tokens: optional(TokenLimit)
})

const decode = Schema.decodeUnknownResult(Body)

export const readResponse: Reader = (body) =>
  Result.mapBoth(decode(body), {
    onFailure: unreadable,
    onSuccess: (asked) => {
      const items = typeof asked.input === "string" ? [{ role: "user", content: asked.input } as const] : asked.input
      const system = items.flatMap((item) =>
        "role" in item && (item.role === "system" || item.role === "developer") ? [textOf(item.content)] : []
      )
      const instructions = [...(asked.instructions ? [asked.instructions] : []), ...system]
      const tools = (asked.tools ?? []).map(({ name, parameters }) => ({ name, schema: parameters }))
      const turns = items.flatMap(turnOf)
      const { historyLength, query, toolResults } = conversation(turns)
      return {
        model: asked.model,
        stream: asked.stream === true,
        questions: [
          {
            query,
            toolResults,
            systemPrompt: instructions.length === 0 ? undefined : instructions.join("\n"),
            ...offered(tools, asked.tool_choice ?? undefined)
          }
        ],
        historyLength,
        inputLengths: [
          [...instructions, ...turns.map(({ text }) => text)].join("").length +
            (asked.tools ? JSON.stringify(asked.tools).length : 0)
        ],
        maxTokens: asked.max_output_tokens ?? undefined,
        whole: (reply) =>
          responseOf(
            reply,
            reply.answers.flatMap((answer) => outputOf(reply, answer))
          ),
        events
      }
    }
  })

const turnOf = (item: typeof Message.Type | typeof ToolOutput.Type | typeof OtherItem.Type): ReadonlyArray<Turn> => {
  if ("output" in item) return [{ role: "tool", text: textOf(item.output) }]
  // What the model did is its turn, though there is nothing in it to read.
  if (!("role" in item)) return [{ role: "assistant", text: "" }]
  return item.role === "user" || item.role === "assistant" ? [{ role: item.role, text: textOf(item.content) }] : []
}

type Item = { readonly id: string; readonly type: string } & Readonly<Record<string, unknown>>

const textPart = (text: string) => ({ type: "output_text", text, annotations: [] })

const outputOf = ({ id }: Reply, { reasoning, text, toolCalls }: Answered): ReadonlyArray<Item> => [
  ...(reasoning === undefined
    ? []
    : [{ id: `rs_${id}`, type: "reasoning", summary: [{ type: "summary_text", text: reasoning }] }]),
  ...(text === ""
    ? []
    : [{ id: `msg_${id}`, type: "message", role: "assistant", status: "completed", content: [textPart(text)] }]),
  ...toolCalls.map(({ args, name }, index) => ({
    id: `fc_${id}_${index}`,
    type: "function_call",
    call_id: `call_${id}_${index}`,
    name,
    arguments: JSON.stringify(args),
    status: "completed"
  }))
]

const incompleteOf = ({ answers }: Reply): "max_output_tokens" | "content_filter" | undefined => {
  const finish = answers[0]?.finish
  return finish === "length" ? "max_output_tokens" : finish === "content_filter" ? finish : undefined
}

/** Without output it is one that has just begun. */
const responseOf = (reply: Reply, output?: ReadonlyArray<Item>) => {
  const { completion, prompt } = reply.usage
  const incomplete = output === undefined ? undefined : incompleteOf(reply)
  return {
    id: `resp_${reply.id}`,
    object: "response",
    created_at: reply.created,
    status: output === undefined ? "in_progress" : incomplete === undefined ? "completed" : "incomplete",
    error: null,
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    instructions: null,
    metadata: {},
    model: reply.model,
    output: output ?? [],
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
    usage:
      output === undefined
        ? null
        : {
            input_tokens: prompt,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens: completion,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: prompt + completion
          }
  }
}

const events = (reply: Reply): ReadonlyArray<AnswerEvent> => {
  let sequence = 0
  const event = (part: AnswerEvent["part"], type: string, fields: object): AnswerEvent => ({
    part,
    name: type,
    json: { type, sequence_number: sequence++, ...fields }
  })
  const output = reply.answers.flatMap((answer) => outputOf(reply, answer))
  const opening = ["response.created", "response.in_progress"].map((type) =>
    event("opening", type, { response: responseOf(reply) })
  )
  const items = output.flatMap((item, index) => eventsOf(item, index, event))
  const incomplete = incompleteOf(reply) === undefined ? "completed" : "incomplete"
  return [...opening, ...items, event("finish", `response.${incomplete}`, { response: responseOf(reply, output) })]
}

type MakeEvent = (part: AnswerEvent["part"], type: string, fields: object) => AnswerEvent

const eventsOf = (item: Item, output_index: number, event: MakeEvent): ReadonlyArray<AnswerEvent> => {
  const place = { item_id: item.id, output_index }
  const added = (empty: object) =>
    event("opening", "response.output_item.added", { output_index, item: { ...item, ...empty } })
  const finished = () => event("content", "response.output_item.done", { output_index, item })
  switch (item.type) {
    case "message": {
      const text = textOf(Array.isArray(item["content"]) ? item["content"] : undefined)
      const part = { ...place, content_index: 0 }
      return [
        added({ status: "in_progress", content: [] }),
        event("opening", "response.content_part.added", { ...part, part: textPart("") }),
        ...pieces(text).map((delta) =>
          event("content", "response.output_text.delta", { ...part, delta, logprobs: [] })
        ),
        event("content", "response.output_text.done", { ...part, text, logprobs: [] }),
        event("content", "response.content_part.done", { ...part, part: textPart(text) }),
        finished()
      ]
    }
    case "function_call": {
      const args = `${item["arguments"]}`
      return [
        added({ status: "in_progress", arguments: "" }),
        ...halves(args).map((delta) => event("content", "response.function_call_arguments.delta", { ...place, delta })),
        event("content", "response.function_call_arguments.done", { ...place, arguments: args }),
        finished()
      ]
    }
    default:
      return [added({}), finished()]
  }
}
