/** How the providers, and those that wait for them, stand at a moment. */
import type { Limits } from "../domain/Provider.ts"
import type { ProviderDesk } from "./sites.ts"

/** What a provider can do now. */
export interface ProviderStanding {
  readonly name: string
  readonly limits: Limits
  /** What is learned of the limits nobody told us; the limits themselves where they are known. */
  readonly allowed: { readonly concurrency: number | "unlimited"; readonly rpm: number | "unlimited" }
  readonly inUse: number
  /** Calls in the minute that ends now. */
  readonly lastMinute: number
  /** Model tokens in that minute, as far as they are known or reckoned; undefined when it is not known. */
  readonly lastMinuteTokens?: number | undefined
  readonly waiting: number
  /** Until when nothing is sent there. */
  readonly heldUntil: number | undefined
  /** A person has paused it: nothing starts there until one resumes it. */
  readonly paused: boolean
  /** Epoch milliseconds; undefined when it is not paused, or not known. */
  readonly pausedSince?: number | undefined
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
  /** Epoch milliseconds: since when the one waits that has waited longest; undefined when nobody waits. */
  readonly oldestSince: number | undefined
  readonly inUse: number
  readonly granted: number
  readonly refused: number
  readonly meanWaitMs: number
}

/** `pausedSince`: epoch milliseconds. */
export const standingOf = (
  { capacity, name, sites, waiting }: ProviderDesk,
  pausedSince: number | undefined,
  now: number
): ProviderStanding => ({
  name,
  limits: capacity.limits(),
  allowed: capacity.allowed(),
  inUse: capacity.inUse(),
  lastMinute: capacity.lastMinute(now),
  lastMinuteTokens: capacity.lastMinuteTokens(now),
  waiting,
  heldUntil: capacity.heldUntil() > now ? capacity.heldUntil() : undefined,
  paused: capacity.isPaused(),
  pausedSince,
  targets: [...sites.values()].map(({ circuit, target }) => {
    const { source, state, until } = circuit.view(now)
    return { model: target.model, circuit: state, until, source }
  })
})
