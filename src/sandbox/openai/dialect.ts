/** How a provider words its refusals. Each dialect cites where its forms were seen; what was not seen is worded as OpenAI does. */
import type { BrokenLimit } from "./callLimits.ts"

export interface Refusal {
  readonly status: number
  /** Sent as JSON. */
  readonly body: unknown
}

/** What takes the place of the usual. */
export interface Wording {
  readonly status?: number | undefined
  readonly message?: string | undefined
}

/** In tokens. */
export interface Length {
  readonly context: number
  readonly prompt: number
  /** What the answer may take, if the caller said so. */
  readonly completion: number | undefined
}

/** None of these providers is known to send Retry-After; the fault `rate_limit` can. */
export interface Dialect {
  tooMany(limit: BrokenLimit, wording?: Wording): Refusal
  quotaExhausted(wording?: Wording): Refusal
  insufficientBalance(wording?: Wording): Refusal
  unauthorized(wording?: Wording): Refusal
  blocked(wording?: Wording): Refusal
  contextExceeded(length: Length, wording?: Wording): Refusal
  contentFiltered(wording?: Wording): Refusal
  modelNotFound(model: string, wording?: Wording): Refusal
  badRequest(field: string, reason: string): Refusal
  /** The provider has no such path. */
  notOffered(path: string): Refusal
  serverError(wording?: Wording): Refusal
}

export interface OpenAiError {
  readonly message: string
  readonly type: string
  readonly code: string | number | null
  readonly param?: string | null
}

export const openAiError = ({ code, message, param = null, type }: OpenAiError) => ({
  error: { message, type, param, code }
})

/** OpenAI's own, https://platform.openai.com/docs/guides/error-codes */
export const insufficientQuota = (message?: string) =>
  openAiError({
    message: message ?? "You exceeded your current quota, please check your plan and billing details.",
    type: "insufficient_quota",
    code: "insufficient_quota"
  })

export const tooLong = ({ completion, context, prompt }: Length): string =>
  completion === undefined
    ? `This model's maximum context length is ${context} tokens. However, your messages resulted in ${prompt} tokens. Please reduce the length of the messages.`
    : `This model's maximum context length is ${context} tokens. However, you requested ${prompt + completion} tokens (${prompt} in the messages, ${completion} in the completion). Please reduce the length of the messages or completion.`

export const filtered = "The request was rejected by the content filter. Please modify the prompt and try again."
