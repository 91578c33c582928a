/** What the emulated Warp does, step by step, while it streams an answer, whole or struck by a fault. */
import { Duration } from "effect"
import type { ResponseEvent } from "../../upstream/warp/warp_pb.ts"
import { delayOf } from "../faultTerms.ts"
import type { ModelAnswer } from "../modelAnswer.ts"
import { content, finished, opening, transaction } from "./answerEvents.ts"
import type { Cost, Mishap, Names } from "./answerEvents.ts"
import type { WarpFault } from "./warpFault.ts"

export type Step =
  | { readonly _tag: "Send"; readonly event: ResponseEvent }
  /** Sends data that is no event. */
  | { readonly _tag: "SendData"; readonly data: string }
  | { readonly _tag: "Wait"; readonly duration: Duration.Duration }
  | { readonly _tag: "HangUp" }

export interface Exchange {
  readonly names: Names
  readonly answer: ModelAnswer
  readonly cost: Cost
}

const mishaps: Partial<Record<WarpFault["kind"], Mishap>> = {
  quota_in_stream: "quotaLimit",
  max_tokens_in_stream: "maxTokenLimit",
  context_exceeded_in_stream: "contextWindowExceeded",
  llm_unavailable_in_stream: "llmUnavailable",
  internal_error_in_stream: "internalError",
  other_in_stream: "other"
}

/** Opening, task and first piece: enough that an answer has visibly begun. */
const afterFirstPiece = 3
/** The opening alone. */
const afterOpening = 1

export const stepsOf = ({ answer, cost, names }: Exchange, fault: WarpFault | undefined): ReadonlyArray<Step> => {
  const begin = opening(names)
  const pieces = content(names, answer)
  const whole = [...begin, ...pieces, finished(cost, undefined)]
  if (fault === undefined) return whole.map(send)
  const count = (otherwise: number) => Math.min(fault.afterEvents ?? otherwise, whole.length - 1)
  const first = (otherwise: number) => whole.slice(0, count(otherwise)).map(send)
  const rest = (otherwise: number) => whole.slice(count(otherwise)).map(send)
  switch (fault.kind) {
    case "slow_first":
      return [wait(delayOf(fault, Duration.seconds(1))), ...whole.map(send)]
    case "cut":
      return [...first(afterFirstPiece), wait(delayOf(fault, Duration.zero)), { _tag: "HangUp" }]
    case "truncated":
      return first(afterFirstPiece)
    case "stall":
      return [...first(afterFirstPiece), wait(delayOf(fault, Duration.infinity)), ...rest(afterFirstPiece)]
    case "malformed":
      return [
        ...first(afterFirstPiece),
        { _tag: "SendData", data: fault.message ?? "%%% this is no event %%%" },
        ...rest(afterFirstPiece)
      ]
    case "rollback_in_stream": {
      const discarded = pieces.slice(0, Math.max(1, (fault.afterEvents ?? afterFirstPiece) - begin.length))
      return [
        ...begin,
        transaction("beginTransaction"),
        ...discarded,
        transaction("rollbackTransaction"),
        transaction("beginTransaction"),
        ...content({ ...names, requestId: `${names.requestId}-again` }, answer),
        transaction("commitTransaction"),
        finished(cost, undefined)
      ].map(send)
    }
    default: {
      const mishap = mishaps[fault.kind]
      if (mishap === undefined) return whole.map(send)
      const otherwise = mishap === "maxTokenLimit" ? afterFirstPiece : afterOpening
      return [...first(otherwise), send(finished(cost, mishap, fault.message))]
    }
  }
}

const send = (event: ResponseEvent): Step => ({ _tag: "Send", event })

const wait = (duration: Duration.Duration): Step => ({ _tag: "Wait", duration })
