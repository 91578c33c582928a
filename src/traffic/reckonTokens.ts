/** How many model tokens a request takes where nobody has counted: what is reserved of a provider's minute, and spent of it. */
import type { RequestBody } from "../upstream/ModelClient.ts"

/** Four bytes of a question make a token, as a rule of thumb. */
const bytesPerToken = 4

/** For an answer whose length nobody has bounded. */
const usualAnswer = 500

/** An upper bound where the client gave one: reserved before, settled to the real number after. */
export const reckonTokens = ({ bytes, json }: RequestBody): number => {
  const stated = [json["max_completion_tokens"], json["max_tokens"], json["max_output_tokens"]].find(
    (value) => typeof value === "number" && value >= 0
  )
  const answer = typeof stated === "number" ? stated : "input" in json && !("messages" in json) ? 0 : usualAnswer
  return Math.ceil(bytes.length / bytesPerToken) + Math.ceil(answer)
}

/** Of a streamed answer, whose every event is a token. */
const bytesPerEvent = 180

/** What a request has taken with so many bytes of a streamed answer. */
export const reckonSpent = ({ bytes }: RequestBody, answered: number): number =>
  Math.ceil(bytes.length / bytesPerToken + answered / bytesPerEvent)
