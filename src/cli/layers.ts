/** The layers of the configured program, from its settings up. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import * as Broker from "../Broker.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { Settings } from "../config/Settings.ts"
import { Renewer } from "../pool/Renewer.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import * as Sqlite from "../store/Sqlite.ts"
import { Vault } from "../store/Vault.ts"
import { OpenAiClient } from "../upstream/OpenAiClient.ts"
import { seeded, Upstream, warpClient } from "./Upstream.ts"

export const settings = Settings.layer.pipe(Layer.provideMerge(NodeServices.layer))

/**
 * The database and the key to its secrets, in the data folder. The sandbox has a database of its own: its tokens mean
 * nothing to a real upstream, and a real one's secrets are not for a sandbox.
 */
const durable = Layer.unwrap(
  Effect.map(Settings, ({ dataFolder, masterKey, usesSandbox }) =>
    (masterKey === undefined
      ? Vault.layerFile(join(dataFolder, "master.key"))
      : Vault.layerKey(masterKey, "WEIRGATE_MASTER_KEY")
    ).pipe(Layer.provideMerge(Sqlite.layer(join(dataFolder, usesSandbox ? "sandbox.db" : "weirgate.db"))))
  )
)

/** What is stored, to look at. Asks no upstream: nothing here is ever lent, so nothing is renewed. */
export const records = Layer.unwrap(
  Effect.map(Settings, ({ acquisition, pool }) =>
    Layer.mergeAll(RateLimiter.layerWith(acquisition), TokenPool.layerWith(pool))
  )
).pipe(Layer.provide(Renewer.layerNone), Layer.provideMerge(durable), Layer.provideMerge(settings))

/** Everything but the HTTP server. */
export const broker = seeded.pipe(
  Layer.provideMerge(
    Layer.unwrap(
      Effect.gen(function* () {
        const { located } = yield* Upstream
        const settings = yield* Settings
        return Broker.layerWith({ ...settings, providers: located(settings.providers) })
      })
    )
  ),
  Layer.provideMerge(Layer.mergeAll(warpClient, OpenAiClient.layer)),
  Layer.provideMerge(Upstream.layer),
  Layer.provideMerge(durable),
  Layer.provideMerge(settings)
)
