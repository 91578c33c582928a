/**
 * The upstream: answers chat completions as OpenAI does, on a bare socket, so that it costs a fraction of what is measured.
 * What it shall do is read from the question: `bench-paced` and `bench-silent` in a message, `"stream":true`.
 */
import { createServer, type Socket } from "node:net"
import { answer, chunks, usageChunk } from "./script.ts"

const [, , port] = process.argv
/** Milliseconds between two chunks of a paced answer. */
const pace = 10
/** Chunks of one that is not paced that leave together, else the upstream and not what is measured would be the slowest. */
const burst = 4

const whole = Buffer.concat([
  Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${answer.length}\r\nconnection: keep-alive\r\n\r\n`
  ),
  answer
])
const streamHead = Buffer.from(
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
)
const framed = (data: Buffer) =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")])
const end = Buffer.from("0\r\n\r\n")
const frames = chunks.map(framed)
const usage = framed(usageChunk)

const inBursts = (script: ReadonlyArray<Buffer>) =>
  Array.from({ length: Math.ceil(script.length / burst) }, (_, i) =>
    Buffer.concat(script.slice(i * burst, (i + 1) * burst))
  )
const scriptOf = (hasUsage: boolean) => [
  ...frames.slice(0, -1),
  ...(hasUsage ? [usage] : []),
  Buffer.concat([...frames.slice(-1), end])
]
const scripts = [scriptOf(false), scriptOf(true)] as const
const bursts = scripts.map(inBursts)

const stream = (socket: Socket, script: ReadonlyArray<Buffer>, later: (step: () => void) => void) => {
  let i = 0
  const step = () => {
    if (socket.destroyed) return
    const next = script[i++]
    if (next === undefined) return
    socket.write(next)
    if (i < script.length) later(step)
  }
  step()
}

const reply = (socket: Socket, body: Buffer) => {
  if (!body.includes('"stream":true')) return socket.write(whole)
  socket.write(streamHead)
  // The role alone is no answer yet: a gateway may wait for content before it says that all is well.
  if (body.includes("bench-silent")) return frames.slice(0, 2).forEach((frame) => socket.write(frame))
  const withUsage = body.includes('"include_usage":true') ? 1 : 0
  return body.includes("bench-paced")
    ? stream(socket, scripts[withUsage], (step) => setTimeout(step, pace))
    : stream(socket, bursts[withUsage] ?? [], setImmediate)
}

const server = createServer({ noDelay: true }, (socket) => {
  let kept: Buffer | undefined
  socket.on("error", () => socket.destroy())
  socket.on("data", (data: Buffer) => {
    let rest = kept === undefined ? data : Buffer.concat([kept, data])
    kept = undefined
    while (rest.length > 0) {
      const at = rest.indexOf("\r\n\r\n")
      const head = at < 0 ? "" : rest.toString("latin1", 0, at)
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
      if (at >= 0 && length === undefined) {
        socket.end("HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n")
        return
      }
      const until = at + 4 + Number(length)
      if (at < 0 || rest.length < until) {
        kept = rest
        return
      }
      reply(socket, rest.subarray(at + 4, until))
      rest = rest.subarray(until)
    }
  })
})
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 })
