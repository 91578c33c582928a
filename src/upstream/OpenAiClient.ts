/** Calls models at upstreams that speak OpenAI's wire, over connections that the whole process shares. Retries nothing. */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { OpenAiProvider, Timeouts } from "../domain/Provider.ts"
import { type Answer, type Endpoint, endpoints, type ModelClient } from "./ModelClient.ts"
import * as CallMetrics from "./openai/callMetrics.ts"
import * as Connections from "./openai/connections.ts"
import { type Limits, limitsOf } from "./openai/deadlines.ts"
import { Exchange, type Host } from "./openai/exchange.ts"
import * as Watchdog from "./openai/watchdog.ts"

export class OpenAiClient extends Context.Service<
  OpenAiClient,
  {
    /**
     * The client of one provider; connects to nothing yet. All that are made share the connections of this process, which end
     * with the layer, whatever is at work on them. Dies of a `baseUrl` that is none; the configuration has seen to that.
     *
     * `next` of a streamed answer may be interrupted and asked again: only the call's own scope gives the answer up. Of an
     * answer that nobody takes, some 64 KiB are read ahead.
     */
    readonly of: (provider: OpenAiProvider) => ModelClient
  }
>()("weirgate/upstream/OpenAiClient") {
  static readonly layer: Layer.Layer<OpenAiClient> = Layer.effect(
    OpenAiClient,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const connections = yield* Connections.make
      const watchdog = yield* Watchdog.make
      const context = yield* Effect.context<never>()
      return OpenAiClient.of({
        of: (provider) => {
          const { origin, pathname, search } = new URL(provider.baseUrl)
          const path = pathname.replace(/\/+$/, "")
          return clientOf({
            provider: provider.name,
            origin,
            pathOf: (endpoint) => path + endpoint + search,
            connections,
            watchdog,
            clock,
            metrics: CallMetrics.make(provider.name, context)
          })
        }
      })
    })
  )
}

/** Whether a provider has them all is known only when one is asked for: what it lacks is refused as a model it does not have. */
const all: ReadonlySet<Endpoint> = new Set(endpoints)

const clientOf = (host: Host): ModelClient => {
  const limits = remembered(limitsOf)
  const answered = (exchange: Exchange): Effect.Effect<Answer, CallFailure> =>
    Effect.callback((resume) => {
      exchange.start(resume)
      return Effect.sync(exchange.leave)
    })
  return {
    endpoints: all,
    // An answer in one piece is over when it is given: there is nothing that the scope would hold.
    call: (call) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const exchange = new Exchange(host, call, limits(call.timeouts))
        return call.stream
          ? Effect.andThen(Scope.addFinalizer(scope, Effect.sync(exchange.leave)), answered(exchange))
          : answered(exchange)
      }),
    begin: (call, settled) => {
      const exchange = new Exchange(host, call, limits(call.timeouts))
      exchange.start(settled)
      return exchange.leave
    }
  }
}

/** The calls of a provider all have the same timeouts. */
const remembered = (compute: (timeouts: Timeouts) => Limits) => {
  let last: Timeouts | undefined
  let limits: Limits | undefined
  return (timeouts: Timeouts): Limits => {
    if (limits === undefined || timeouts !== last) {
      last = timeouts
      limits = compute(timeouts)
    }
    return limits
  }
}
