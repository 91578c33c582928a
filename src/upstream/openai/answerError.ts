/** Whether what came as an answer says that there is none. */
import { isObject, type JsonObject } from "./json.ts"

/** The shapes in which servers of the field put an error where an answer belongs. */
export const isError = (answer: JsonObject): boolean => {
  if (isSaid(answer["error"])) return true
  // MiniMax has it beside its answers, where 0 is none.
  const base = answer["base_resp"]
  if (isObject(base) && isSaid(base["status_code"])) return true
  if (Array.isArray(answer["choices"]) || Array.isArray(answer["data"])) return false
  const wrapped = answer["Response"]
  if (isObject(wrapped) && isSaid(wrapped["Error"])) return true
  if (answer["object"] === "error" || answer["type"] === "error") return true
  const { code, detail, message, msg, status, title } = answer
  if (isSaid(code) && !isSuccess(code) && (isSaid(message) || isSaid(msg))) return true
  return typeof status === "number" && status >= 400 && (isSaid(title) || isSaid(detail) || isSaid(message))
}

const isSaid = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== "" && value !== 0 && value !== false && !isEmptyObject(value)

const isEmptyObject = (value: unknown) => isObject(value) && Object.keys(value).length === 0

const isSuccess = (code: unknown) => /^(0|200|20000|ok|success)$/i.test(String(code))

/** Reasons to finish that tell of a failure: OpenRouter's, Zhipu's and DeepSeek's. What came before is no whole answer. */
export const failedFinish = new Set<unknown>(["error", "network_error", "insufficient_system_resource"])

/** The first reason of a choice of the answer that tells of a failure. */
export const failedFinishOf = ({ choices }: JsonObject): string | undefined => {
  if (!Array.isArray(choices)) return undefined
  for (const choice of choices) {
    if (isObject(choice) && failedFinish.has(choice["finish_reason"])) return String(choice["finish_reason"])
  }
  return undefined
}
