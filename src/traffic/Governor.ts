/**
 * Gives out slots: permission to send one request to a target now. A slot is a place among the provider's calls at work and a
 * place in its minute, taken together or not at all.
 */
import { Context, Schema } from "effect"
import type { Duration, Effect, Scope } from "effect"
import type { Limits, Target } from "../domain/Provider.ts"

/** No slot in time. `retryAfter` is when one could be had by the best estimate. */
export class SlotRefused extends Schema.TaggedError<SlotRefused>()("SlotRefused", {
  reason: Schema.Literals([
    /** The line is full. */
    "full",
    /** The estimated wait is longer than the request may wait; told at once. */
    "wait",
    /** It waited as long as it may. */
    "timeout",
    /** All its targets are out of order, and nobody knows for how long. */
    "unavailable"
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
  readonly sent: () => void
  /** The first counts; a slot that is released without one is `Neutral`. Does not release the slot. */
  readonly settle: (outcome: SlotOutcome) => void
}

/** What a provider can do now. */
export interface ProviderStanding {
  readonly name: string
  readonly limits: Limits
  /** What is learned of the limits nobody told us; the limits themselves where they are known. */
  readonly allowed: { readonly concurrency: number | "unlimited"; readonly rpm: number | "unlimited" }
  readonly inUse: number
  /** Calls in the minute that ends now. */
  readonly lastMinute: number
  readonly waiting: number
  /** Until when nothing is sent there. */
  readonly heldUntil: number | undefined
  readonly targets: ReadonlyArray<{
    readonly model: string
    readonly circuit: "closed" | "open" | "half_open" | "returning"
    /** Epoch milliseconds until which it is open, and whether the upstream said so or we guess. */
    readonly until: number | undefined
    readonly source: "stated" | "guessed" | undefined
  }>
}

export interface GovernorStatistics {
  readonly waiting: number
  readonly inUse: number
  readonly granted: number
  readonly refused: number
  readonly meanWaitMs: number
}

export class Governor extends Context.Service<
  Governor,
  {
    /**
     * Waits in line until one of the targets can start, or fails as soon as it is clear that none will in time. The slot is
     * held by the scope. Interruption leaves the line, or gives the slot back. Per process.
     */
    slot(request: SlotRequest): Effect.Effect<Slot, SlotRefused, Scope.Scope>
    /** Takes over the limits of the providers offered now. Slots that are out stay counted. */
    configure(providers: Iterable<{ readonly name: string; readonly limits: Limits }>): Effect.Effect<void>
    /** Sends nothing to the provider until then (epoch ms): none of its tokens can be used. Only ever moves later. */
    hold(provider: string, until: number): Effect.Effect<void>
    readonly providers: Effect.Effect<ReadonlyArray<ProviderStanding>>
    readonly statistics: Effect.Effect<GovernorStatistics>
  }
>()("weirgate/traffic/Governor") {}
