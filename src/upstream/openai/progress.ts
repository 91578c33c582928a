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

export const progressOf = (endpoint: Endpoint): Progress =>
  endpoint === "/responses" ? new ResponseProgress() : new ChoicesProgress()

interface Reading {
  read(json: JsonObject): Said
  /** `[DONE]` was said. */
  ended(): Said
}

const done = "[DONE]"

const readEvent = ({ data, name }: ServerSentEvent, reading: Reading): Said => {
  if (data === undefined || data === "") return "nothing"
  if (data === done || data.trim() === done) return reading.ended()
  const json = parsed(data)
  if (name === "error" || (isObject(json) && isError(json))) {
    return { _tag: "Error", error: isObject(json) ? json : data }
  }
  return isObject(json) ? reading.read(json) : malformed
}

const malformed: Broken = { _tag: "Unusable", reason: "malformed", detail: "an event of the stream is no JSON object" }
const tooMany: Broken = { _tag: "Unusable", reason: "malformed", detail: "the answer has too many choices" }
const unfinished: Broken = { _tag: "Unusable", reason: "cut", detail: "the stream ended before the answer did" }

/** OpenAI gives 128 at most. */
const mostChoices = 1_024

/** Chat completions, and their elder sister with `text` in place of `delta`. */
class ChoicesProgress implements Progress, Reading {
  readonly terminator = `data: ${done}\n\n`
  usage: Usage | undefined
  #hasContent = false
  /** By index; whether it has finished. */
  readonly #seen = new Map<unknown, boolean>()
  #open = 0

  take(event: ServerSentEvent): Said {
    return readEvent(event, this)
  }

  get isComplete(): boolean {
    return this.#open === 0 && this.#seen.size > 0
  }

  read(json: JsonObject): Said {
    this.usage = usageOf(json) ?? this.usage
    const list = json["choices"]
    if (!Array.isArray(list)) return "nothing"
    let said: Said = "nothing"
    for (const choice of list) {
      if (!isObject(choice)) continue
      const what = this.#readChoice(choice)
      if (typeof what === "object") return what
      if (what === "content") said = what
    }
    if (said === "content") this.#hasContent = true
    return said
  }

  /**
   * Some servers never give a reason to finish, and their `[DONE]` is all there is to tell the end by. But servers that pass
   * an answer on write it also after one that broke off: it counts only where something was said, and where no choice has
   * shown that this server does give reasons.
   */
  ended(): Said {
    if (this.isComplete) return "last"
    return this.#hasContent && this.#open === this.#seen.size ? "last" : unfinished
  }

  #readChoice(choice: JsonObject): Said {
    const { finish_reason: reason, index } = choice
    const isFinished = this.#seen.get(index)
    const finishes = reason !== undefined && reason !== null && reason !== ""
    if (isFinished === undefined) {
      if (this.#seen.size === mostChoices) return tooMany
      this.#seen.set(index, finishes)
      if (!finishes) this.#open++
    } else if (finishes && !isFinished) {
      this.#seen.set(index, true)
      this.#open--
    }
    if (finishes && failedFinish.has(reason)) {
      return { _tag: "Unusable", reason: "internal", detail: `it gave up with finish_reason ${String(reason)}` }
    }
    return finishes || (!this.#hasContent && isContent(choice)) ? "content" : "nothing"
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
class ResponseProgress implements Progress, Reading {
  readonly terminator = ""
  readonly isComplete = false
  usage: Usage | undefined

  take(event: ServerSentEvent): Said {
    return readEvent(event, this)
  }

  read(json: JsonObject): Said {
    const { response, type } = json
    if (typeof type !== "string" || !type.startsWith("response.")) return "nothing"
    if (isObject(response)) this.usage = usageOf(response) ?? this.usage
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

  ended(): Said {
    return unfinished
  }
}
