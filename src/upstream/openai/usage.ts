/** The model tokens that an upstream says it has counted. */
import type { Usage } from "../../domain/Chat.ts"
import { isObject, type JsonObject } from "./json.ts"

/** Of an answer, or of a chunk of one. Embeddings count no completion; responses have names of their own. */
export const usageOf = (answer: JsonObject): Usage | undefined => {
  const { usage } = answer
  if (!isObject(usage)) return undefined
  const prompt = countOf(usage["prompt_tokens"]) ?? countOf(usage["input_tokens"])
  if (prompt === undefined) return undefined
  return { prompt, completion: countOf(usage["completion_tokens"]) ?? countOf(usage["output_tokens"]) ?? 0 }
}

const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined
