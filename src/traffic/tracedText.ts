/**
 * What went wrong, in the words of a trace: without the words of an upstream or of the request, which may repeat what was asked. A pure
 * rule; the caller was told more.
 */
import { Duration } from "effect"
import { ownWords } from "../domain/ownWords.ts"
import type { GatewayFailure } from "./GatewayFailure.ts"

export const tracedText = (failure: GatewayFailure): string => short(textOf(failure))

const textOf = (failure: GatewayFailure): string => {
  switch (failure._tag) {
    case "StoreUnavailable":
      return "the store is unavailable"
    case "ModelNotServed":
      return failure.endpoint === undefined
        ? "the model is not served here"
        : `the model is not served at /v1${failure.endpoint}`
    case "DeadlineExceeded":
      return `no answer within ${Duration.format(failure.timeout)}`
    default:
      return ownWords(failure)
  }
}

/** As much of a text of unknown length as a trace keeps: a copy, since a slice would keep the whole. */
export const short = (text: string, longest = 300): string =>
  text.length > longest ? `${copyOf(text.slice(0, longest))}…` : copyOf(text)

const copyOf = (text: string) => Buffer.from(text).toString()
