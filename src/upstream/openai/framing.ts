/** Cuts the bytes of a stream of server-sent events between its events, however they come. */
import { Gathered } from "./gathered.ts"

export interface ServerSentEvent {
  /** What `event:` names it; empty when nothing does. */
  readonly name: string
  /** Undefined when it has no data: a comment, or an empty line. */
  readonly data: string | undefined
}

/** What is to become of an event: it is passed on, it is passed on and is the last, or neither it nor any more is. */
export type Fate = "pass" | "last" | "stop"

export interface Sink {
  /** Is given each event that is complete. */
  judge(event: ServerSentEvent): Fate
  /** Is given the bytes of those that pass, just as they came. */
  pass(bytes: Buffer): void
}

const lineFeed = 10
const carriageReturn = 13

export class Framing {
  readonly #sink: Sink
  readonly #held = new Gathered()
  #isOver = false
  #isFirst = true
  // Of the event that the reader is in: the lines that are not empty, and where the last of them ended in the current bytes.
  #lines = 0
  #lineEnd = 0
  #isLineEmpty = true
  #isAfterReturn = false

  constructor(sink: Sink) {
    this.#sink = sink
  }

  /** How many bytes of an event that is not complete are held back. */
  get held(): number {
    return this.#held.size
  }

  /** Takes the next bytes in; after an event that is `last`, or was stopped, none. */
  take(bytes: Buffer): void {
    if (this.#isOver) return
    const first = this.held === 0 ? 0 : this.#takeHeld(bytes)
    if (first === -1) return
    let from = first
    for (let fate: Fate = this.#isOver ? "stop" : "pass"; fate === "pass";) {
      const end = this.#endOfEvent(bytes, from)
      if (end === -1) break
      fate = this.#judged(this.#eventOf(bytes, from, end, true))
      if (fate !== "stop") from = end
    }
    if (from > first) this.#sink.pass(from - first === bytes.length ? bytes : bytes.subarray(first, from))
    if (!this.#isOver && from < bytes.length) this.#held.add(from === 0 ? bytes : bytes.subarray(from))
  }

  /**
   * The bytes have ended. An event that lacks only the line that ends it is judged as well, and passed on with that line;
   * `false` when it was stopped.
   */
  end(): boolean {
    if (this.#isOver || this.held === 0) return true
    if (!this.#isLineEmpty) this.#lines++
    const isBlank = this.#lines === 0
    const rest = this.#held.take()
    if (!isBlank && this.#judged(this.#eventOf(rest, 0, rest.length, false)) === "stop") return false
    this.#sink.pass(rest)
    if (!isBlank) this.#sink.pass(this.#isLineEmpty ? oneEnd : twoEnds)
    return true
  }

  /** The event that began in earlier bytes. Where it ends in these, or -1 when they hold no more of it than they do. */
  #takeHeld(bytes: Buffer): number {
    const end = this.#endOfEvent(bytes, 0)
    this.#held.add(end === -1 ? bytes : bytes.subarray(0, end))
    if (end === -1) return -1
    const whole = this.#held.take()
    if (this.#judged(this.#eventOf(whole, 0, whole.length, false)) !== "stop") this.#sink.pass(whole)
    return end
  }

  #judged(event: ServerSentEvent): Fate {
    this.#lines = 0
    const fate = this.#sink.judge(event)
    this.#isOver = fate !== "pass"
    return fate
  }

  #eventOf(bytes: Buffer, from: number, end: number, isInOne: boolean): ServerSentEvent {
    const start = this.#isFirst ? from + markLength(bytes, from) : from
    this.#isFirst = false
    if (this.#lines === 0) return empty
    return isInOne && this.#lines === 1 && isDataLine(bytes, start)
      ? { name: "", data: bytes.toString("utf8", valueStart(bytes, start + 5), this.#lineEnd) }
      : fieldsOf(bytes.toString("utf8", start, end))
  }

  /** Where the event that goes on at `from` has ended, or -1. An empty line ends one, and a return may be followed by a feed. */
  #endOfEvent(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length) {
      const byte = bytes[at] as number
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#isLineEmpty = false
        this.#isAfterReturn = false
        do at++
        while (at < bytes.length && (bytes[at] as number) > carriageReturn)
        continue
      }
      if (byte === lineFeed && this.#isAfterReturn) {
        this.#isAfterReturn = false
        at++
        continue
      }
      this.#isAfterReturn = byte === carriageReturn
      if (!this.#isLineEmpty) {
        this.#isLineEmpty = true
        this.#lines++
        this.#lineEnd = at++
        continue
      }
      if (this.#isAfterReturn && bytes[at + 1] === lineFeed) {
        this.#isAfterReturn = false
        return at + 2
      }
      return at + 1
    }
    return -1
  }
}

const empty: ServerSentEvent = { name: "", data: undefined }
const oneEnd = Buffer.from("\n")
const twoEnds = Buffer.from("\n\n")

/** Of a byte order mark, which only the first event may have. */
const markLength = (bytes: Buffer, at: number) =>
  bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf ? 3 : 0

const isDataLine = (bytes: Buffer, at: number) =>
  bytes[at] === 0x64 &&
  bytes[at + 1] === 0x61 &&
  bytes[at + 2] === 0x74 &&
  bytes[at + 3] === 0x61 &&
  bytes[at + 4] === 0x3a

const valueStart = (bytes: Buffer, at: number) => (bytes[at] === 0x20 ? at + 1 : at)

/** `error:` is no field of the format; a server of the field (llama.cpp) has it in place of `event: error` with data. */
const fieldsOf = (event: string): ServerSentEvent => {
  let name = ""
  let data: string | undefined
  for (const line of event.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":")
    if (colon === 0) continue
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    if (field === "event") name = value
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`
    if (field === "error") [name, data] = ["error", value]
  }
  return { name, data }
}
