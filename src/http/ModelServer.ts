/**
 * OpenAI's paths that ask a model, answered on Node's own request and response: nearly all that a server does is this, and the
 * way through a router and its middleware would cost more than the gateway itself. All other paths are `Server`'s.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Gateway } from "../traffic/Gateway.ts"
import { type Endpoint, endpoints } from "../upstream/ModelClient.ts"
import { ClientKeys } from "../access/ClientKeys.ts"
import { Exchanges } from "../overview/Exchanges.ts"
import { Traces } from "../traffic/Traces.ts"
import { remembering } from "./Access.ts"
import { Drain } from "./Drain.ts"
import { type Around, ModelExchange } from "./modelExchange.ts"

export interface ModelServerOptions {
  /** Whether everyone on this machine may call: then no other host is answered to. */
  readonly isOpen: () => boolean
  readonly maxBodyBytes: number
}

export class ModelServer extends Context.Service<
  ModelServer,
  {
    /** Which of the endpoints it asks for, if any. */
    readonly takes: (request: IncomingMessage) => Endpoint | undefined
    /**
     * Answers it, in its own time. A client that leaves has it aborted, in whichever phase it is. Until the first content has
     * come, a failure still has its own status.
     */
    readonly serve: (endpoint: Endpoint, request: IncomingMessage, response: ServerResponse) => void
  }
>()("weirgate/http/ModelServer") {
  /** What the drain has left under way when it is released is aborted. */
  static readonly layerWith = (
    options: ModelServerOptions
  ): Layer.Layer<ModelServer, never, Gateway | Drain | ClientKeys | Exchanges | Traces> =>
    Layer.effect(
      ModelServer,
      Effect.gen(function* () {
        const drain = yield* Drain
        const random = yield* SecureRandom.SecureRandom
        // Unique among processes and restarts, without drawing anew for each request.
        const origin = (yield* random.uuidV4()).slice(0, 13)
        let ordinal = 0
        const keys = yield* ClientKeys
        const clock = yield* Clock.Clock
        const around: Around = {
          ...options,
          keys,
          judge: remembering(keys, () => clock.currentTimeMillisUnsafe()),
          gateway: yield* Gateway,
          drain,
          exchanges: yield* Exchanges,
          traces: yield* Traces,
          now: () => clock.currentTimeMillisUnsafe(),
          fork: Effect.runForkWith(yield* Effect.context<never>()),
          nextId: () => `req-${origin}-${(++ordinal).toString(36)}`
        }
        yield* Effect.addFinalizer(() => Effect.sync(() => drain.underWay.each((request) => request.end())))
        return ModelServer.of({
          takes: ({ method, url = "" }) => {
            if (method !== "POST") return undefined
            const query = url.indexOf("?")
            return endpointOf.get(query === -1 ? url : url.slice(0, query))
          },
          serve: (endpoint, request, response) => new ModelExchange(around, endpoint, request, response).begin()
        })
      })
    ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

const endpointOf = new Map(
  endpoints.flatMap((endpoint) => [`/v1${endpoint}`, `/v1${endpoint}/`].map((path) => [path, endpoint] as const))
)
