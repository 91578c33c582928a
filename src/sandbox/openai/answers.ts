/** What an emulated model says to a call that was read, as long as it may, and what it cost. */
import { answer } from "../modelAnswer.ts"
import type { OpenAiFault } from "./openAiFault.ts"
import { tokensIn } from "./readCall.ts"
import type { Answered, ReadCall, Reply } from "./readCall.ts"

const defaultBytes = 2 * 1024 * 1024

export const replyTo = (
  call: ReadCall,
  {
    context,
    created,
    fault,
    id
  }: {
    readonly id: string
    /** Epoch seconds. */
    readonly created: number
    /** Of the model, in tokens. */
    readonly context: number
    readonly fault: OpenAiFault | undefined
  }
): Reply => {
  const prompts = call.inputLengths.map(tokensIn)
  const answers = call.questions.map((question, index): Answered => {
    const most = Math.max(1, Math.min(call.maxTokens ?? Number.POSITIVE_INFINITY, context - (prompts[index] ?? 0)))
    const said = answer(question)
    switch (fault?.kind) {
      case "huge_event":
        // A single word, which is never cut into pieces.
        return { ...said, text: "x".repeat(fault.bytes ?? defaultBytes), finish: "stop" }
      case "content_filter_finish":
        return { ...said, finish: "content_filter" }
      default:
        return said.toolCalls.length > 0 ? { ...said, finish: "tool_calls" } : withinLimit(said, most)
    }
  })
  return {
    id,
    created,
    model: call.model,
    answers,
    usage: { prompt: sum(prompts), completion: sum(answers.map(lengthOf)) }
  }
}

const withinLimit = (said: ReturnType<typeof answer>, most: number): Answered => {
  const text = said.text.slice(0, most * 4)
  return { ...said, text, finish: text.length < said.text.length ? "length" : "stop" }
}

const lengthOf = ({ reasoning, text, toolCalls }: Answered): number =>
  tokensIn((text + (reasoning ?? "") + toolCalls.map(({ args }) => JSON.stringify(args)).join("")).length)

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)
