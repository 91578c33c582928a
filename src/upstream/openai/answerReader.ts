/** Reads the body of an answer as it comes, and says what it makes of it. Knows no clock and no connection. */
import type { Usage } from "../../domain/Chat.ts"
import { type CallFailure, UpstreamUnavailable } from "../../domain/Failure.ts"
import type { Endpoint, WholeAnswer } from "../ModelClient.ts"
import { failedFinishOf, isError } from "./answerError.ts"
import { eventReader } from "./eventReader.ts"
import * as Gathered from "./gathered.ts"
import { isObject, parsed } from "./json.ts"
import type { Headers } from "./statedWait.ts"
import { usageOf } from "./usage.ts"

/**
 * More is to come; the first content of a streamed answer has come; nothing of it is missing and nothing more matters; the
 * answer in one piece; or why there is none.
 */
export type Standing = "open" | "begun" | "complete" | WholeAnswer | CallFailure

export interface AnswerReader {
  take(bytes: Buffer): Standing
  /** The body has ended as it should. */
  end(): Standing
  /** No more of it will come, for this reason. What has come may be enough all the same. */
  broke(failure: CallFailure): Standing
  readonly usage: () => Usage | undefined
}

export interface Asked {
  readonly provider: string
  readonly endpoint: Endpoint
  readonly stream: boolean
  /** What an error means that the body tells of. */
  readonly classified: (body: string) => CallFailure
  /** Is given what a streamed answer is passed on as. */
  readonly pass: (bytes: Buffer) => void
}

/** A longer answer in one piece is not taken. */
const largestAnswer = 64 * 1024 * 1024
/** Of the reason of an error no more is read than this. */
const longestReason = 64 * 1024

export const readerOf = (asked: Asked, status: number, headers: Headers): AnswerReader | CallFailure => {
  if (status < 200 || status >= 300) return refusalReader(asked)
  const type = headers["content-type"] ?? ""
  if (type.includes("html")) return malformed(asked, "it answered with a page")
  if (asked.stream) return undecidedReader(asked, type)
  if (type.includes("event-stream")) return malformed(asked, "it answered with a stream that was not asked for")
  return Number(headers["content-length"] ?? 0) > largestAnswer ? tooLarge(asked) : wholeReader(asked, type)
}

const malformed = ({ provider }: Asked, detail: string) =>
  new UpstreamUnavailable({ provider, reason: "malformed", detail })

const tooLarge = (asked: Asked) => malformed(asked, "its answer is larger than 64 MiB")

const noUsage = () => undefined

/** Of an error that came with its status, the status outweighs how its body ended. */
const refusalReader = ({ classified }: Asked): AnswerReader => {
  const gathered = Gathered.make()
  const failure = () => classified(gathered.take().toString("utf8", 0, longestReason))
  return {
    take: (bytes) => {
      gathered.add(bytes)
      return gathered.size > longestReason ? failure() : "open"
    },
    end: failure,
    broke: failure,
    usage: noUsage
  }
}

const wholeReader = (asked: Asked, contentType: string): AnswerReader => {
  const gathered = Gathered.make()
  return {
    take: (bytes) => {
      gathered.add(bytes)
      return gathered.size > largestAnswer ? tooLarge(asked) : "open"
    },
    end: () => wholeAnswer(asked, contentType, gathered.take()),
    broke: (failure) => failure,
    usage: noUsage
  }
}

/**
 * Some servers answer a request for a stream in one piece, and some tell an error with the type of a stream: the first byte
 * tells them apart, whatever the headers say. No stream of events begins with a brace or a bracket.
 */
const undecidedReader = (asked: Asked, contentType: string): AnswerReader => {
  let reader: AnswerReader | undefined
  return {
    take: (bytes) => {
      if (reader !== undefined) return reader.take(bytes)
      const first = bytes.find((byte) => byte > space)
      // Blanks alone mean nothing in either.
      if (first === undefined) return "open"
      if (first === lessThan) return malformed(asked, "it answered with a page")
      reader = first === brace || first === bracket ? wholeReader(asked, contentType) : eventReader(asked)
      return reader.take(bytes)
    },
    end: () => reader?.end() ?? nothingCame(asked),
    broke: (failure) => reader?.broke(failure) ?? failure,
    usage: () => reader?.usage()
  }
}

const space = 0x20
const lessThan = 0x3c
const bracket = 0x5b
const brace = 0x7b

const nothingCame = ({ provider }: Asked) =>
  new UpstreamUnavailable({ provider, reason: "cut", detail: "the stream ended before it began" })

const wholeAnswer = (asked: Asked, contentType: string, body: Buffer): Standing => {
  if (body.length === 0) return malformed(asked, "its answer is empty")
  const text = body.toString("utf8")
  const json = parsed(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
  if (Array.isArray(json) && isObject(json[0]) && isError(json[0])) return asked.classified(text)
  if (!isObject(json)) return malformed(asked, "its answer is no JSON object")
  if (isError(json)) return asked.classified(text)
  const failed = failedFinishOf(json)
  if (failed !== undefined) {
    const detail = `it gave up with finish_reason ${failed}`
    return new UpstreamUnavailable({ provider: asked.provider, reason: "internal", detail })
  }
  return {
    _tag: "Whole",
    contentType: contentType === "" ? "application/json" : contentType,
    body,
    usage: usageOf(json)
  }
}

const byteOrderMark = 0xfeff
