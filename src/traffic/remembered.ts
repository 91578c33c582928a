/** What the store remembers of each provider: what was learned of its limits, and the calls of its last minute. */
import { Effect, Schema } from "effect"
import type { Scope } from "effect"
import type { Limit } from "../domain/Provider.ts"
import * as Replicas from "../store/Replicas.ts"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import { type Lessons, noLessons, type Past } from "./capacity.ts"
import { Learned } from "./limitLearning.ts"
import * as Minutes from "./minutes.ts"
import type { ProviderDesk } from "./sites.ts"

const lessons = {
  name: "governor-lessons",
  schema: Schema.Struct({ concurrency: Learned, rpm: Learned })
}

const minutes = { name: "governor-minutes", schema: Minutes.Minute }

/** What a crash may make us forget of a minute: nothing of one of up to a hundred calls. */
const forgettable = 0.01

const shareOf = (spent: number, limit: Limit) => (typeof limit === "number" ? spent / limit : 0)

export interface Remembered {
  lessonsOf(provider: string): Lessons
  /** The calls of the minute before this process began, and of its own since. */
  pastOf(provider: string): ReadonlyArray<Past>
  /** Something was learned of its limits: stored within a second. Never waits. */
  learned(desk: ProviderDesk, at: number): void
  /**
   * A call has left. It is stored at once, or with the next few where that many are next to nothing of the minute; should the store be
   * away, it is kept and stored later. Never waits.
   */
  sent(desk: ProviderDesk, at: number, tokens: number): void
}

/** Loads both; what it is told of is stored until the scope closes. `run` begins what is stored at once. */
export const make = Effect.fnUntraced(function* (
  run: (effect: Effect.Effect<void>) => void
): Effect.fn.Return<Remembered, StoreUnavailable, Store | Scope.Scope> {
  const learned = yield* Replicas.make<Lessons, Lessons>({ collection: lessons, fold: (_stored, _now, next) => next })
  const sent = yield* Replicas.make<Minutes.Minute, Past>({
    collection: minutes,
    fold: Minutes.fold,
    merged: Minutes.merged
  })
  // By provider: the share of its minute that has left since it was stored.
  const unstored = new Map<string, number>()

  return {
    lessonsOf: (provider) => learned.get(provider) ?? noLessons,
    pastOf: (provider) => sent.get(provider)?.seconds ?? [],
    learned: ({ capacity, name }, at) => learned.record(name, at, capacity.lessons()),
    sent: ({ capacity, name }, at, tokens) => {
      const event = { at: Minutes.secondOf(at), calls: 1, tokens }
      const { rpm } = capacity.allowed()
      const { tpm } = capacity.limits()
      const share = (unstored.get(name) ?? 0) + Math.max(shareOf(1, rpm), shareOf(tokens, tpm))
      unstored.set(name, share < forgettable ? share : 0)
      if (share < forgettable) sent.record(name, at, event)
      else run(Effect.ignore(sent.commit(name, event)))
    }
  }
})
