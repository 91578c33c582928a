/** Steps 1 to 3: is there an answer already, from the same request before, in the cache, or from another process at work? */
import { Clock, Duration, Effect } from "effect"
import type { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Cache } from "./Cache.ts"
import { type AcquiredToken, type AcquisitionRequest, contextOf, type Step, type Verdict } from "./decision.ts"
import { sooner } from "./grounds.ts"
import { RateLimiter } from "./RateLimiter.ts"
import { Dedup, type Look } from "./Dedup.ts"
import { storeFailed } from "./storeFailed.ts"

/** What was found, and when. */
export interface Found {
  readonly at: number
  readonly generation: number
  /** Whether the same request was worked on before, or is by another process. */
  readonly isDuplicate: boolean
  readonly answer: Verdict | undefined
  readonly elsewhere: Look["elsewhere"]
}

export const make = Effect.gen(function* () {
  const pool = yield* TokenPool
  const cache = yield* Cache
  const dedup = yield* Dedup
  const limiter = yield* RateLimiter
  /** How much work has ended in this process: what was found before may not be all that there is now. */
  let generation = 0

  const isUsable = Effect.fnUntraced(function* (provider: string, id: TokenId) {
    const find = Effect.map(pool.list(provider), (views) => views.find((view) => view.id === id))
    // Another process may have made it since this one looked.
    const view = (yield* find) ?? (yield* Effect.andThen(pool.sync, find))
    return view?.usable === true
  })

  const search = Effect.fnUntraced(function* (
    request: AcquisitionRequest,
    look: "get" | "peek"
  ): Effect.fn.Return<Found, Verdict> {
    const { provider } = request
    const found = { at: yield* Clock.currentTimeMillis, generation }
    const { earlier, elsewhere } = yield* Effect.mapError(dedup.look(request), storeFailed("dedup"))
    const isDuplicate = earlier !== undefined || elsewhere?.as === "same"
    const key = { provider, kind: "anonymous", context: contextOf(request) } as const
    const token = yield* Effect.mapError(
      cache[look](key, (id) => isUsable(provider, id)),
      storeFailed("cache")
    )
    if (token === undefined && earlier?.ending._tag === "Failed") {
      const budget = yield* Effect.mapError(limiter.statistics(provider), storeFailed("dedup"))
      const wait = Math.max(Duration.toMillis(earlier.timeLeft), budget.nextAllowedAt - found.at)
      const retryAfterMs = sooner(wait, budget, found.at)
      return { ...found, isDuplicate, elsewhere, answer: failedBefore(earlier.ending.reason, retryAfterMs) }
    }
    const answer =
      token &&
      (earlier?.ending._tag === "Answered"
        ? given("dedup", token, "the same request was answered with it")
        : given("cache", token, "it meets the same need"))
    return { ...found, isDuplicate, elsewhere, answer }
  })
  const again = (request: AcquisitionRequest) => search(request, "peek")

  /** What another process's work has come to for this request, once that has ended. */
  const afterElsewhere = Effect.fnUntraced(function* (
    request: AcquisitionRequest,
    { elsewhere }: Found
  ): Effect.fn.Return<Verdict | undefined, Verdict> {
    if (elsewhere === undefined) return undefined
    yield* Effect.mapError(dedup.awaitElsewhere(request.provider, elsewhere.id), storeFailed("in_flight"))
    const { answer } = yield* again(request)
    return answer?.step === "cache"
      ? { ...answer, step: "in_flight", reason: "another process was at work on it" }
      : answer
  })

  return {
    first: (request: AcquisitionRequest) => search(request, "get"),
    again,
    afterElsewhere,
    /** What the work of a process that was quicker has come to, or will. */
    overtaken: (request: AcquisitionRequest) =>
      Effect.flatMap(again(request), (found) =>
        found.answer === undefined ? afterElsewhere(request, found) : Effect.succeed(found.answer)
      ),
    /** Says that work has ended in this process. */
    outdate: Effect.sync(() => {
      generation += 1
    }),
    isCurrent: (found: Found) => found.generation === generation
  }
})

const given = (step: Step, token: AcquiredToken, reason: string): Verdict => ({
  step,
  answer: "token",
  reason,
  token,
  inputs: {}
})

const failedBefore = (reason: string, retryAfterMs: number): Verdict => ({
  step: "dedup",
  answer: "denied",
  reason: `the same request has just failed: ${reason}`,
  retryAfterMs,
  inputs: {}
})
