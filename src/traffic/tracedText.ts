/**
 * What went wrong, in the words of a trace: without the words of an upstream or of the request, which may repeat what was asked. A pure
 * rule; the caller was told more.
 */
import { Duration } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import { ownWords } from "../domain/ownWords.ts"
import type { SlotRefused } from "./Governor.ts"
import type { Shortage } from "./lend.ts"

export type Traced =
  | CallFailure
  | Shortage
  | SlotRefused
  | { readonly _tag: "ModelNotServed"; readonly endpoint?: string }
  | { readonly _tag: "DeadlineExceeded"; readonly timeout: Duration.Duration }

export const tracedText = (failure: Traced): string => short(textOf(failure))

const textOf = (failure: Traced): string => {
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
