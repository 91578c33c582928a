/** One check of one token: asks, renews once after a 401, and tells the pool what it means. */
import { Clock, Effect } from "effect"
import type { Redacted, Scope } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import { UpstreamUnavailable } from "../domain/Failure.ts"
import type { TokenId } from "../domain/Token.ts"
import { outcomeOf } from "../pool/outcomeOf.ts"
import type { Examination, TokenPool } from "../pool/TokenPool.ts"
import type { Outcome, TokenRecord } from "../pool/tokenState.ts"
import type { Check, CheckAnswer } from "./TokenChecker.ts"

export interface Checked {
  readonly examination: Examination
  readonly ok: boolean
  readonly detail: string | undefined
  /** In milliseconds. */
  readonly took: number
}

/** Of one question; the clients give up sooner. */
const longest = "30 seconds"
/** Characters of what is told of a failure. */
const longestDetail = 300

export const make = (pool: TokenPool["Service"]) => {
  const recordOf = (id: TokenId): Effect.Effect<TokenRecord | undefined> =>
    Effect.orElseSucceed(pool.get(id), () => undefined)

  const ask = (check: Check, { id, provider }: Examination, access: Redacted.Redacted) =>
    check({ id, access }).pipe(
      Effect.timeoutOrElse({
        duration: longest,
        orElse: () =>
          Effect.fail(new UpstreamUnavailable({ provider, reason: "timeout", detail: "it did not answer the check" }))
      })
    )

  const asked = (
    check: Check,
    examination: Examination,
    access: Redacted.Redacted
  ): Effect.Effect<CheckAnswer, CallFailure> =>
    Effect.catchTag(ask(check, examination, access), "AccessRejected", (rejected) =>
      Effect.flatMap(examination.renew, (renewed) =>
        renewed === undefined ? Effect.fail(rejected) : ask(check, examination, renewed)
      )
    )

  /** A token that was refused meanwhile is not brought back by what was true before. */
  const noteQuota = Effect.fnUntraced(function* (id: TokenId, answer: CheckAnswer, before: TokenRecord | undefined) {
    if (typeof answer !== "object") return
    const after = yield* recordOf(id)
    if (after?.lastFailure?.at === before?.lastFailure?.at) yield* pool.noteQuota(id, answer)
  })

  /** The reason that a person can do something about, when the token has died of it. */
  const explained = (id: TokenId, reason: string) =>
    Effect.map(recordOf(id), (record) =>
      (record?.state._tag === "dead" ? record.state.why : reason).slice(0, longestDetail)
    )

  const concluded = Effect.fnUntraced(function* (examination: Examination, outcome: Outcome, reason: string) {
    const detail = yield* explained(examination.id, reason)
    yield* examination.conclude(outcome, detail)
    return { ok: false, detail }
  })

  /** Undefined when there is nothing to be told of it: another checks the token, or its upstream does not say. */
  return Effect.fnUntraced(function* (
    id: TokenId,
    check: Check,
    seen: { readonly at: number | undefined } | undefined
  ): Effect.fn.Return<Checked | undefined, never, Scope.Scope> {
    const startedAt = yield* Clock.currentTimeMillis
    const examination = yield* pool.examine(id, seen)
    if (examination === undefined) return undefined
    const before = yield* recordOf(id)
    const { access } = examination
    const result =
      access === undefined
        ? yield* concluded(examination, { _tag: "UpstreamFault" }, "its access secret could not be renewed")
        : yield* asked(check, examination, access).pipe(
            Effect.flatMap((answer) =>
              answer === "unknown"
                ? Effect.undefined
                : noteQuota(id, answer, before).pipe(
                    Effect.andThen(examination.conclude({ _tag: "Succeeded", latencyMs: 0 })),
                    Effect.as({ ok: true, detail: undefined })
                  )
            ),
            Effect.catch((failure) =>
              // What is wrong with the question says nothing of the token.
              failure._tag === "RequestRejected"
                ? Effect.as(Effect.logDebug(`a check was no question to ask: ${failure.message}`), undefined)
                : concluded(examination, outcomeOf(failure), failure.message)
            )
          )
    return result && { ...result, examination, took: (yield* Clock.currentTimeMillis) - startedAt }
  })
}
