/**
 * NVIDIA's hosted models: its gateway answers with problem details, the model server behind it in OpenAI's shape.
 *
 * 429 `{"status":429,"title":"Too Many Requests"}`, for either limit: github.com/Alishahryar1/free-claude-code/issues/690,
 * NousResearch/hermes-agent/issues/69802. 401 and 403 of its gateway: dmMaze/BallonsTranslator/issues/1233.
 * Context: Alishahryar1/free-claude-code/issues/391. "Cloud credits expired" (402) and "Not found for account" (404) are
 * texts of NVIDIA's cloud functions.
 */
import { filtered, insufficientQuota, openAiError, tooLong } from "../dialect.ts"
import type { Dialect, Refusal } from "../dialect.ts"

const problem = (status: number, title: string, detail?: string): Refusal => ({
  status,
  body: { status, title, ...(detail === undefined ? {} : { detail }) }
})

const badRequest = (message: string, status = 400, code: string | number = status): Refusal => ({
  status,
  body: openAiError({ message, type: "Bad Request", code })
})

export const nvidia: Dialect = {
  tooMany: (_limit, wording) => problem(wording?.status ?? 429, "Too Many Requests", wording?.message),
  quotaExhausted: (wording) => ({ status: wording?.status ?? 429, body: insufficientQuota(wording?.message) }),
  insufficientBalance: (wording) =>
    problem(
      wording?.status ?? 402,
      "Payment Required",
      wording?.message ?? "Account 'sandbox': Cloud credits expired - Please contact NVIDIA representatives"
    ),
  unauthorized: (wording) =>
    problem(wording?.status ?? 401, "Unauthorized", wording?.message ?? "Authentication failed"),
  blocked: (wording) => problem(wording?.status ?? 403, "Forbidden", wording?.message ?? "Authorization failed"),
  contextExceeded: (length, wording) => badRequest(wording?.message ?? tooLong(length), wording?.status),
  contentFiltered: (wording) => badRequest(wording?.message ?? filtered, wording?.status, "content_filter"),
  modelNotFound: (model, wording) =>
    problem(
      wording?.status ?? 404,
      "Not Found",
      wording?.message ?? `Function '${model}': Not found for account 'sandbox'`
    ),
  badRequest: (field, reason) => badRequest(`${field}: ${reason}`),
  notOffered: (path) => problem(404, "Not Found", `no such path: ${path}`),
  serverError: (wording) =>
    problem(wording?.status ?? 500, "Internal Server Error", wording?.message ?? "Inference error")
}
