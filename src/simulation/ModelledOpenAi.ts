/** OpenAI-compatible upstreams as a model of time and limits: they bear what the scenario says, and take as long, on the `Clock`. */
import { Clock, Duration, Effect, Layer, Random } from "effect"
import { type CallFailure, Throttled, UpstreamUnavailable } from "../domain/Failure.ts"
import * as CallLimiter from "../sandbox/openai/callLimits.ts"
import { serviceTime } from "../sandbox/openai/serviceTime.ts"
import { endpoints, type ModelCall, type ModelClient, type WholeAnswer } from "../upstream/ModelClient.ts"
import { OpenAiClient } from "../upstream/OpenAiClient.ts"
import type { FaultKind, Scenario, Upstream } from "./scenario.ts"

/** What has come of the calls of one upstream. */
export interface CallCounts {
  calls: number
  served: number
  throttled: number
  failed: number
}

/** `counts` are filled in as it goes, by provider; `startedAt` is when the scenario's faults count from. */
export const layer = (
  scenario: Scenario,
  counts: ReadonlyMap<string, CallCounts>,
  startedAt: number
): Layer.Layer<OpenAiClient> =>
  Layer.sync(OpenAiClient, () =>
    OpenAiClient.of({
      of: ({ name }) => {
        const upstream = scenario.upstreams.get(name)
        const counted = counts.get(name)
        if (upstream === undefined || counted === undefined) throw new Error(`no upstream is modelled for ${name}`)
        return clientOf(upstream, scenario, counted, startedAt)
      }
    })
  )

/** The service time of a slow one is so many times as long. */
const slowness = 10

const clientOf = (
  upstream: Upstream,
  { jitter, transit }: Scenario,
  counted: CallCounts,
  startedAt: number
): ModelClient => {
  const limiter = CallLimiter.make()
  const { name } = upstream

  const troubleAt = (now: number): FaultKind | undefined =>
    upstream.faults.find(({ from, to }) => now - startedAt >= from && now - startedAt < to)?.kind

  /** Its work on a call that it has let in. */
  const work = Effect.fnUntraced(function* (call: ModelCall, trouble: FaultKind | undefined) {
    if (trouble === "silence") return yield* Effect.never
    const tokens = tokensOf(call)
    const { first, rest } = serviceTime(upstream.service, tokens)
    const factor = (yield* Random.nextBetween(1 - jitter, 1 + jitter)) * (trouble === "slow" ? slowness : 1)
    yield* Effect.sleep(Math.round((first + rest) * factor))
    return {
      _tag: "Whole",
      contentType: "application/json",
      body: nothing,
      usage: tokens
    } satisfies WholeAnswer
  })

  const arrive = Effect.fnUntraced(function* (call: ModelCall) {
    yield* Effect.sleep(transit)
    const now = yield* Clock.currentTimeMillis
    counted.calls++
    const trouble = troubleAt(now)
    if (trouble === "reset") return yield* failed(counted, unavailable(name, "connection"))
    if (trouble === "outage") return yield* failed(counted, unavailable(name, "status"))
    if (trouble === "throttle" || limiter.arrive(now, upstream.limits) !== undefined) {
      counted.throttled++
      yield* Effect.sleep(transit)
      return yield* new Throttled({ provider: name, signature: "modelled" })
    }
    const answer = yield* Effect.ensuring(
      work(call, trouble),
      Effect.sync(() => limiter.leave())
    )
    counted.served++
    yield* Effect.sleep(transit)
    return answer
  })

  const call = (call: ModelCall): Effect.Effect<WholeAnswer, CallFailure> =>
    Effect.suspend(() => {
      call.sent()
      const patience = Math.min(Duration.toMillis(call.timeouts.headers), Duration.toMillis(call.timeouts.total))
      return Effect.clockWith((clock) =>
        Effect.timeoutOrElse(
          Effect.onInterrupt(arrive(call), () => Effect.sync(() => void counted.failed++)),
          {
            duration: Math.max(0, Math.min(patience, call.deadline - clock.currentTimeMillisUnsafe())),
            // Counted when it was broken off.
            orElse: () => Effect.fail(unavailable(name, "timeout"))
          }
        )
      )
    })

  return { endpoints: new Set(endpoints), call }
}

const failed = (counted: CallCounts, failure: UpstreamUnavailable) =>
  Effect.suspend(() => {
    counted.failed++
    return Effect.fail(failure)
  })

const unavailable = (provider: string, reason: UpstreamUnavailable["reason"]) =>
  new UpstreamUnavailable({
    provider,
    reason,
    ...(reason === "status" && { status: 503 }),
    detail: "the scenario says so"
  })

const bytesPerToken = 4
const nothing = new Uint8Array(0)

/** The question's by the governor's own rule of thumb; the answer is as long as was asked for. */
const tokensOf = ({ body }: ModelCall) => {
  const most = body.json["max_tokens"]
  return { prompt: Math.ceil(body.bytes.length / bytesPerToken), completion: typeof most === "number" ? most : 0 }
}

/** A request whose tokens are these. */
export const bodyOf = (tokens: { readonly prompt: number; readonly completion: number }) => {
  const length = tokens.prompt * bytesPerToken
  if (length > blank.length) blank = new Uint8Array(2 * length)
  return { bytes: blank.subarray(0, length), json: { messages: [], max_tokens: tokens.completion } }
}

/** What all questions are made of: only their length counts. */
let blank = new Uint8Array(64 * 1024)
