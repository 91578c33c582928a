/** Ends the calls that are late. One sleeping fiber for all of them: a timer for each would cost more than the call's own rules. */
import { Clock, Effect, FiberHandle } from "effect"
import type { Scope } from "effect"
import { type Member, Roster } from "../../domain/roster.ts"
import type { Due } from "./deadlines.ts"

export interface Watched extends Member {
  /** As it stands now: what has been said since it was armed for moves it. */
  readonly due: () => Due
  /** Is not watched any more. */
  readonly late: (due: Due) => void
}

export interface Watchdog {
  /** Looks after it from now on. To be told again when its deadline may have come nearer; that it has gone further needs no word. */
  watch(watched: Watched): void
  release(watched: Watched): void
}

export const make: Effect.Effect<Watchdog, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const run = yield* FiberHandle.makeRuntime<never>()
  // As many as there are calls at work, which the governor bounds.
  const all = new Roster<Watched>()
  let wakesAt = Infinity

  /** Ends what is late, and says when to look again. */
  const sweep = (): number => {
    const now = clock.currentTimeMillisUnsafe()
    let next = Infinity
    all.each((watched) => {
      const due = watched.due()
      if (due.at > now) {
        if (due.at < next) next = due.at
        return
      }
      all.delete(watched)
      watched.late(due)
    })
    return next
  }

  const vigil = Effect.gen(function* () {
    while (wakesAt !== Infinity) {
      yield* Effect.sleep(Math.max(0, wakesAt - clock.currentTimeMillisUnsafe()))
      wakesAt = sweep()
    }
  })

  return {
    watch: (watched) => {
      all.add(watched)
      const { at } = watched.due()
      if (at >= wakesAt) return
      wakesAt = at
      run(vigil)
    },
    release: (watched) => all.delete(watched)
  }
})
