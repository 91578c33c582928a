/** Takes a token, makes the call with it, and says how that ended. */
import { Cause, Effect, Exit, Metric, Option } from "effect"
import { hasBeenReported, type TokenCalls } from "./calls.ts"
import { clean } from "./refusal.ts"
import { type Ending, endingOf, type Verdict } from "./outcome.ts"
import type { LentToken, Outcome, Strategy, Which } from "./shapes.ts"
import type { WeirgateError } from "./WeirgateError.ts"

export interface LendingOptions<in E> {
  /** What a failure of `use` says of the token; undefined leaves that to the failure itself (`TokenFault`), else it is `failed`. */
  readonly classify?: ((error: E) => Verdict | undefined) | undefined
  /** After which outcomes the call is made again with another token. Default: `quota_exhausted`, `rate_limited`, `unauthorized`. */
  readonly retryWithAnotherToken?: ReadonlyArray<Outcome> | false | undefined
  /** How many tokens a call may be made with in all. Default: 3. */
  readonly tokens?: number | undefined
}

/**
 * Runs `use` with a token and reports by itself how it ended.
 *
 * Success is reported as `succeeded`, a failure as what `classify` or the failure itself says (else `failed`), a defect as
 * `failed`. Interruption says nothing of the token: the lease is given back as `abandoned`, without waiting. Once `use` has
 * ended the report is made even if the caller is interrupted then; it takes at most `reportWithin`, in which it is tried
 * again until it lands. A report that does not land changes nothing for the caller: it is logged at debug and counted in
 * `weirgate_client_reports_total`.
 *
 * What another token may mend is tried with the next one that the server lends, once it has been told of the one before.
 * When it lends none, `use`'s own failure stands. Only if there was no first token does this fail with a `WeirgateError` of
 * its own.
 */
export type WithToken = <A, E, R>(
  asked: Strategy | Which,
  use: (token: LentToken) => Effect.Effect<A, E, R>,
  options?: LendingOptions<E>
) => Effect.Effect<A, E | WeirgateError, R>

/** `report` keeps to a time of its own. */
export const make = ({ get }: Pick<TokenCalls, "get">, report: TokenCalls["report"]): WithToken => {
  /** True when the server knows. */
  const tell = ({ lease, provider, token }: LentToken, { error, outcome, retryAfter }: Ending) => {
    const said = error === undefined ? undefined : clean(error, [token])
    return report({
      lease,
      provider,
      success: outcome === "succeeded",
      outcome,
      ...(retryAfter !== undefined && { retry_after: retryAfter }),
      ...(said !== undefined && { error: said })
    }).pipe(
      Effect.as(true),
      Effect.catchIf(
        ({ reason }) => hasBeenReported(reason),
        () => Effect.succeed(true)
      ),
      // Not even a defect of ours may cost the caller a good result.
      Effect.catchCause((cause) => {
        const why = Option.match(Cause.findErrorOption(cause), {
          onNone: () => "it broke",
          onSome: ({ code, message }) => `${code}: ${message}`
        })
        return Effect.as(Effect.logDebug("the report of a call did not land", { outcome, why }), false)
      }),
      Effect.tap((landed) => Metric.update(landed ? taken : lost, 1))
    )
  }

  return <A, E, R>(
    asked: Strategy | Which,
    use: (token: LentToken) => Effect.Effect<A, E, R>,
    { classify, retryWithAnotherToken = mendedByAnother, tokens = 3 }: LendingOptions<E> = {}
  ) => {
    const mends = (outcome: Outcome) => retryWithAnotherToken !== false && retryWithAnotherToken.includes(outcome)
    const once = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const lent = yield* restore(get(asked))
        const exit = yield* Effect.exit(restore(Effect.suspend(() => use(lent))))
        const ending = endingOf(exit, classify)
        // Who has left is not kept for what says nothing.
        if (ending.outcome === "abandoned") {
          yield* Effect.forkDetach(tell(lent, ending), { startImmediately: true })
          return { exit, again: false }
        }
        const landed = yield* tell(lent, ending)
        return { exit, again: landed && Exit.isFailure(exit) && mends(ending.outcome) }
      })
    )
    return Effect.gen(function* () {
      let last = yield* once
      for (let tried = 1; last.again && tried < tokens; tried++) {
        const next = yield* Effect.result(once)
        if (next._tag === "Failure") break
        last = next.success
      }
      return yield* last.exit
    })
  }
}

const mendedByAnother: ReadonlyArray<Outcome> = ["quota_exhausted", "rate_limited", "unauthorized"]

const reportsTotal = Metric.counter("weirgate_client_reports_total", {
  description: "Reports of withToken, by whether the server took them",
  incremental: true
})
const taken = Metric.withAttributes(reportsTotal, { result: "taken" })
const lost = Metric.withAttributes(reportsTotal, { result: "lost" })
