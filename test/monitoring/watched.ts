/** Processes that watch over a store that they share, and a webhook's receiver that answers as it is told. */
import { Clock, Context, Effect, Layer, Metric, Redacted, Scope } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { RateLimiter, type RateLimiterOptions } from "../../src/acquisition/RateLimiter.ts"
import { Alerts, type AlertsOptions } from "../../src/monitoring/Alerts.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Governor } from "../../src/traffic/Governor.ts"
import { world as poolWorld } from "../pool/pools.ts"

export interface Received {
  /** Epoch milliseconds. */
  readonly at: number
  readonly body: string
  readonly signature: string
  // Tests look into what was sent; what is not there fails the assertion.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

export type Answer = number | "nothing" | "broken" | "defect"

/** Takes the nth try for what the nth answer says, and all after them for the last. */
export class Receiver extends Context.Service<
  Receiver,
  { received: Array<Received>; answers: ReadonlyArray<Answer> }
>()("test/Receiver") {}

const receiving = Layer.effectContext(
  Effect.sync(() => {
    const receiver = Receiver.of({ received: [], answers: [204] })
    const client = HttpClient.make((request) =>
      Effect.gen(function* () {
        const at = yield* Clock.currentTimeMillis
        const { body } = request
        const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
        const signature = request.headers["x-weirgate-signature"] ?? ""
        receiver.received.push({ at, body: text, signature, json: JSON.parse(text) })
        const { answers, received } = receiver
        const answer = answers[Math.min(received.length, answers.length) - 1]
        if (answer === "nothing") return yield* Effect.never
        if (answer === "defect") return yield* Effect.die(new TypeError(`synthetic, about ${request.url}`))
        if (typeof answer === "number")
          return HttpClientResponse.fromWeb(request, new Response(null, { status: answer }))
        return yield* new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description: "synthetic" })
        })
      })
    )
    return Context.make(HttpClient.HttpClient, client).pipe(Context.add(Receiver, receiver))
  })
)

/** What outlives every process. */
export const world = Layer.mergeAll(poolWorld(), receiving)

export const secret = "synthetic webhook secret"
export const webhook = { url: "https://receiver.example/hook", secret: Redacted.make(secret) }

export interface ProcessOptions {
  readonly alerts?: AlertsOptions
  readonly limits?: RateLimiterOptions
}

/** A process that lives until `stop`, or until the scope closes. */
export const start = Effect.fnUntraced(function* ({ alerts = { webhook }, limits = {} }: ProcessOptions = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = Alerts.layerWith(alerts).pipe(
    Layer.provideMerge(
      Layer.mergeAll(TokenPool.layer, RateLimiter.layerWith(limits), Predictor.layer, Governor.layerWith())
    )
  )
  const context = yield* Scope.provide(Layer.build(Layer.fresh(layer)), scope)
  return {
    alerts: Context.get(context, Alerts),
    governor: Context.get(context, Governor),
    limiter: Context.get(context, RateLimiter),
    pool: Context.get(context, TokenPool),
    predictor: Context.get(context, Predictor),
    stop: Scope.close(scope, yield* Effect.exit(Effect.void))
  }
})
export type Process = Effect.Success<ReturnType<typeof start>>

/** One call at a provider, from begin to end. */
export const call = ({ governor }: Process, provider: string, outcome: "Served" | "Failed") =>
  Effect.scoped(
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const target = { provider, model: "m" }
      const slot = yield* governor.slot({
        targets: [target],
        client: "test",
        priority: 5,
        since: now,
        until: now + 60_000,
        tokens: 1
      })
      slot.sent()
      slot.settle(
        outcome === "Served" ? { _tag: outcome, tokens: undefined } : { _tag: outcome, retryAfter: undefined }
      )
    })
  )

/** The values of a metric by its labels, such as `rule=provider_down`. */
export const metric = (id: string) =>
  Effect.map(Metric.snapshot, (all) =>
    Object.fromEntries(
      all.flatMap((one) => {
        if (one.id !== id || (one.type !== "Counter" && one.type !== "Gauge")) return []
        const labels = Object.entries(one.attributes ?? {}).map(([name, value]) => `${name}=${String(value)}`)
        const value = one.type === "Counter" ? one.state.count : one.state.value
        return [[labels.toSorted().join(" "), Number(value)]]
      })
    )
  )
