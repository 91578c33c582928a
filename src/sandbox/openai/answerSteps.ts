/** What a provider does, step by step, while it sends an answer, sound or struck by a fault. */
import { Duration } from "effect"
import { delayOf } from "../faultTerms.ts"
import { hangUp, send, wait } from "../pacedBody.ts"
import type { Step } from "../pacedBody.ts"
import { insufficientQuota, openAiError } from "./dialect.ts"
import { frame, split } from "./framing.ts"
import { callOf } from "./openAiFault.ts"
import type { OpenAiFault } from "./openAiFault.ts"
import type { Pace } from "./pace.ts"
import type { AnswerEvent } from "./readCall.ts"

const noJson = "%%% this is no JSON %%%"

export const streamSteps = (
  events: ReadonlyArray<AnswerEvent>,
  fault: OpenAiFault | undefined,
  { before, first }: Pace
): ReadonlyArray<Step> => {
  const sendAll = (some: ReadonlyArray<AnswerEvent>, begun = false): ReadonlyArray<Step> =>
    some.flatMap((event, index) => [
      ...wait(index === 0 && !begun ? first : before(event)),
      send(...frame(event, fault?.kind))
    ])
  if (fault === undefined) return sendAll(events)
  /** As many as the fault names, or enough that an answer has visibly begun; never the end of it. */
  const upToPoint = (otherwise = begunAt(events)) => Math.min(fault.afterEvents ?? otherwise, endOf(events))
  const around = (between: ReadonlyArray<Step>, at = upToPoint()): ReadonlyArray<Step> => [
    ...sendAll(events.slice(0, at)),
    ...between,
    ...sendAll(events.slice(at), at > 0)
  ]
  const endingWith = (error: AnswerEvent) => sendAll([...events.slice(0, upToPoint(0)), error])
  const cutShort = sendAll(events.slice(0, upToPoint()))
  switch (fault.kind) {
    case "slow_first":
      return around(wait(delayOf(fault, Duration.seconds(1))), upToPoint(0))
    case "cut":
      return [...cutShort, ...wait(delayOf(fault, Duration.zero)), hangUp]
    case "truncated":
      return cutShort
    case "stall":
      return around(wait(delayOf(fault, Duration.infinity)))
    case "malformed":
      return around(sendAll([{ part: "content", raw: fault.message ?? noJson }], upToPoint() > 0))
    case "error_in_stream":
      return endingWith(errorEvent(fault, errorIn(fault)))
    case "quota_in_stream":
      return endingWith(errorEvent(fault, insufficientQuota(fault.message)))
    case "no_done":
      return sendAll(events.filter(({ part }) => part !== "done"))
    case "no_finish":
      return sendAll(events.filter(({ part }) => part !== "finish"))
    default:
      return sendAll(events)
  }
}

/** `undefined` when the fault leaves the body whole. */
export const wholeSteps = (body: string, fault: OpenAiFault): ReadonlyArray<Step> | undefined => {
  const bytes = Buffer.from(body)
  const middle = Math.floor(bytes.length / 2)
  const firstHalf = send(bytes.subarray(0, middle))
  const secondHalf = send(bytes.subarray(middle))
  switch (fault.kind) {
    case "slow_first":
      return [...wait(delayOf(fault, Duration.seconds(1))), send(bytes)]
    case "cut":
      return [firstHalf, ...wait(delayOf(fault, Duration.zero)), hangUp]
    case "stall":
      return [firstHalf, ...wait(delayOf(fault, Duration.infinity)), secondHalf]
    case "malformed":
      return [send(fault.message ?? noJson)]
    case "split":
      return [send(...split(body))]
    case "no_content_type":
      return [send(bytes)]
    default:
      return undefined
  }
}

/** The error an answer with status 200 holds. */
export const errorIn = ({ code, message }: OpenAiFault) =>
  openAiError({
    message: message ?? "The server had an error while processing your request. Sorry about that!",
    type: "server_error",
    code: code ?? null
  })

/** As each endpoint's streams bring it. */
const errorEvent = (fault: OpenAiFault, { error }: ReturnType<typeof openAiError>): AnswerEvent =>
  callOf(fault) === "responses"
    ? { part: "content", name: "error", json: { ...error, type: "error", sequence_number: 0 } }
    : { part: "content", json: { error } }

/** The opening and the first piece of content. */
const begunAt = (events: ReadonlyArray<AnswerEvent>): number => events.findIndex(({ part }) => part === "content") + 1

const endOf = (events: ReadonlyArray<AnswerEvent>): number => {
  const end = events.findIndex(({ part }) => part === "finish")
  return end === -1 ? events.length : end
}
