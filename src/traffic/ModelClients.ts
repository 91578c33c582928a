/** Finds the client that speaks a provider's wire. */
import { Context, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { Provider } from "../domain/Provider.ts"
import type { ModelClient } from "../upstream/ModelClient.ts"
import { OpenAiClient } from "../upstream/OpenAiClient.ts"
import type { WarpClient } from "../upstream/WarpClient.ts"
import * as WarpModel from "../upstream/WarpModel.ts"

export class ModelClients extends Context.Service<
  ModelClients,
  {
    /** The same client for the same provider, as long as its description is the same object. */
    readonly of: (provider: Provider) => ModelClient
  }
>()("weirgate/traffic/ModelClients") {
  static readonly layer: Layer.Layer<ModelClients, never, OpenAiClient | WarpClient> = Layer.effect(
    ModelClients,
    Effect.gen(function* () {
      const openai = yield* OpenAiClient
      const warp = yield* WarpModel.make
      const made = new WeakMap<Provider, ModelClient>()
      return ModelClients.of({
        of: (provider) => {
          const known = made.get(provider)
          if (known !== undefined) return known
          const client = provider.kind === "warp" ? warp : openai.of(provider)
          made.set(provider, client)
          return client
        }
      })
    })
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}
