/** Counts and logs how calls to an upstream end. What is logged of a failure is told in our words, which hold neither a secret nor what was asked. */
import { Cause, Effect, Exit, Metric, Option } from "effect"
import { ownWords } from "../domain/ownWords.ts"

const calls = Metric.counter("weirgate_upstream_calls_total", {
  description: "Calls to an upstream, by kind and by how they ended.",
  incremental: true
})

/** `Call` names the kinds of call, of which there are few. */
export interface CallObserver<Call extends string> {
  /** Of a call that gives its whole answer at once. */
  call(call: Call): <A, E extends Failure, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ended(call: Call, exit: Exit.Exit<unknown, Failure>): Effect.Effect<void>
}

interface Failure {
  readonly _tag: string
  readonly message: string
}

/** `service` names the client in the log. */
export const callObserver = <Call extends string>(service: string, provider: string): CallObserver<Call> => {
  // One for each kind and result, of which there are few.
  const counters = new Map<string, Metric.Counter<number>>()
  const counterOf = (call: Call, result: string) => {
    const key = `${call} ${result}`
    const known = counters.get(key)
    if (known !== undefined) return known
    const counter = Metric.withAttributes(calls, { provider, call, result })
    counters.set(key, counter)
    return counter
  }

  const ended: CallObserver<Call>["ended"] = (call, exit) =>
    Effect.suspend(() => {
      const failure = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
      const result = Exit.isSuccess(exit)
        ? "ok"
        : (failure?._tag ?? (Exit.hasInterrupts(exit) ? "interrupted" : "defect"))
      const logged =
        failure === undefined
          ? Effect.logDebug(`${call}: ${result}`)
          : Effect.logInfo(`${call} failed: ${ownWords(failure)}`).pipe(Effect.annotateLogs({ failure: failure._tag }))
      return Metric.update(counterOf(call, result), 1).pipe(
        Effect.andThen(logged),
        Effect.annotateLogs({ service, provider, call })
      )
    })

  return { ended, call: (call) => (effect) => Effect.onExit(effect, (exit) => ended(call, exit)) }
}
