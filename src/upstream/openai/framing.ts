/** Cuts the bytes of a stream of server-sent events between its events, however they come. */
import * as Gathered from "./gathered.ts"

export interface ServerSentEvent {
  /** What `event:` names it; empty when nothing does. */
  readonly name: string
  /** Undefined when it has no data: a comment, or an empty line. */
  readonly data: string | undefined
}

/** What is to become of an event: it is passed on, it is passed on and is the last, or neither it nor any more is. */
export type Fate = "pass" | "last" | "stop"

export interface Framing {
  /**
   * Takes the next bytes in. `judge` is given each event that is complete with them; the bytes of those that pass go to
   * `pass`, just as they came. After `last` or `stop` nothing more is taken.
   */
  take(bytes: Buffer): void
  /**
   * The bytes have ended. An event that lacks only the line that ends it is given to `judge` as well, and passed on with
   * that line; `false` when `judge` would not have it.
   */
  end(): boolean
  /** How many bytes of an event that is not complete are held back. */
  readonly held: number
}

const lineFeed = 10
const carriageReturn = 13

export const make = (judge: (event: ServerSentEvent) => Fate, pass: (bytes: Buffer) => void): Framing => {
  const held = Gathered.make()
  let isOver = false
  let isFirst = true
  // Of the event that the reader is in: the lines that are not empty, and where the last of them ended in the current bytes.
  let lines = 0
  let lineEnd = 0
  let isLineEmpty = true
  let isAfterReturn = false

  /** Where the event that goes on at `from` has ended, or -1. An empty line ends one, and a return may be followed by a feed. */
  const endOfEvent = (bytes: Buffer, from: number): number => {
    let at = from
    while (at < bytes.length) {
      const byte = bytes[at] as number
      if (byte !== lineFeed && byte !== carriageReturn) {
        isLineEmpty = false
        isAfterReturn = false
        do at++
        while (at < bytes.length && (bytes[at] as number) > carriageReturn)
        continue
      }
      if (byte === lineFeed && isAfterReturn) {
        isAfterReturn = false
        at++
        continue
      }
      isAfterReturn = byte === carriageReturn
      if (!isLineEmpty) {
        isLineEmpty = true
        lines++
        lineEnd = at++
        continue
      }
      if (isAfterReturn && bytes[at + 1] === lineFeed) {
        isAfterReturn = false
        return at + 2
      }
      return at + 1
    }
    return -1
  }

  const eventOf = (bytes: Buffer, from: number, end: number, isInOne: boolean): ServerSentEvent => {
    const start = isFirst ? from + markLength(bytes, from) : from
    isFirst = false
    if (lines === 0) return empty
    return isInOne && lines === 1 && isDataLine(bytes, start)
      ? { name: "", data: bytes.toString("utf8", valueStart(bytes, start + 5), lineEnd) }
      : fieldsOf(bytes.toString("utf8", start, end))
  }

  const judged = (event: ServerSentEvent): Fate => {
    lines = 0
    const fate = judge(event)
    isOver = fate !== "pass"
    return fate
  }

  /** The event that began in earlier bytes. Where it ends in these, or -1 when they hold no more of it than they do. */
  const takeHeld = (bytes: Buffer): number => {
    const end = endOfEvent(bytes, 0)
    held.add(end === -1 ? bytes : bytes.subarray(0, end))
    if (end === -1) return -1
    const whole = held.take()
    if (judged(eventOf(whole, 0, whole.length, false)) !== "stop") pass(whole)
    return end
  }

  return {
    get held() {
      return held.size
    },
    take(bytes) {
      if (isOver) return
      const first = held.size === 0 ? 0 : takeHeld(bytes)
      if (first === -1) return
      let from = first
      for (let fate: Fate = isOver ? "stop" : "pass"; fate === "pass";) {
        const end = endOfEvent(bytes, from)
        if (end === -1) break
        fate = judged(eventOf(bytes, from, end, true))
        if (fate !== "stop") from = end
      }
      if (from > first) pass(from - first === bytes.length ? bytes : bytes.subarray(first, from))
      if (!isOver && from < bytes.length) held.add(from === 0 ? bytes : bytes.subarray(from))
    },
    end() {
      if (isOver || held.size === 0) return true
      if (!isLineEmpty) lines++
      const isBlank = lines === 0
      const rest = held.take()
      if (!isBlank && judged(eventOf(rest, 0, rest.length, false)) === "stop") return false
      pass(rest)
      if (!isBlank) pass(isLineEmpty ? oneEnd : twoEnds)
      return true
    }
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
