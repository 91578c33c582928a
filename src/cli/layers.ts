/** The layers of the configured program, from its settings up. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import * as Broker from "../Broker.ts"
import { Audit } from "../access/Audit.ts"
import { nobody } from "../access/Client.ts"
import { ClientKeys, type ConfiguredKey } from "../access/ClientKeys.ts"
import { ConsoleAccount } from "../access/ConsoleAccount.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { Settings } from "../config/Settings.ts"
import { Renewer } from "../pool/Renewer.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import * as Sqlite from "../store/Sqlite.ts"
import { Vault } from "../store/Vault.ts"
import { OpenAiClient } from "../upstream/OpenAiClient.ts"
import { seeded, Upstream, warpClient, wopanClient } from "./Upstream.ts"

export const settings = Settings.layer.pipe(Layer.provideMerge(NodeServices.layer))

/**
 * In the data folder. The sandbox has a database of its own: its tokens mean nothing to a real upstream, and a real one's
 * secrets are not for a sandbox.
 */
const database = Layer.unwrap(
  Effect.map(Settings, ({ dataFolder, usesSandbox }) =>
    Sqlite.layer(join(dataFolder, usesSandbox ? "sandbox.db" : "weirgate.db"))
  )
)

/** The database and the key to its secrets. */
const durable = Layer.unwrap(
  Effect.map(Settings, ({ dataFolder, masterKey }) =>
    masterKey === undefined
      ? Vault.layerFile(join(dataFolder, "master.key"))
      : Vault.layerKey(masterKey, "WEIRGATE_MASTER_KEY")
  )
).pipe(Layer.provideMerge(database))

/** The keys of the configuration and whose they are. */
export const configuredKeys = ({
  apiKeys,
  clients
}: Pick<Settings["Service"]["server"], "apiKeys" | "clients">): ReadonlyArray<ConfiguredKey> =>
  apiKeys.map((key, i) => ({ key, client: clients[i] ?? { ...nobody, name: `key-${i + 1}` } }))

/** Who may do what, for commands beside a server that may be running. No secret is sealed here: no master key is needed. */
export const access = Layer.unwrap(
  Effect.map(Settings, ({ server }) => {
    const configured = configuredKeys(server)
    return Layer.mergeAll(ClientKeys.layerWith({ configured: () => configured }), ConsoleAccount.layer, Audit.layer)
  })
).pipe(Layer.provideMerge(database), Layer.provideMerge(settings))

/** What is stored, to look at. Asks no upstream: nothing here is ever lent, so nothing is renewed. */
export const records = Layer.unwrap(
  Effect.map(Settings, ({ acquisition, pool }) =>
    Layer.mergeAll(RateLimiter.layerWith(acquisition), TokenPool.layerWith(pool), Audit.layer)
  )
).pipe(Layer.provide(Renewer.layerNone), Layer.provideMerge(durable), Layer.provideMerge(settings))

/** Everything but the HTTP server. */
export const broker = seeded.pipe(
  Layer.provideMerge(
    Layer.unwrap(
      Effect.gen(function* () {
        const { located } = yield* Upstream
        const settings = yield* Settings
        return Broker.layerWithRenewer({ ...settings, providers: located(settings.providers) })
      })
    )
  ),
  Layer.provideMerge(Renewer.layer),
  Layer.provideMerge(Layer.mergeAll(warpClient, wopanClient, OpenAiClient.layer)),
  Layer.provideMerge(Upstream.layer),
  Layer.provideMerge(durable),
  Layer.provideMerge(settings)
)
