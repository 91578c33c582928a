/** Upstreams on the loopback that do to each request just what the test says, down to the byte and the reset. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer, type Socket } from "node:net"

export interface Request {
  /** Of the connection it came on, counted from 0. */
  readonly connection: number
  /** Its first line. */
  readonly line: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What is done when a request has come. */
export type Script = (socket: Socket, request: Request) => void

export interface Upstream {
  readonly url: string
  readonly port: number
  readonly requests: ReadonlyArray<Request>
  /** How many connections there were, and how many have ended. */
  readonly connections: { opened: number; closed: number }
  readonly sockets: ReadonlyArray<Socket>
  /** Waits until it holds; looked at whenever something happens on a connection. */
  readonly when: (holds: (upstream: Upstream) => boolean) => Effect.Effect<void>
}

/** Answers each request with the next script, the last one for ever; a connection is read for as long as it stands. */
export const upstream = (...scripts: ReadonlyArray<Script>): Effect.Effect<Upstream, never, Scope.Scope> =>
  Effect.gen(function* () {
    const requests: Array<Request> = []
    const sockets: Array<Socket> = []
    const connections = { opened: 0, closed: 0 }
    const watching = new Set<() => void>()
    const happened = () => {
      for (const look of watching) look()
    }

    // What is written leaves at once: a test goes on when it must have come.
    const server = createServer({ noDelay: true }, (socket) => {
      const connection = connections.opened++
      sockets.push(socket)
      let received = Buffer.alloc(0)
      socket.on("error", () => undefined)
      socket.on("close", () => {
        connections.closed++
        happened()
      })
      socket.on("data", (bytes) => {
        received = Buffer.concat([received, bytes])
        const parsed = parse(received, connection)
        if (parsed !== undefined) {
          received = received.subarray(parsed.length)
          requests.push(parsed.request)
          scripts[Math.min(requests.length, scripts.length) - 1]?.(socket, parsed.request)
        }
        happened()
      })
      happened()
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const self: Upstream = {
      url: `http://127.0.0.1:${port}/v1`,
      port,
      requests,
      connections,
      sockets,
      when: (holds) =>
        Effect.callback((resume) => {
          const look = () => {
            if (holds(self)) resume(Effect.void)
          }
          watching.add(look)
          look()
          return Effect.sync(() => watching.delete(look))
        })
    }
    return self
  })

const parse = (received: Buffer, connection: number) => {
  const head = received.indexOf("\r\n\r\n")
  if (head === -1) return undefined
  const [line = "", ...lines] = received.toString("utf8", 0, head).split("\r\n")
  const headers = Object.fromEntries(
    lines.map((header) => {
      const colon = header.indexOf(":")
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
    })
  )
  const start = head + 4
  const length = start + Number(headers["content-length"] ?? 0)
  if (received.length < length) return undefined
  return { length, request: { connection, line, headers, body: received.toString("utf8", start, length) } }
}

/** An answer that states its length. */
export const answer =
  (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Script =>
  (socket) =>
    void socket.write(
      head(status, { "content-type": "application/json", "content-length": `${Buffer.byteLength(body)}`, ...headers }) +
        body
    )

export const json = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Script =>
  answer(status, JSON.stringify(body), headers)

export const head = (status: number, headers: Readonly<Record<string, string>>): string =>
  `HTTP/1.1 ${status} Status\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`

export const streamHead = head(200, { "content-type": "text/event-stream", "transfer-encoding": "chunked" })

/** One piece of a chunked body. */
export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

export const lastChunk = "0\r\n\r\n"

/** A stream of these pieces that ends as it should. */
export const stream =
  (...pieces: ReadonlyArray<string>): Script =>
  (socket) =>
    void socket.write(streamHead + pieces.map(chunk).join("") + lastChunk)

/** The beginning of a stream, and no end. */
export const open =
  (...pieces: ReadonlyArray<string>): Script =>
  (socket) =>
    void socket.write(streamHead + pieces.map(chunk).join(""))

/** Takes the request and says nothing. */
export const silence: Script = () => undefined

export const reset: Script = (socket) => void socket.resetAndDestroy()

/** The beginning of an answer in one piece, and no end. */
export const writeAndWait =
  (text: string): Script =>
  (socket) =>
    void socket.write(head(200, { "content-length": "1000" }) + text)

/** Writes this, and closes once it has left. */
export const writeAndClose =
  (text: string): Script =>
  (socket) =>
    void socket.end(text)
