/** Puts an event on the wire, plainly or in one of the ways a reader has to bear. */
import type { OpenAiFault } from "./openAiFault.ts"
import type { AnswerEvent } from "./readCall.ts"

/** The pieces to write, each by itself. */
export const frame = (
  event: AnswerEvent,
  kind: OpenAiFault["kind"] | undefined
): ReadonlyArray<string | Uint8Array> => {
  const data = "raw" in event ? event.raw : JSON.stringify(event.json)
  const name = event.name === undefined ? "" : `event: ${event.name}\n`
  const plain = `${name}data: ${data}\n\n`
  switch (kind) {
    case "crlf":
      return [plain.replaceAll("\n", "\r\n")]
    case "multi_line": {
      const lines = ("raw" in event ? event.raw : JSON.stringify(event.json, null, 1)).split("\n")
      return [`${name}${lines.map((line) => `data: ${line}\n`).join("")}\n`]
    }
    case "comments":
      return [`: keep-alive\n\n${name}id: 1\nretry: 3000\ndata: ${data}\n: done\n\n`]
    case "split":
      return split(plain)
    default:
      return [plain]
  }
}

/** So many pieces of an event or a body at the most. */
const mostPieces = 500

/** Cuts between bytes, and so inside of a character too. */
export const split = (text: string, shortest = 7): ReadonlyArray<Uint8Array> => {
  const bytes = Buffer.from(text)
  const size = Math.max(shortest, Math.ceil(bytes.length / mostPieces))
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size)
  )
}
