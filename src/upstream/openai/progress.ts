/** How far a streamed answer has come, as its events tell: pure, one for each answer. */
import type { Usage } from "../../domain/Chat.ts"
import type { Endpoint } from "../ModelClient.ts"
import { failedFinish, isError } from "./answerError.ts"
import type { ServerSentEvent } from "./framing.ts"
import { isObject, type JsonObject, parsed } from "./json.ts"
import { usageOf } from "./usage.ts"

/** What an event says. After `last` there is nothing that would matter. */
export type Said = "nothing" | "content" | "last" | Broken

/** The answer is no good: an error in its place, or what cannot be understood. */
export type Broken =
  | { readonly _tag: "Error"; readonly error: JsonObject | string }
  | { readonly _tag: "Unusable"; readonly reason: "malformed" | "cut" | "internal"; readonly detail: string }

export interface Progress {
  take(event: ServerSentEvent): Said
  /** Whether nothing of the answer is missing, though its end has not been told. */
  readonly isComplete: boolean
  /** What it has to be ended with for clients of the endpoint, when the upstream has not. */
  readonly terminator: string
  /** As far as it has come. */
  readonly usage: Usage | undefined
}

export const progressOf = (endpoint: Endpoint): Progress => (endpoint === "/responses" ? responses() : choices())

const done = "[DONE]"

const readEvent = ({ data, name }: ServerSentEvent, ended: () => Said, read: (json: JsonObject) => Said): Said => {
  if (data === undefined || data === "") return "nothing"
  if (data === done || data.trim() === done) return ended()
  const json = parsed(data)
  if (name === "error" || (isObject(json) && isError(json))) {
    return { _tag: "Error", error: isObject(json) ? json : data }
  }
  return isObject(json) ? read(json) : malformed
}

const malformed: Broken = { _tag: "Unusable", reason: "malformed", detail: "an event of the stream is no JSON object" }
const unfinished: Broken = { _tag: "Unusable", reason: "cut", detail: "the stream ended before the answer did" }

/** Chat completions, and their elder sister with `text` in place of `delta`. */
const choices = (): Progress => {
  let usage: Usage | undefined
  let hasContent = false
  // By index; whether it has finished. A request has at most 128 of them.
  const seen = new Map<unknown, boolean>()
  let open = 0

  const readChoice = (choice: JsonObject): Said => {
    const { finish_reason: reason, index } = choice
    const isFinished = seen.get(index)
    const finishes = reason !== undefined && reason !== null && reason !== ""
    if (isFinished === undefined) {
      seen.set(index, finishes)
      if (!finishes) open++
    } else if (finishes && !isFinished) {
      seen.set(index, true)
      open--
    }
    if (finishes && failedFinish.has(reason)) {
      return { _tag: "Unusable", reason: "internal", detail: `it gave up with finish_reason ${String(reason)}` }
    }
    return finishes || (!hasContent && isContent(choice)) ? "content" : "nothing"
  }

  const read = (json: JsonObject): Said => {
    usage = usageOf(json) ?? usage
    const list = json["choices"]
    if (!Array.isArray(list)) return "nothing"
    let said: Said = "nothing"
    for (const choice of list) {
      if (!isObject(choice)) continue
      const what = readChoice(choice)
      if (typeof what === "object") return what
      if (what === "content") said = what
    }
    if (said === "content") hasContent = true
    return said
  }

  /**
   * Some servers never give a reason to finish, and their `[DONE]` is all there is to tell the end by. But servers that pass
   * an answer on write it also after one that broke off: it counts only where something was said, and where no choice has
   * shown that this server does give reasons.
   */
  const ended = (): Said => ((open === 0 ? seen.size > 0 : hasContent && open === seen.size) ? "last" : unfinished)

  return {
    take: (event) => readEvent(event, ended, read),
    get isComplete() {
      return open === 0 && seen.size > 0
    },
    terminator: `data: ${done}\n\n`,
    get usage() {
      return usage
    }
  }
}

const isContent = ({ delta, message, text }: JsonObject): boolean => {
  if (isFilled(text)) return true
  const piece = delta ?? message
  return (
    isObject(piece) &&
    (isFilled(piece["content"]) ||
      isFilled(piece["reasoning_content"]) ||
      isFilled(piece["reasoning"]) ||
      isFilled(piece["tool_calls"]) ||
      isFilled(piece["refusal"]) ||
      isFilled(piece["function_call"]) ||
      isFilled(piece["audio"]))
  )
}

const isFilled = (value: unknown): boolean =>
  typeof value === "string" || Array.isArray(value) ? value.length > 0 : isObject(value)

/** Responses, whose events have types and whose end is an event of its own. */
const responses = (): Progress => {
  let usage: Usage | undefined

  const read = (json: JsonObject): Said => {
    const { response, type } = json
    if (typeof type !== "string" || !type.startsWith("response.")) return "nothing"
    if (isObject(response)) usage = usageOf(response) ?? usage
    switch (type) {
      case "response.completed":
      case "response.incomplete":
        return "last"
      case "response.failed":
        return { _tag: "Error", error: isObject(response) ? response : json }
      case "response.cancelled":
        return { _tag: "Unusable", reason: "cut", detail: "the answer was cancelled" }
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        return "nothing"
      default:
        return "content"
    }
  }

  return {
    take: (event) => readEvent(event, () => unfinished, read),
    isComplete: false,
    terminator: "",
    get usage() {
      return usage
    }
  }
}
