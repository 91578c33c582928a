/** When the parts of an answer leave: after even pauses, or as a model would that works on it. */
import { Duration } from "effect"
import type { AnswerEvent } from "./readCall.ts"
import { type ServiceModel, type ServiceTime, serviceTime } from "./serviceTime.ts"

export interface Pace {
  /** Before the first event. */
  readonly first: Duration.Duration
  /** Before any other. */
  before(event: AnswerEvent): Duration.Duration
}

/** A model of how long answers take, and by how much one may differ from it. */
export interface Service extends ServiceModel {
  /** From 0 to 1: the share of its time by which a call may take more or less, each as likely as the other. */
  readonly jitter: number
}

export const evenly = (first: Duration.Duration, others: Duration.Duration): Pace => ({ first, before: () => others })

/** `chance` is from 0 to 1. Whole milliseconds, as clocks count. */
export const serviceTimeOf = (
  service: Service,
  tokens: { readonly prompt: number; readonly completion: number },
  chance: number
): ServiceTime => {
  const factor = 1 + service.jitter * (2 * chance - 1)
  const { first, rest } = serviceTime(service, tokens)
  return { first: Math.round(first * factor), rest: Math.round(rest * factor) }
}

/**
 * The first piece of content comes after `first`, and the others at even distances within `rest`; an answer in a single piece
 * ends after both.
 */
export const asServed = ({ first, rest }: ServiceTime, events: ReadonlyArray<AnswerEvent>): Pace => {
  const content = events.filter(({ part }) => part === "content")
  const paced = content.length > 1 ? content.slice(1) : events.filter(({ part }) => part === "finish").slice(0, 1)
  // Of whole milliseconds that add up to the whole.
  const at = (index: number) => Math.round((rest * index) / paced.length)
  const pauses = new Map(paced.map((event, index) => [event, Duration.millis(at(index + 1) - at(index))]))
  return { first: Duration.millis(first), before: (event) => pauses.get(event) ?? Duration.zero }
}

/** How long all of it takes; what has no events takes until the first. */
export const lengthOf = ({ before, first }: Pace, events: ReadonlyArray<AnswerEvent>): Duration.Duration =>
  events.slice(1).reduce((sum, event) => Duration.sum(sum, before(event)), first)
