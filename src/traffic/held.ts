/** A slot that is out: what becomes of its call is told to the provider's limits and to the target's health. */
import { Duration, Effect } from "effect"
import type { Limits } from "../domain/Provider.ts"
import type { CircuitState } from "./circuit.ts"
import type { Dispatch } from "./dispatch.ts"
import * as Metrics from "./governorMetrics.ts"
import type { Remembered } from "./remembered.ts"
import type { Granted } from "./sites.ts"
import type { HeldSlot, SlotOutcome } from "./slot.ts"

/** A call that was broken off is not gone at its upstream at once: for so long it holds its place. */
const linger = "100 millis"

const isCounted = ({ rpm, tpm }: Limits) => rpm !== "unlimited" || tpm !== "unlimited"

/** Who gave the slot out, as far as it has to tell them. */
export interface Issuer {
  readonly dispatch: Dispatch
  readonly now: () => number
  readonly remembered: Remembered
  /** Begins it, and ends it with the governor. Never waits. */
  readonly run: (effect: Effect.Effect<void>) => void
}

export class Held implements HeldSlot {
  readonly target
  readonly queuedMs
  readonly probe
  readonly skipped
  readonly #granted: Granted
  readonly #issuer: Issuer
  #isSettled = false
  #hasLeft = false
  #isAnswered = false
  #isReleased = false

  constructor(granted: Granted, issuer: Issuer) {
    this.#granted = granted
    this.#issuer = issuer
    this.target = granted.target
    this.queuedMs = granted.queuedMs
    this.probe = granted.ticket.isProbe
    this.skipped = granted.skipped
  }

  sent() {
    if (this.#hasLeft) return
    this.#hasLeft = true
    const { dispatch, now, remembered } = this.#issuer
    const { grant, provider } = this.#granted
    const { capacity } = provider
    const at = now()
    capacity.sent(grant, at)
    if (!isCounted(capacity.limits())) return
    remembered.sent(provider, at, grant.tokens.weight)
    // Those that wait for its minute know only now how long.
    if (provider.waiting > 0) dispatch.changed(provider, at)
  }

  answering() {
    if (this.#isSettled) return
    const { dispatch, now } = this.#issuer
    const at = now()
    const { site } = this.#granted
    const before = site.circuit.state()
    dispatch.answering(this.#granted, at)
    this.#tell(before, at)
  }

  settle(outcome: SlotOutcome) {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#isAnswered = outcome._tag === "Served" || outcome._tag === "Throttled"
    const { dispatch, now, remembered } = this.#issuer
    const at = now()
    const { grant, provider, site } = this.#granted
    const { capacity } = provider
    const before = site.circuit.state()
    const hasLearned =
      outcome._tag === "Served"
        ? capacity.served(grant, at, outcome.tokens)
        : outcome._tag === "Throttled" && capacity.throttled(grant, at)
    if (hasLearned) {
      remembered.learned(provider, at)
      dispatch.changed(provider, at)
    }
    if (outcome._tag === "Throttled" && outcome.retryAfter !== undefined) {
      dispatch.hold(provider.name, at + Duration.toMillis(outcome.retryAfter), at)
    }
    const until =
      outcome._tag === "Failed" && outcome.retryAfter !== undefined
        ? at + Duration.toMillis(outcome.retryAfter)
        : undefined
    const ended = outcome._tag === "Served" ? "served" : outcome._tag === "Failed" ? "failed" : "neutral"
    dispatch.end(this.#granted, at, ended, until)
    this.#tell(before, at)
  }

  release() {
    if (this.#isReleased) return
    this.#isReleased = true
    const { dispatch, now, run } = this.#issuer
    const lingers = this.#hasLeft && !this.#isAnswered
    this.settle({ _tag: "Neutral" })
    dispatch.release(this.#granted, now(), lingers)
    if (!lingers) return
    const gone = Effect.sync(() => dispatch.gone(this.#granted, now()))
    run(Effect.delay(gone, linger))
  }

  #tell(before: CircuitState, at: number) {
    const { site, target } = this.#granted
    if (site.circuit.state() !== before) this.#issuer.run(Metrics.told(target, site.circuit.view(at), at))
  }
}
