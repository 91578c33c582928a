/** Reads the body of an answer as it comes, and says what it makes of it. Knows no clock and no connection. */
import type { Usage } from "../../domain/Chat.ts"
import { type CallFailure, UpstreamUnavailable } from "../../domain/Failure.ts"
import type { Endpoint, WholeAnswer } from "../ModelClient.ts"
import { failedFinishOf, isError } from "./answerError.ts"
import { EventReader } from "./eventReader.ts"
import { Gathered } from "./gathered.ts"
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
  readonly usage: Usage | undefined
}

export interface Asked {
  readonly provider: string
  readonly endpoint: Endpoint
  readonly stream: boolean
  /** What an error means that the body tells of. */
  classified(body: string): CallFailure
  /** Is given what a streamed answer is passed on as. */
  pass(bytes: Buffer): void
}

/** A longer answer in one piece is not taken. */
const largestAnswer = 64 * 1024 * 1024
/** Of the reason of an error no more is read than this. */
const longestReason = 64 * 1024

export const readerOf = (asked: Asked, status: number, headers: Headers): AnswerReader | CallFailure => {
  if (status < 200 || status >= 300) return new RefusalReader(asked)
  const type = headers["content-type"] ?? ""
  if (asked.stream) return new UndecidedReader(asked, type)
  if (type.includes("event-stream")) return malformed(asked, "it answered with a stream that was not asked for")
  return Number(headers["content-length"] ?? 0) > largestAnswer ? tooLarge(asked) : new WholeReader(asked, type)
}

const malformed = ({ provider }: Asked, detail: string) =>
  new UpstreamUnavailable({ provider, reason: "malformed", detail })

const tooLarge = (asked: Asked) => malformed(asked, "its answer is larger than 64 MiB")

/** Of an error that came with its status, the status outweighs how its body ended. */
class RefusalReader implements AnswerReader {
  readonly usage = undefined
  readonly #asked: Asked
  readonly #gathered = new Gathered()

  constructor(asked: Asked) {
    this.#asked = asked
  }

  take(bytes: Buffer): Standing {
    this.#gathered.add(bytes)
    return this.#gathered.size > longestReason ? this.end() : "open"
  }

  end(): Standing {
    return this.#asked.classified(this.#gathered.take().toString("utf8", 0, longestReason))
  }

  broke(): Standing {
    return this.end()
  }
}

class WholeReader implements AnswerReader {
  readonly usage = undefined
  readonly #asked: Asked
  readonly #contentType: string
  readonly #gathered = new Gathered()

  constructor(asked: Asked, contentType: string) {
    this.#asked = asked
    this.#contentType = contentType
  }

  take(bytes: Buffer): Standing {
    this.#gathered.add(bytes)
    return this.#gathered.size > largestAnswer ? tooLarge(this.#asked) : "open"
  }

  end(): Standing {
    return wholeAnswer(this.#asked, this.#contentType, this.#gathered.take())
  }

  broke(failure: CallFailure): Standing {
    return failure
  }
}

/**
 * Some servers answer a request for a stream in one piece, and some tell an error with the type of a stream: the first byte
 * tells them apart, whatever the headers say. No stream of events begins with a brace or a bracket.
 */
class UndecidedReader implements AnswerReader {
  readonly #asked: Asked
  readonly #contentType: string
  #reader: AnswerReader | undefined

  constructor(asked: Asked, contentType: string) {
    this.#asked = asked
    this.#contentType = contentType
  }

  take(bytes: Buffer): Standing {
    if (this.#reader === undefined) {
      const first = bytes.find((byte) => byte > space)
      // Blanks alone mean nothing in either.
      if (first === undefined) return "open"
      if (first === lessThan) return malformed(this.#asked, "it answered with a page")
      this.#reader =
        first === brace || first === bracket
          ? new WholeReader(this.#asked, this.#contentType)
          : new EventReader(this.#asked)
    }
    return this.#reader.take(bytes)
  }

  end(): Standing {
    return this.#reader?.end() ?? nothingCame(this.#asked)
  }

  broke(failure: CallFailure): Standing {
    return this.#reader?.broke(failure) ?? failure
  }

  get usage(): Usage | undefined {
    return this.#reader?.usage
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
    contentType: isHeader.test(contentType) ? contentType : "application/json",
    body,
    usage: usageOf(json)
  }
}

/** What can be sent on as it came. */
const isHeader = /^[ -~]+$/

const byteOrderMark = 0xfeff
