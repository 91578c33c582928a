/** Runs the server until it is told to stop. */
import { Effect, Layer } from "effect"
import { Settings } from "../config/Settings.ts"
import * as Server from "../http/Server.ts"
import { broker } from "./layers.ts"
import { Upstream } from "./Upstream.ts"

const announced = Layer.effectDiscard(
  Effect.gen(function* () {
    const { dataFolder } = yield* Settings
    const { sandbox, warp } = yield* Upstream
    const url = yield* Server.address
    yield* Effect.logInfo(`Weirgate listens on ${url}`)
    yield* Effect.logInfo(
      sandbox === undefined
        ? `The upstream is ${warp.baseUrl}; making tokens there is switched ${warp.minting ? "on" : "off"}`
        : `No upstream is configured: a sandbox at ${sandbox} plays Warp`
    )
    yield* Effect.logInfo(`Its memory is in ${dataFolder}; documentation at ${url}/docs`)
  })
)

export const serve = announced.pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(Settings, ({ server }) => Server.layer(server)))),
  Layer.provideMerge(broker)
)
