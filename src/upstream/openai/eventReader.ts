/** Reads a streamed answer, and passes it on cut only between its events. */
import { UpstreamUnavailable } from "../../domain/Failure.ts"
import type { AnswerReader, Asked, Standing } from "./answerReader.ts"
import * as Framing from "./framing.ts"
import { type Broken, progressOf } from "./progress.ts"

/** A longer event fails the answer, and so does as much before the first content, all of which is kept until then. */
const longest = 8 * 1024 * 1024

export const eventReader = (asked: Asked): AnswerReader => {
  const { classified, endpoint, pass, provider } = asked
  const progress = progressOf(endpoint)
  let standing: Standing = "open"
  let early = 0

  const unusable = (reason: UpstreamUnavailable["reason"], detail: string) =>
    new UpstreamUnavailable({ provider, reason, detail })
  const failureOf = (broken: Broken) => {
    if (broken._tag === "Unusable") return unusable(broken.reason, broken.detail)
    return classified(typeof broken.error === "string" ? broken.error : JSON.stringify(broken.error))
  }

  const framing = Framing.make(
    (event) => {
      const said = progress.take(event)
      if (said === "nothing") return "pass"
      if (said === "content") {
        standing = "begun"
        return "pass"
      }
      standing = said === "last" ? "complete" : failureOf(said)
      return said === "last" ? "last" : "stop"
    },
    (bytes) => {
      if (standing === "open") early += bytes.length
      pass(bytes)
    }
  )

  const complete = (): Standing => {
    if (progress.terminator !== "") pass(Buffer.from(progress.terminator))
    return "complete"
  }

  return {
    take: (bytes) => {
      framing.take(bytes)
      const isOpen = standing === "open" || standing === "begun"
      if (isOpen && (framing.held > longest || early > longest)) {
        standing = unusable("malformed", "an event of the stream is longer than 8 MiB")
      }
      return standing
    },
    end: () => {
      const isWhole = framing.end()
      if (standing === "complete") return standing
      // What is malformed for being the beginning of an event only was cut, as the rest was.
      if (typeof standing === "object" && (isWhole || !isMalformed(standing))) return standing
      return isWhole && progress.isComplete ? complete() : unusable("cut", "the stream ended before the answer did")
    },
    // Nothing is missing of it: that its end was not told makes it no worse.
    broke: (failure) => (progress.isComplete ? complete() : failure),
    usage: () => progress.usage
  }
}

const isMalformed = (standing: Standing & object) =>
  standing._tag === "UpstreamUnavailable" && standing.reason === "malformed"
