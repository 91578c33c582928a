/** Reads a streamed answer, and passes it on cut only between its events. */
import type { Usage } from "../../domain/Chat.ts"
import { type CallFailure, UpstreamUnavailable } from "../../domain/Failure.ts"
import type { AnswerReader, Asked, Standing } from "./answerReader.ts"
import { type Fate, Framing, type ServerSentEvent, type Sink } from "./framing.ts"
import { type Broken, type Progress, progressOf } from "./progress.ts"

/** A longer event fails the answer, and so does as much before the first content, all of which is kept until then. */
const longest = 8 * 1024 * 1024

export class EventReader implements AnswerReader, Sink {
  readonly #asked: Asked
  readonly #progress: Progress
  readonly #framing = new Framing(this)
  #standing: Standing = "open"
  #early = 0

  constructor(asked: Asked) {
    this.#asked = asked
    this.#progress = progressOf(asked.endpoint)
  }

  take(bytes: Buffer): Standing {
    this.#framing.take(bytes)
    const isOpen = this.#standing === "open" || this.#standing === "begun"
    if (isOpen && (this.#framing.held > longest || this.#early > longest)) {
      this.#standing = this.#unusable("malformed", "an event of the stream is longer than 8 MiB")
    }
    return this.#standing
  }

  end(): Standing {
    const isWhole = this.#framing.end()
    const standing = this.#standing
    if (standing === "complete") return standing
    // What is malformed for being the beginning of an event only was cut, as the rest was.
    if (typeof standing === "object" && (isWhole || !isMalformed(standing))) return standing
    return isWhole && this.#progress.isComplete
      ? this.#complete()
      : this.#unusable("cut", "the stream ended before the answer did")
  }

  /** Nothing may be missing of it: that its end was not told makes it no worse then. */
  broke(failure: CallFailure): Standing {
    return this.#progress.isComplete ? this.#complete() : failure
  }

  get usage(): Usage | undefined {
    return this.#progress.usage
  }

  judge(event: ServerSentEvent): Fate {
    const said = this.#progress.take(event)
    if (said === "nothing") return "pass"
    if (said === "content") {
      this.#standing = "begun"
      return "pass"
    }
    this.#standing = said === "last" ? "complete" : this.#failureOf(said)
    return said === "last" ? "last" : "stop"
  }

  pass(bytes: Buffer): void {
    if (this.#standing === "open") this.#early += bytes.length
    this.#asked.pass(bytes)
  }

  #complete(): Standing {
    if (this.#progress.terminator !== "") this.#asked.pass(Buffer.from(this.#progress.terminator))
    return "complete"
  }

  #failureOf(broken: Broken): CallFailure {
    if (broken._tag === "Unusable") return this.#unusable(broken.reason, broken.detail)
    return this.#asked.classified(typeof broken.error === "string" ? broken.error : JSON.stringify(broken.error))
  }

  #unusable(reason: UpstreamUnavailable["reason"], detail: string): UpstreamUnavailable {
    return new UpstreamUnavailable({ provider: this.#asked.provider, reason, detail })
  }
}

const isMalformed = (standing: Standing & object) =>
  standing._tag === "UpstreamUnavailable" && standing.reason === "malformed"
