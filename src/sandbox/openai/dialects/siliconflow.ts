/**
 * SiliconFlow: `{"code","message","data"}`, or a bare JSON string where its own OpenAPI document says so (401, 403, 404).
 * 429 has no code: `{"message":"Request was rejected due to rate limiting. Details: … limit reached.","data":null}`,
 * github.com/AIDotNet/OpenDeepWiki/issues/269. 20012: https://docs.siliconflow.cn/cn/faqs/error-code. 20015, a long prompt:
 * chatboxai/chatbox/issues/2060, and with max_tokens continuedev/continue/issues/10993. 50505 is its "overloaded" (503).
 *
 * An unknown model is a 400 and an empty account a 403 there; here they are 404 and 402, and the faults take a status.
 */
import { filtered, insufficientQuota } from "../dialect.ts"
import type { Dialect, Refusal } from "../dialect.ts"

const coded = (status: number, code: number | null, message: string): Refusal => ({
  status,
  body: { code, message, data: null }
})

/** It has no limit of concurrency by default, and so no words for one. */
const overLimit = { concurrency: "Concurrency", rpm: "RPM" } as const

export const siliconflow: Dialect = {
  tooMany: (limit, wording) => ({
    status: wording?.status ?? 429,
    body: {
      message:
        wording?.message ?? `Request was rejected due to rate limiting. Details: ${overLimit[limit]} limit reached.`,
      data: null
    }
  }),
  quotaExhausted: (wording) => ({ status: wording?.status ?? 429, body: insufficientQuota(wording?.message) }),
  insufficientBalance: (wording) =>
    coded(wording?.status ?? 402, 30001, wording?.message ?? "Sorry, your account balance is insufficient"),
  unauthorized: (wording) => ({ status: wording?.status ?? 401, body: wording?.message ?? "Invalid token" }),
  blocked: (wording) => ({ status: wording?.status ?? 403, body: wording?.message ?? "Forbidden" }),
  contextExceeded: ({ completion, context, prompt }, wording) =>
    coded(
      wording?.status ?? 400,
      20015,
      wording?.message ??
        (completion === undefined
          ? `length of prompt_tokens (${prompt}) must be less than max_seq_len (${context}).`
          : `max_total_tokens (${prompt + completion}) must be less than or equal to max_seq_len (${context})`)
    ),
  contentFiltered: (wording) => coded(wording?.status ?? 400, null, wording?.message ?? filtered),
  modelNotFound: (_model, wording) =>
    coded(wording?.status ?? 404, 20012, wording?.message ?? "Model does not exist. Please check it carefully."),
  badRequest: (field, reason) =>
    coded(400, 20015, `The parameter is invalid. Please check it again. ${field}: ${reason}`),
  notOffered: () => ({ status: 404, body: "404 page not found" }),
  serverError: (wording) =>
    coded(wording?.status ?? 500, 50505, wording?.message ?? "Model service overloaded. Please try again later.")
}
