/** Asks the upstream, beside the traffic, how much quota its tokens have left; its word outranks every guess. */
import { Cause, Clock, Context, Duration, Effect, Layer, Queue } from "effect"
import type { Redacted } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import type { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { WarpClient } from "../upstream/WarpClient.ts"

interface Question {
  readonly id: TokenId
  readonly access: Redacted.Redacted
}

export class QuotaWatch extends Context.Service<
  QuotaWatch,
  {
    /** Has the token's quota asked for soon, because it has just been refused. Never waits. */
    refused(token: Question): Effect.Effect<void>
    /** Has the token's quota asked for, unless that was done in the last ten minutes. Never waits. */
    served(token: Question): Effect.Effect<void>
  }
>()("weirgate/traffic/QuotaWatch") {
  static readonly layer = Layer.effect(
    QuotaWatch,
    Effect.gen(function* () {
      const warp = yield* WarpClient
      const pool = yield* TokenPool
      const predictor = yield* Predictor
      const questions = yield* Queue.sliding<Question>(mostQuestions)
      const asked = new Map<TokenId, { readonly at: number }>()

      const ask = Effect.fnUntraced(
        function* ({ id, access }: Question) {
          const question = asked.get(id)
          const report = yield* warp.quota({ id, access })
          // Asked again meanwhile, so refused meanwhile: what was true before it would bring a used-up token back.
          if (asked.get(id) !== question) return
          yield* pool.noteQuota(id, report)
          yield* predictor.noteQuota(id, report)
        },
        Effect.catchCause((cause) => Effect.logDebug("the quota is not known", Cause.pretty(cause))),
        Effect.annotateLogs({ service: "QuotaWatch" })
      )
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(questions), ask)))

      const enqueue = Effect.fnUntraced(function* (question: Question, notWithin: number) {
        const now = yield* Clock.currentTimeMillis
        if (now - (asked.get(question.id)?.at ?? Number.NEGATIVE_INFINITY) < notWithin) return
        if (asked.size >= mostRemembered) asked.clear()
        asked.set(question.id, { at: now })
        yield* Queue.offer(questions, question)
      })

      return QuotaWatch.of({
        refused: (question) => enqueue(question, 0),
        served: (question) => enqueue(question, refreshAfter)
      })
    })
  )
}

const refreshAfter = Duration.toMillis("10 minutes")
/** The oldest questions give way: a newer answer is worth more. */
const mostQuestions = 100
const mostRemembered = 10_000
