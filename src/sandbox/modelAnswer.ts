/**
 * What an emulated model answers: always the same to the same question, and shaped so that whoever asked can see what
 * arrived. `reason: …` makes it think first; `count to N` gives a long answer; naming an offered tool makes it call it.
 */
import type { Schema } from "effect"
import { argumentsFor } from "./toolArguments.ts"

export interface Question {
  readonly query: string
  readonly systemPrompt: string | undefined
  readonly tools: ReadonlyArray<{ readonly name: string; readonly schema: unknown }>
  readonly toolResults: ReadonlyArray<{ readonly text: string; readonly failed: boolean }>
  /** Whether one of the tools has to be called, named or not. */
  readonly mustCall?: boolean
}

export interface ModelAnswer {
  readonly reasoning: string | undefined
  /** Empty when the answer is nothing but tool calls. */
  readonly text: string
  readonly toolCalls: ReadonlyArray<{ readonly name: string; readonly args: { [name: string]: Schema.MutableJson } }>
}

/** The largest N of `count to N`. */
const farthest = 10_000

export const answer = (question: Question): ModelAnswer => {
  const { query, systemPrompt, toolResults } = question
  if (toolResults.length > 0) {
    const quoted = toolResults.map(({ failed, text }) => `The tool ${failed ? "failed" : "answered"}: "${text}"`)
    return { reasoning: undefined, toolCalls: [], text: [...quoted, ...said(query)].join("\n") }
  }
  const reasoning = /^\s*reason:/i.test(query) ? `The question has ${query.length} characters.` : undefined
  const called = toolsNamed(question)
  if (called.length > 0) {
    return {
      reasoning,
      text: "",
      toolCalls: called.map(({ name, schema }) => ({ name, args: argumentsFor(schema, query) }))
    }
  }
  const counted = /\bcount to (\d{1,9})\b/i.exec(query)?.[1]
  const text =
    counted === undefined
      ? [`You said: "${query}"`, ...(systemPrompt === undefined ? [] : [`My instructions: "${systemPrompt}"`])].join(
          "\n"
        )
      : Array.from({ length: Math.min(Number(counted), farthest) }, (_, index) => index + 1).join(" ")
  return { reasoning, toolCalls: [], text }
}

/** Every tool whose whole name is in the query, else the first that shares a word with it, else the first if asked for any. */
const toolsNamed = ({ mustCall = false, query, tools }: Question): Question["tools"] => {
  const asked = query.toLowerCase()
  const named = tools.filter(({ name }) => name !== "" && asked.includes(name.toLowerCase()))
  if (named.length > 0) return named
  const words = new Set(wordsOf(query))
  const related = tools.find(({ name }) => wordsOf(name).some((word) => word.length >= 4 && words.has(word)))
  if (related !== undefined) return [related]
  return mustCall || /\b(call|use) (a|the|any) (tool|function)\b/.test(asked) ? tools.slice(0, 1) : []
}

const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)

const said = (query: string): ReadonlyArray<string> => (query === "" ? [] : [`You said: "${query}"`])

/**
 * Cuts a text into the pieces a model would stream, a word at a time; a long text in longer pieces, so that there are
 * never more than `most`.
 */
export const pieces = (text: string, most = 400): ReadonlyArray<string> => {
  if (text === "") return []
  const words = text.split(/(?<=\S)(?=\s)/)
  const size = Math.ceil(words.length / most)
  return Array.from({ length: Math.ceil(words.length / size) }, (_, index) =>
    words.slice(index * size, (index + 1) * size).join("")
  )
}
