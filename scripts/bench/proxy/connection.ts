/** One kept connection that asks and reads answers: as little as it takes, since it shares its core with the upstream. */
import { connect, type Socket } from "node:net"

export interface Reply {
  readonly status: number
  /** Bytes of the answer itself, without its framing. */
  readonly length: number
  /** When its first byte was there, by `performance.now()`. */
  readonly firstAt: number
  /** Only when asked for. */
  readonly payload: string
}

/** Where in a chunked answer the reader is. */
const Part = { size: 0, sizeEnd: 1, chunk: 2, chunkEnd: 3, end: 4 } as const

const cr = 13
const digitOf = (byte: number) => (byte <= 57 ? byte - 48 : (byte | 32) - 87)

export class Connection {
  readonly #socket: Socket
  readonly #keepsPayload: boolean
  #done: ((reply: Reply) => void) | undefined
  #failed: ((error: Error) => void) | undefined
  #first: (() => void) | undefined
  isOpen = true

  #head: Buffer | undefined
  #inBody = false
  #status = 0
  #firstAt = 0
  #length = 0
  #payload = ""
  // Bytes that are missing of a body of known length; undefined for a chunked one.
  #missing: number | undefined
  #part: number = Part.size
  #size = 0

  private constructor(socket: Socket, keepsPayload: boolean) {
    this.#socket = socket
    this.#keepsPayload = keepsPayload
    socket.on("data", (data: Buffer) => this.#read(data))
    socket.on("error", (error) => this.#lost(error))
    socket.on("close", () => this.#lost(new Error("the server closed the connection")))
  }

  static open(port: number, keepsPayload = false): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(new Connection(socket, keepsPayload))
      })
    })
  }

  /** One at a time. `first` is called when the first byte of the answer itself is there. */
  ask(request: string, first?: () => void): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#done = resolve
      this.#failed = reject
      this.#first = first
      this.#socket.write(request)
    })
  }

  close() {
    this.isOpen = false
    this.#socket.destroy()
  }

  #lost(error: Error) {
    this.isOpen = false
    this.#socket.destroy()
    const failed = this.#failed
    this.#done = this.#failed = undefined
    failed?.(error)
  }

  #read(data: Buffer) {
    let rest = data
    if (!this.#inBody) {
      const all = this.#head === undefined ? data : Buffer.concat([this.#head, data])
      const at = all.indexOf("\r\n\r\n")
      if (at < 0) {
        this.#head = all
        return
      }
      this.#begin(all.toString("latin1", 0, at))
      rest = all.subarray(at + 4)
    }
    if (rest.length > 0 && this.#firstAt === 0) {
      this.#firstAt = performance.now()
      this.#first?.()
    }
    if (this.#missing === undefined) this.#readChunks(rest)
    else this.#readKnown(rest)
  }

  #begin(head: string) {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    this.#inBody = true
    this.#status = Number(head.slice(9, 12))
    this.#missing = length === undefined ? undefined : Number(length)
    this.#part = Part.size
    this.#size = this.#length = this.#firstAt = 0
    this.#payload = ""
    this.#head = undefined
  }

  #take(data: Buffer) {
    this.#length += data.length
    if (this.#keepsPayload) this.#payload += data.toString()
  }

  #readKnown(data: Buffer) {
    this.#take(data)
    this.#missing = (this.#missing ?? 0) - data.length
    if (this.#missing < 0) this.#lost(new Error("more came than was announced"))
    else if (this.#missing === 0) this.#end()
  }

  #readChunks(data: Buffer) {
    let i = 0
    while (i < data.length) {
      if (this.#part === Part.chunk) {
        const until = Math.min(i + this.#size, data.length)
        this.#take(data.subarray(i, until))
        this.#size -= until - i
        i = until
        if (this.#size === 0) this.#part = Part.chunkEnd
        continue
      }
      const byte = data[i++] as number
      switch (this.#part) {
        case Part.size:
          if (byte === cr) this.#part = Part.sizeEnd
          else this.#size = this.#size * 16 + digitOf(byte)
          break
        case Part.sizeEnd:
          this.#part = this.#size === 0 ? Part.end : Part.chunk
          break
        case Part.chunkEnd:
          // CR, then LF.
          if (byte !== cr) this.#part = Part.size
          break
        default:
          if (byte !== cr) this.#end()
      }
    }
  }

  #end() {
    this.#inBody = false
    const done = this.#done
    this.#done = this.#failed = undefined
    done?.({ status: this.#status, length: this.#length, firstAt: this.#firstAt, payload: this.#payload })
  }
}
