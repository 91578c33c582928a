/** A call of an emulated model, read from the wire, and how its answer goes back onto it. */
import { Schema } from "effect"
import type { Result } from "effect"
import { firstIssue } from "../../domain/firstIssue.ts"
import type { ModelAnswer, Question } from "../modelAnswer.ts"

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter"

/** An answer to one question. */
export interface Answered extends ModelAnswer {
  readonly finish: FinishReason
}

export interface Reply {
  /** Unique within the provider; the wire's own ids are made of it. */
  readonly id: string
  /** Epoch seconds. */
  readonly created: number
  readonly model: string
  /** One for each question. */
  readonly answers: ReadonlyArray<Answered>
  /** Tokens. */
  readonly usage: { readonly prompt: number; readonly completion: number }
}

/** An event of a streamed answer, by the part it plays in it. `raw` stands on the wire as it is, anything else as JSON. */
export type AnswerEvent = {
  readonly part: "opening" | "content" | "finish" | "usage" | "done"
  /** The `event:` line, where the endpoint has them. */
  readonly name?: string | undefined
} & ({ readonly raw: string } | { readonly json: unknown })

export interface ReadCall {
  readonly model: string
  readonly stream: boolean
  readonly questions: ReadonlyArray<Question>
  /** Messages that came before. */
  readonly historyLength: number
  /** How many characters the model has to read, for each question. */
  readonly inputLengths: ReadonlyArray<number>
  readonly maxTokens: number | undefined
  whole(reply: Reply): unknown
  /** Empty for a call that is never streamed. */
  events(reply: Reply): ReadonlyArray<AnswerEvent>
}

/** The field at fault and why. */
export interface Unreadable {
  readonly field: string
  readonly reason: string
}

export type Reader = (body: unknown) => Result.Result<ReadCall, Unreadable>

export const unreadable = ({ issue }: Schema.SchemaError): Unreadable => {
  const { field, reason } = firstIssue(issue)
  return { field: field === "" ? "body" : field, reason }
}

/** How the streams of OpenAI's older endpoints end. */
export const done: AnswerEvent = { part: "done", raw: "[DONE]" }

/** Four characters make a token, as a rule of thumb. */
export const tokensIn = (characters: number): number => Math.max(1, Math.ceil(characters / 4))

export const usageOf = ({ completion, prompt }: Reply["usage"]) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion
})

/** Absent or null: not said. */
export const optional = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

export const TokenLimit = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

export const StreamOptions = Schema.Struct({ include_usage: optional(Schema.Boolean) })

/** Text, or parts of which those with text are read and others passed over. */
export const Content = Schema.Union([
  Schema.String,
  Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optionalKey(Schema.String) }))
])

export const textOf = (content: typeof Content.Type | null | undefined): string => {
  if (content === null || content === undefined) return ""
  return typeof content === "string" ? content : content.map(({ text }) => text ?? "").join("")
}

/** Which tools the model may call, and whether it must call one. */
export const offered = (
  tools: Question["tools"],
  choice: string | { readonly name: string } | undefined
): Pick<Question, "tools" | "mustCall"> => {
  if (choice === "none") return { tools: [] }
  if (typeof choice === "object") return { tools: tools.filter(({ name }) => name === choice.name), mustCall: true }
  return choice === "required" ? { tools, mustCall: true } : { tools }
}

/** What is said since the model last spoke, and before. */
export interface Turn {
  readonly role: "user" | "assistant" | "tool"
  readonly text: string
}

export const conversation = (turns: ReadonlyArray<Turn>) => {
  const last = turns.findLastIndex(({ role }) => role === "assistant")
  const fresh = turns.slice(last + 1)
  const textsOf = (role: Turn["role"], among: ReadonlyArray<Turn>) =>
    among.filter((turn) => turn.role === role).map(({ text }) => text)
  return {
    query: fresh.length === 0 ? (textsOf("user", turns).at(-1) ?? "") : textsOf("user", fresh).join("\n"),
    toolResults: textsOf("tool", fresh).map((text) => ({ text, failed: false })),
    historyLength: last + 1
  }
}
