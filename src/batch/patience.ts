/** What becomes of a request after a try: it is done, or asked again after a pause. Pure: time and chance are given. */
import { Duration } from "effect"
import type { Outcome } from "./answerLine.ts"
import type { Asked } from "./Answerer.ts"

/** The first pause that nobody stated, which doubles, and the longest of any: what was stated may have changed by then. */
const shortest = 1_000
export const longest = 5 * 60_000

/**
 * A request that breaks its upstream must not be asked for a day. It is at fault, and not the upstream, when it has failed this
 * often while others for the same model were answered in between.
 */
export const mostStrikes = 10

export interface Patience {
  /** Since when it has been asked, in epoch milliseconds. */
  readonly since: number
  /** Tries in a row that were not answered. */
  readonly tries: number
  readonly strikes: number
  /** How many others had been answered when an upstream failed on it last. */
  readonly answered: number
}

export const begin = (now: number): Patience => ({ since: now, tries: 0, strikes: 0, answered: 0 })

export interface Circumstances {
  readonly now: number
  /** Requests for its model that have been answered so far. */
  readonly answered: number
  readonly giveUpAfter: Duration.Duration
  /** From 0 to 1. */
  readonly chance: number
}

export type Verdict =
  | { readonly _tag: "Done"; readonly outcome: Outcome; readonly failure: string | undefined }
  /** `pause` in milliseconds. */
  | { readonly _tag: "Again"; readonly pause: number; readonly patience: Patience }

export const judge = (before: Patience, asked: Asked, circumstances: Circumstances): Verdict => {
  switch (asked._tag) {
    case "Answered":
      return { _tag: "Done", outcome: { ...asked, _tag: "Response" }, failure: undefined }
    case "Refused":
      return {
        _tag: "Done",
        outcome: { ...asked, _tag: "Response" },
        failure: asked.code === null ? String(asked.status) : `${asked.status} ${asked.code}`
      }
    case "Unanswered": {
      const { answered, chance, giveUpAfter, now } = circumstances
      const { reason, retryAfter, wasCalled } = asked
      const patience = failed(before, wasCalled ? answered : undefined)
      const left = patience.since + Duration.toMillis(giveUpAfter) - now
      if (left <= 0) {
        return givenUp("batch_expired", `It got no answer within ${Duration.format(giveUpAfter)}: ${reason}`)
      }
      if (patience.strikes >= mostStrikes) {
        return givenUp("upstream_failed", `It failed again and again while others were answered: ${reason}`)
      }
      const stated = retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)
      return { _tag: "Again", pause: Math.min(left, pause(before.tries, stated, chance)), patience }
    }
  }
}

/** `batch_expired` is OpenAI's, the other one ours. */
const givenUp = (code: "batch_expired" | "upstream_failed", message: string): Verdict => ({
  _tag: "Done",
  outcome: { _tag: "Error", code, message },
  failure: code
})

/** What was stated is kept to the millisecond, and a little scattered after it. */
const pause = (tries: number, stated: number | undefined, chance: number): number =>
  Math.ceil(
    stated === undefined
      ? Math.min(longest, shortest * 2 ** Math.min(tries, 30)) * (0.5 + chance / 2)
      : Math.min(longest, stated) + chance * Math.min(shortest, stated / 10)
  )

/** `answered` is undefined for a try that no upstream has seen. */
const failed = (before: Patience, answered: number | undefined): Patience => {
  const isStrike = answered !== undefined && (before.strikes === 0 || answered > before.answered)
  return {
    since: before.since,
    tries: before.tries + 1,
    strikes: before.strikes + (isStrike ? 1 : 0),
    answered: answered ?? before.answered
  }
}
