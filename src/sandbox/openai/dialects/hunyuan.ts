/**
 * Tencent's Hunyuan: OpenAI's shape with an `id`, as in github.com/FoundationAgents/OpenManus/issues/894 and
 * lobehub/lobehub/issues/8244. No example of its 429 is public, so OpenAI's types and codes stand for those not seen.
 */
import { filtered, insufficientQuota, openAiError, tooLong } from "../dialect.ts"
import type { Dialect, OpenAiError, Refusal } from "../dialect.ts"

const id = "0123456789abcdef0123456789abcdef"

const refusal = (status: number, error: OpenAiError): Refusal => ({
  status,
  body: { error: { id, ...openAiError(error).error } }
})

const overLimit = {
  concurrency: "too many concurrent requests, please try again later",
  rpm: "too many requests, please try again later"
} as const

export const hunyuan: Dialect = {
  tooMany: (limit, wording) =>
    refusal(wording?.status ?? 429, {
      message: wording?.message ?? overLimit[limit],
      type: "rate_limit_error",
      code: "rate_limit_exceeded"
    }),
  quotaExhausted: (wording) => ({ status: wording?.status ?? 429, body: insufficientQuota(wording?.message) }),
  insufficientBalance: (wording) =>
    refusal(wording?.status ?? 402, {
      message: wording?.message ?? "Insufficient Balance",
      type: "billing_error",
      code: "insufficient_balance"
    }),
  unauthorized: (wording) =>
    refusal(wording?.status ?? 401, {
      message: wording?.message ?? "Incorrect API key provided",
      type: "invalid_request_error",
      code: "invalid_api_key"
    }),
  blocked: (wording) =>
    refusal(wording?.status ?? 403, {
      message: wording?.message ?? "The account has been disabled",
      type: "permission_error",
      code: "account_disabled"
    }),
  contextExceeded: (length, wording) =>
    refusal(wording?.status ?? 400, {
      message: wording?.message ?? tooLong(length),
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded"
    }),
  contentFiltered: (wording) =>
    refusal(wording?.status ?? 400, {
      message: wording?.message ?? filtered,
      type: "invalid_request_error",
      code: "content_filter"
    }),
  modelNotFound: (model, wording) =>
    refusal(wording?.status ?? 404, {
      message: wording?.message ?? `The model \`${model}\` does not exist or you do not have access to it.`,
      type: "invalid_request_error",
      param: "model",
      code: "model_not_found"
    }),
  badRequest: (field, reason) =>
    refusal(400, { message: `${field}: ${reason}`, type: "invalid_request_error", param: field, code: "1001" }),
  notOffered: (path) =>
    refusal(404, { message: `Invalid URL (${path})`, type: "invalid_request_error", code: "unknown_url" }),
  serverError: (wording) =>
    refusal(wording?.status ?? 500, {
      message: wording?.message ?? "The server had an error while processing your request",
      type: "runtime_error",
      code: "server_error"
    })
}
