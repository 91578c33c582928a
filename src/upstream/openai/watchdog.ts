/** Ends the calls that are late. One sleeping fiber for all of them: a timer for each would cost more than the call's own rules. */
import { Clock, Effect, FiberHandle } from "effect"
import type { Scope } from "effect"
import type { Due } from "./deadlines.ts"

export interface Watched {
  /** Where it stands among those that are watched: the watchdog's own. */
  place: number
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
  /**
   * As many as there are calls at work, which the governor bounds. No Set: one that is added to and deleted from for ever
   * leaves a chain of outgrown tables behind it, and with them each call lives on until the next full collection.
   */
  const all: Array<Watched> = []
  let wakesAt = Infinity

  /** Ends what is late, and says when to look again. */
  const sweep = (): number => {
    const now = clock.currentTimeMillisUnsafe()
    let next = Infinity
    // Backwards: whoever takes the place of one that goes has been looked at already.
    for (let place = all.length - 1; place >= 0; place--) {
      const watched = all[place]
      if (watched === undefined) continue
      const due = watched.due()
      if (due.at > now) {
        if (due.at < next) next = due.at
        continue
      }
      remove(watched)
      watched.late(due)
    }
    return next
  }

  const remove = (watched: Watched) => {
    const { place } = watched
    const last = all.pop()
    if (last === undefined || last === watched) return
    all[place] = last
    last.place = place
  }

  const vigil = Effect.gen(function* () {
    while (wakesAt !== Infinity) {
      yield* Effect.sleep(Math.max(0, wakesAt - clock.currentTimeMillisUnsafe()))
      wakesAt = sweep()
    }
  })

  return {
    watch: (watched) => {
      if (all[watched.place] !== watched) watched.place = all.push(watched) - 1
      const { at } = watched.due()
      if (at >= wakesAt) return
      wakesAt = at
      run(vigil)
    },
    release: (watched) => {
      if (all[watched.place] === watched) remove(watched)
    }
  }
})
