/** What the server offers beside models: keys and the console's account, the token manager, the drive and the health checks. */
import { Effect, Layer } from "effect"
import { Audit } from "../access/Audit.ts"
import { ClientKeys, type ConfiguredKey } from "../access/ClientKeys.ts"
import { ConsoleAccount } from "../access/ConsoleAccount.ts"
import { Settings } from "../config/Settings.ts"
import { wopanProvider } from "../domain/Provider.ts"
import { Drive } from "../drive/Drive.ts"
import { HealthChecks } from "../health/HealthChecks.ts"
import { TokenChecker } from "../health/TokenChecker.ts"
import { TokenManager } from "../manager/TokenManager.ts"
import { Alerts } from "../monitoring/Alerts.ts"
import { Catalog } from "../traffic/Catalog.ts"

/** `configured` is asked anew whenever it may have changed. */
export const services = (configured: () => ReadonlyArray<ConfiguredKey>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { acquisition, alerts, drive, health, pool } = yield* Settings
      const catalog = yield* Catalog
      const providers = () => [...catalog.current().providers.values()]
      return Layer.mergeAll(
        Alerts.layerWith({ alertAbove: acquisition.alertAbove, webhook: alerts.webhook }),
        Audit.layer,
        ClientKeys.layerWith({ configured }),
        ConsoleAccount.layer,
        Drive.layerWith(drive),
        HealthChecks.layerWith(health).pipe(Layer.provide(TokenChecker.layerWith({ providers }))),
        TokenManager.layerWith({
          providers: () => [wopanProvider, ...providers().map(({ name }) => name)],
          ...(pool.leaseFor && { leaseFor: pool.leaseFor })
        })
      )
    })
  )
