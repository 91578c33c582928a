/** Reads a request's body from Node, to its end or to the limit. */
import type { IncomingMessage } from "node:http"
import { BadRequest } from "./failures.ts"

export const tooLarge = new BadRequest({
  status: 413,
  param: null,
  reason: "the body is larger than this server accepts"
})

/** Tells once; nothing when the client leaves before its end, which the response tells. */
export const readBody = (
  request: IncomingMessage,
  mostBytes: number,
  done: (body: Uint8Array | BadRequest) => void
): void => {
  if (Number(request.headers["content-length"] ?? 0) > mostBytes) return done(tooLarge)
  let first: Buffer | undefined
  let more: Array<Buffer> | undefined
  let size = 0
  request.on("data", (bytes: Buffer) => {
    const before = size
    size += bytes.length
    if (before > mostBytes) return
    if (size > mostBytes) {
      first = more = undefined
      return done(tooLarge)
    }
    // Nearly always it comes in one piece.
    if (first === undefined) first = bytes
    else if (more === undefined) more = [first, bytes]
    else more.push(bytes)
  })
  request.on("end", () => {
    if (size <= mostBytes) done(more === undefined ? (first ?? nothing) : Buffer.concat(more, size))
  })
  request.on("error", ignored)
}

const nothing = new Uint8Array(0)
const ignored = () => undefined
