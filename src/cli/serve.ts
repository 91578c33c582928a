/** Runs the server until it is told to stop. */
import { Effect, Layer } from "effect"
import { Audit } from "../access/Audit.ts"
import { SettingInvalid, Settings, type WarpUpstream } from "../config/Settings.ts"
import { isSandboxUrl } from "../config/baseUrl.ts"
import { offering } from "../traffic/offering.ts"
import type { Provider } from "../domain/Provider.ts"
import * as Server from "../http/Server.ts"
import { told as consolePassword } from "./consolePassword.ts"
import { broker, configuredKeys } from "./layers.ts"
import * as Reload from "./reload.ts"
import { selfTest } from "./selfTest.ts"
import { services } from "./services.ts"
import { Upstream } from "./Upstream.ts"

const announced = Layer.effectDiscard(
  Effect.gen(function* () {
    const { dataFolder, providers } = yield* Settings
    const { sandbox, warp, wopan } = yield* Upstream
    const passwordIn = yield* consolePassword
    const url = yield* Server.address
    yield* Effect.logInfo(`Weirgate listens on ${url}`)
    for (const provider of providers) yield* Effect.logInfo(describe(provider, warp, sandbox))
    if (wopan !== undefined) {
      yield* Effect.logInfo(
        isAt(wopan.baseUrl, sandbox)
          ? `No drive is configured: the sandbox plays WoPan`
          : `The drive is ${wopan.baseUrl}`
      )
    }
    yield* Effect.logInfo(`Its memory is in ${dataFolder}; documentation at ${url}/docs`)
    yield* Effect.logInfo(
      passwordIn === undefined
        ? `The console is ${url}/; its password is the one that was set, and \`weirgate admin password\` sets another`
        : `The console is ${url}/; its password is in ${passwordIn}: read it, then delete the file`
    )
    for (const { detail, ok, service } of yield* selfTest(url)) {
      yield* (ok ? Effect.logInfo : Effect.logWarning)(`Self-test ${ok ? "✓" : "✗"} ${service}: ${detail}`)
    }
  })
)

const isAt = (baseUrl: string, sandbox: string | undefined) => sandbox !== undefined && baseUrl.startsWith(sandbox)

const describe = (provider: Provider, warp: WarpUpstream | undefined, sandbox: string | undefined) => {
  if (provider.kind === "openai") {
    const keys = provider.keys.length === 1 ? "1 key" : `${provider.keys.length} keys`
    return `Provider ${provider.name} is ${provider.baseUrl}, with ${keys}`
  }
  return warp === undefined || warp.baseUrl === sandbox
    ? `No upstream is configured: a sandbox at ${sandbox} plays Warp`
    : `Provider ${provider.name} is ${warp.baseUrl}; making tokens there is switched ${warp.minting ? "on" : "off"}`
}

/** Requests under way end as they have begun; all that come after them are served by the new settings. */
const reloading = (taken: (settings: Settings["Service"]) => void) =>
  Reload.layerWith((settings) =>
    Effect.gen(function* () {
      const { located } = yield* Upstream
      const providers = located(settings.providers)
      const lost = providers.findIndex((provider) => provider.kind === "openai" && isSandboxUrl(provider.baseUrl))
      if (lost >= 0) {
        const reason =
          "no sandbox runs beside this server; it starts one when it finds such a provider at its own start"
        return yield* new SettingInvalid({ source: settings.file ?? "", field: `providers[${lost}].baseUrl`, reason })
      }
      yield* offering(providers, settings.routes)
      taken(settings)
      const entry = {
        actor: "weirgate",
        action: "config.reload",
        subject: settings.file ?? "",
        result: "done"
      } as const
      yield* Audit.use((audit) => audit.record(entry))
    })
  )

export const serve = Layer.unwrap(
  Effect.map(Settings, (settings) => {
    let keys = configuredKeys(settings.server)
    return announced.pipe(
      Layer.provideMerge(reloading((next) => void (keys = configuredKeys(next.server)))),
      Layer.provideMerge(Server.layer(settings.server)),
      // Whoever finds the server ready finds it.
      Layer.provideMerge(Layer.effectDiscard(consolePassword)),
      Layer.provideMerge(services(() => keys))
    )
  })
).pipe(Layer.provideMerge(broker))
