/** What is asked of the governor for a call, and what it gives: a slot, or the reason why there is none. */
import { type Duration, Schema } from "effect"
import type { Target } from "../domain/Provider.ts"

/** No slot in time. `retryAfter` is when one could be had by the best estimate; ten seconds where it takes a person. */
export class SlotRefused extends Schema.TaggedError<SlotRefused>()("SlotRefused", {
  reason: Schema.Literals([
    /** The line is full. */
    "full",
    /** The estimated wait is longer than the request may wait; told at once. */
    "wait",
    /** It waited as long as it may. */
    "timeout",
    /** All its targets are out of order, and nobody knows for how long. */
    "unavailable",
    /** It waited as long as it may, and a person has paused the providers of all its targets. */
    "paused"
  ]),
  detail: Schema.String,
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return `no slot: ${this.detail}`
  }
}

export interface SlotRequest {
  /** In order of preference; the one that can start soonest is taken, the earlier of two that can start now. */
  readonly targets: ReadonlyArray<Target>
  readonly client: string
  /** 0 to 9, 9 being the most urgent. */
  readonly priority: number
  /** Epoch milliseconds: since when the request waits in all, so that a further attempt keeps its place in the line. */
  readonly since: number
  /** Epoch milliseconds until which it may wait. */
  readonly until: number
  /** Model tokens it is reckoned to take, for the providers that count them. */
  readonly tokens: number
}

/** How the call ended, as far as the target's health and its limits are concerned. */
export type SlotOutcome =
  | { readonly _tag: "Served"; readonly tokens: number | undefined }
  /** The upstream's fault: 5xx, timeout, cut, malformed. `retryAfter` where it was stated. */
  | { readonly _tag: "Failed"; readonly retryAfter: Duration.Duration | undefined }
  /** It said that we ask too much. */
  | { readonly _tag: "Throttled"; readonly retryAfter: Duration.Duration | undefined }
  /** Nothing was learned of the target: the caller's fault, the token's, or it left. */
  | { readonly _tag: "Neutral" }

export interface Slot {
  readonly target: Target
  /** Milliseconds it waited in the line. */
  readonly queuedMs: number
  /** The call is the single probe of a target that was out of order. */
  readonly probe: boolean
  /** Why the targets before it in the request's order were not taken, for the explain-trace. */
  readonly skipped: ReadonlyArray<{ readonly target: Target; readonly why: string }>
  /** The request begins to leave. Without it the upstream has not counted the call, and its place in the minute is given back. */
  sent(): void
  /** The first content has come: the target is in order, however long the answer takes from here. */
  answering(): void
  /** The first counts; a slot that is released without one is `Neutral`. Does not release the slot. */
  settle(outcome: SlotOutcome): void
}

/** A slot that no scope holds. */
export interface HeldSlot extends Slot {
  /** Gives it back. The first counts. */
  release(): void
}
