/** What the drive tells of itself: how requests end, never what they are about. */
import { Cause, Effect, Exit, Metric, Option } from "effect"
import { fromZero } from "../domain/zero.ts"

type Call = "list" | "download"
type Source = "realtime" | "cache" | "none"
type Result = "ok" | "unknown" | "no_token" | "failed" | "interrupted"

const requests = Metric.counter("weirgate_drive_requests_total", {
  description: "Requests for listings and download addresses, by where the answer came from and how they ended",
  incremental: true
})

/** One for each call, source and result. */
const counters = new Map<string, Metric.Counter<number>>()
const counterOf = (call: Call, source: Source, result: Result) => {
  const key = `${call} ${source} ${result}`
  let counter = counters.get(key)
  if (counter === undefined) counters.set(key, (counter = Metric.withAttributes(requests, { call, source, result })))
  return counter
}

/** Those that there can be: what has no answer has no source. */
export const begun: Effect.Effect<void> = Effect.suspend(() =>
  fromZero(
    (["list", "download"] as const).flatMap((call) => [
      ...(["realtime", "cache"] as const).map((source) => counterOf(call, source, "ok")),
      ...(["unknown", "no_token", "failed", "interrupted"] as const).map((result) => counterOf(call, "none", result))
    ])
  )
)

/** Counts how the request ends; `sourceOf` tells where its answer came from. */
export const counted =
  <A>(call: Call, sourceOf: (answer: A) => Source) =>
  <E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.onExit(effect, (exit) =>
      Metric.update(
        Exit.isSuccess(exit)
          ? counterOf(call, sourceOf(exit.value), "ok")
          : counterOf(call, "none", resultOf(exit.cause)),
        1
      )
    )

const resultOf = (cause: Cause.Cause<{ readonly _tag: string }>): Result => {
  switch (Option.getOrUndefined(Cause.findErrorOption(cause))?._tag) {
    case undefined:
      return Cause.hasInterrupts(cause) ? "interrupted" : "failed"
    case "PathUnknown":
      return "unknown"
    case "NoTokenUsable":
      return "no_token"
    default:
      return "failed"
  }
}
