/** A request on its way, and how much of its time each step of it may take. */
import { Duration } from "effect"
import type { Target } from "../domain/Provider.ts"
import type { Restore } from "../pool/TokenPool.ts"
import type { Offer } from "./Catalog.ts"
import { defaultPriority, type GatewayRequest } from "./GatewayRequest.ts"
import type { SlotRequest } from "./Governor.ts"
import * as Journey from "./journey.ts"
import { reckonTokens } from "./reckonTokens.ts"

export interface Job {
  readonly request: GatewayRequest
  /** What it was resolved by last. */
  offer: Offer
  readonly journey: Journey.Journey
  readonly startedAt: number
  /** When its last call began. */
  calledAt: number
  readonly timeout: Duration.Duration
  /** Epoch milliseconds at which the whole request is given up. */
  readonly deadline: number
  /** How long it may wait in line in all, in milliseconds. */
  readonly patience: number
  /** Whether another target is left: then a silent one does not get all the time there is. */
  hasAnother: boolean
  /** Model tokens it is reckoned to take. */
  readonly tokens: number
  readonly restore: Restore
}

/** What holds for a request that does not say. */
export interface Usual {
  readonly timeout: Duration.Duration
  /** The longest in line, in milliseconds. */
  readonly patience: number
}

export const jobOf = (request: GatewayRequest, offer: Offer, usual: Usual, now: number, restore: Restore): Job => {
  const timeout = request.timeout ?? usual.timeout
  const milliseconds = Duration.toMillis(timeout)
  const journey = request.journey ?? Journey.make(false)
  journey.timeout = milliseconds
  return {
    request,
    offer,
    startedAt: now,
    deadline: now + milliseconds,
    timeout,
    patience: request.timeout === undefined ? usual.patience : Number.POSITIVE_INFINITY,
    hasAnother: false,
    calledAt: now,
    tokens: reckonTokens(request.body),
    journey,
    restore
  }
}

/** A slot for it at one of these. */
export const slotRequestOf = (job: Job, targets: ReadonlyArray<Target>, now: number): SlotRequest => ({
  targets,
  client: job.request.client,
  priority: job.request.priority ?? defaultPriority,
  since: job.startedAt,
  until: untilOf(job, now),
  tokens: job.tokens
})

/** Until when it may wait in line: what its attempts took is not held against it. */
export const untilOf = ({ deadline, journey, patience }: Job, now: number): number =>
  Math.min(deadline, now + Math.max(0, patience - journey.queuedMs))

/** Of a target that says nothing, half the time that is left is enough to know, if there is another. */
export const shareOf = ({ calledAt, deadline, hasAnother }: Job): number =>
  hasAnother ? Math.max(1, (deadline - calledAt) / 2) : deadline - calledAt
