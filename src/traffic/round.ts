/** One round of a request: a slot, a token, and a call with them. */
import { Cause, Clock, Effect, Exit, Result, Scope } from "effect"
import type { Provider } from "../domain/Provider.ts"
import type { Attempted, Held } from "./attempt.ts"
import { DeadlineExceeded } from "./GatewayFailure.ts"
import { Governor, type HeldSlot, type SlotRefused } from "./Governor.ts"
import { type Job, slotRequestOf } from "./job.ts"
import * as Journey from "./journey.ts"
import * as Lend from "./lend.ts"
import { ModelClients } from "./ModelClients.ts"
import type { Plan } from "./plan.ts"

/** What became of it: no slot, no token, or a call that was made. */
export type Gone =
  | { readonly _tag: "Refused"; readonly refused: SlotRefused }
  | { readonly _tag: "Short"; readonly provider: string; readonly why: Lend.Shortage | DeadlineExceeded }
  | Attempted

/** A whole round, or what is left of one; `scope` is the request's. */
export type Round = (job: Job, plan: Plan, scope: Scope.Scope) => Effect.Effect<Gone>

/** To be run where nothing interrupts, with the job's `restore` for what is waited for. */
export const make = Effect.fnUntraced(function* (attempt: (job: Job, held: Held) => Effect.Effect<Attempted>) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const governor = yield* Governor
  const clients = yield* ModelClients
  const lend = yield* Lend.make

  /** A token for the call. At Warp it may have to be renewed or made first, which takes as long as it takes, but not for ever. */
  const leaseFor = (job: Job, { tokens }: Plan, provider: Provider, scope: Scope.Scope) => {
    const { deadline, request, restore, timeout } = job
    if (provider.kind !== "warp") return lend(provider, tokens, request.client, restore)
    const lending = Effect.uninterruptibleMask((restore) =>
      Effect.tap(lend(provider, tokens, request.client, restore), ({ giveBack }) => Scope.addFinalizer(scope, giveBack))
    )
    return restore(
      Effect.timeoutOrElse(lending, {
        duration: Math.max(0, deadline - now()),
        orElse: () => Effect.fail(new DeadlineExceeded({ timeout, detail: "no token was to be had in time" }))
      })
    )
  }

  /** What is left of it with the slot in hand. */
  const withSlot = Effect.fnUntraced(function* (job: Job, plan: Plan, parent: Scope.Scope, slot: HeldSlot) {
    const { journey } = job
    job.hasAnother = plan.targets.length > 1 || plan.aside.length > 0
    const provider = job.offer.providers.get(slot.target.provider)
    if (provider === undefined) return yield* Effect.die(`a slot for an unknown provider: ${slot.target.provider}`)
    journey.queuedMs += slot.queuedMs
    journey.target = slot.target
    if (journey.steps !== undefined) {
      const more = { of: slot.target, took: slot.queuedMs, ...Journey.skippedOf(slot.skipped) }
      Journey.note(journey, now() - job.startedAt, "slot", more)
    }
    // What is read to its end in one piece has nothing to hold but slot and token.
    const scope = provider.kind === "warp" ? Scope.forkUnsafe(parent) : undefined
    const lease = yield* Effect.exit(leaseFor(job, plan, provider, scope ?? parent))
    if (Exit.isFailure(lease)) {
      slot.release()
      if (scope !== undefined) yield* Scope.close(scope, lease)
      const why = Cause.findError(lease.cause)
      if (Result.isFailure(why)) return yield* Effect.failCause(why.failure)
      return { _tag: "Short" as const, provider: provider.name, why: why.success }
    }
    const client = clients.of(provider)
    return yield* attempt(job, { slot, lease: lease.value, provider, client, parent, scope })
  })

  /** The whole of it. */
  const go = Effect.fnUntraced(function* (job: Job, plan: Plan, parent: Scope.Scope) {
    const asked = yield* Effect.result(governor.acquire(slotRequestOf(job, plan.targets, now()), job.restore))
    if (asked._tag === "Failure") return { _tag: "Refused" as const, refused: asked.failure }
    return yield* withSlot(job, plan, parent, asked.success)
  })

  return { go, withSlot }
})
