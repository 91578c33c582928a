/** Counts every call that reaches the sandbox, by provider, kind and status, and how many are still at work. */
import { Cause, Context, Effect, Exit, Layer } from "effect"
import type { Scope } from "effect"
import { HttpServerError } from "effect/http"
import type { HttpServerResponse } from "effect/http"

export interface CallStatistics {
  readonly total: number
  /** By the status that was answered; `none` counts calls that never got one. */
  readonly byStatus: Readonly<Record<string, number>>
  /** How many are at work now, a streamed answer until its end. */
  readonly open: number
  /** Calls whose client left before the end of the answer. */
  readonly aborted: number
}

/** A call at work. */
export interface OpenCall {
  /** Says that the sandbox itself is about to break the connection, so that the client is not taken for having left. */
  readonly breaking: Effect.Effect<void>
}

export class Statistics extends Context.Service<
  Statistics,
  {
    /** Counts the call from its arrival until its scope closes, which is when the answer has left or the client has. */
    track<E, R>(
      provider: string,
      call: string,
      handler: (open: OpenCall) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
    ): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | Scope.Scope>
    of(provider: string, call: string): Effect.Effect<CallStatistics>
    /** Starts counting anew. Calls still at work stay counted as `open` and nowhere else. */
    readonly reset: Effect.Effect<void>
  }
>()("weirgate/sandbox/Statistics") {
  static readonly layer = Layer.sync(Statistics, () => {
    // Both maps are bounded by the number of kinds of calls the routes name.
    let counted = new Map<string, Counters>()
    const open = new Map<string, number>()

    const countersOf = (key: string): Counters => {
      const known = counted.get(key)
      if (known !== undefined) return known
      const fresh: Counters = { total: 0, byStatus: {}, aborted: 0 }
      counted.set(key, fresh)
      return fresh
    }

    return Statistics.of({
      track: (provider, call, handler) =>
        Effect.suspend(() => {
          const key = `${provider}/${call}`
          const counters = countersOf(key)
          let broken = false
          counters.total++
          open.set(key, (open.get(key) ?? 0) + 1)
          const ended = Effect.addFinalizer((exit) =>
            Effect.sync(() => {
              open.set(key, (open.get(key) ?? 0) - 1)
              if (!broken && clientLeft(exit)) counters.aborted++
            })
          )
          const answer = handler({ breaking: Effect.sync(() => (broken = true)) }).pipe(
            Effect.catchCause((cause) =>
              Cause.hasInterrupts(cause)
                ? Effect.failCause(cause as Cause.Cause<never>)
                : Effect.flatMap(HttpServerError.causeResponse(cause), ([response]) => answered(key, cause, response))
            ),
            Effect.onExit((exit) =>
              Effect.sync(() => count(counters, Exit.isSuccess(exit) ? exit.value.status : "none"))
            )
          )
          return Effect.andThen(ended, answer)
        }),
      of: (provider, call) =>
        Effect.sync(() => {
          const key = `${provider}/${call}`
          const counters = countersOf(key)
          return { ...counters, byStatus: { ...counters.byStatus }, open: open.get(key) ?? 0 }
        }),
      reset: Effect.sync(() => {
        counted = new Map()
      })
    })
  })
}

interface Counters {
  total: number
  byStatus: Record<string, number>
  aborted: number
}

const count = (counters: Counters, status: number | string): void => {
  counters.byStatus[status] = (counters.byStatus[status] ?? 0) + 1
}

/** A request that could not be read is its sender's concern; anything else that fails here is the sandbox's own. */
const answered = <A extends { readonly status: number }>(key: string, cause: Cause.Cause<unknown>, response: A) =>
  Effect.as(
    response.status < 500
      ? Effect.void
      : Effect.annotateLogs(Effect.logError("A call failed in the sandbox", cause), { service: "Sandbox", call: key }),
    response
  )

const clientLeft = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) => reason._tag === "Interrupt" && reason.annotations.has(HttpServerError.ClientAbort.key)
  )
