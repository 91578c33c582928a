/** A timer that is set anew to whatever comes first. */
import { Effect, type Fiber } from "effect"

export interface AlarmOptions {
  readonly now: () => number
  /** Begins it, and ends it with the scope of whoever made the alarm. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly ring: (now: number) => void
}

/** Has it ring at `at` (epoch ms), or at the earlier time that it is set to already. Once; one timer at most. */
export const make = ({ now, ring, run }: AlarmOptions): ((at: number) => void) => {
  let timer: { readonly at: number; fiber: Fiber.Fiber<void> | undefined } | undefined
  return (at) => {
    if (timer !== undefined && timer.at <= at) return
    timer?.fiber?.interruptUnsafe()
    // Known before it runs: one that is due now may ring at once, and set the next.
    const next: NonNullable<typeof timer> = { at, fiber: undefined }
    timer = next
    const due = Effect.sync(() => {
      if (timer === next) timer = undefined
      ring(now())
    })
    next.fiber = run(Effect.delay(due, Math.max(0, at - now())))
  }
}
