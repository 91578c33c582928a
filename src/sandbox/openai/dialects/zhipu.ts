/**
 * Zhipu's open platform: `{"error":{"code","message"}}` with its own codes as strings, listed at
 * https://docs.bigmodel.cn/cn/api/api-code (in English at https://docs.z.ai/api-reference/api-code).
 *
 * 429 with 1302 for concurrency as in github.com/windingwind/zotero-pdf-translate/issues/1381, 1303 for the rate, and 1113,
 * an account in arrears, under the same status. A long prompt is 1261, a filtered one 1301 with `contentFilter`.
 * An unknown model (1211) is a 400 there; here it is a 404, and the fault `model_not_found` takes a status.
 */
import type { Dialect, Refusal } from "../dialect.ts"

const error = (status: number, code: string, message: string, more: object = {}): Refusal => ({
  status,
  body: { ...more, error: { code, message } }
})

const overLimit = {
  concurrency: { code: "1302", message: "您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。" },
  rpm: { code: "1303", message: "您当前使用该API的频率过高，请降低频率，或联系客服增加限额。" }
} as const
const inArrears = "您的账户已欠费，请充值后重试。"

export const zhipu: Dialect = {
  tooMany: (limit, wording) =>
    error(wording?.status ?? 429, overLimit[limit].code, wording?.message ?? overLimit[limit].message),
  quotaExhausted: (wording) => error(wording?.status ?? 429, "1113", wording?.message ?? inArrears),
  insufficientBalance: (wording) => error(wording?.status ?? 402, "1113", wording?.message ?? inArrears),
  unauthorized: (wording) => error(wording?.status ?? 401, "1000", wording?.message ?? "身份验证失败。"),
  blocked: (wording) => error(wording?.status ?? 403, "1112", wording?.message ?? "您的账户已被锁定，请联系客服解锁。"),
  contextExceeded: (_length, wording) => error(wording?.status ?? 400, "1261", wording?.message ?? "Prompt 超长"),
  contentFiltered: (wording) =>
    error(
      wording?.status ?? 400,
      "1301",
      wording?.message ??
        "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。",
      { contentFilter: [{ level: 1, role: "user" }] }
    ),
  modelNotFound: (_model, wording) =>
    error(wording?.status ?? 404, "1211", wording?.message ?? "模型不存在，请检查模型代码。"),
  badRequest: (field, reason) => error(400, "1214", `${field} 参数非法。请检查文档。(${reason})`),
  notOffered: (path) => error(404, "1222", `API ${path} 不存在`),
  serverError: (wording) =>
    error(wording?.status ?? 500, "1234", wording?.message ?? "网络错误，错误id：sandbox，请联系客服。")
}
