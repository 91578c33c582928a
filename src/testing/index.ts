/** What tests of a program that composes the layers import: nothing here needs a wire, a file or real time. */
import { Layer } from "effect"
import { Store } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import { ScriptedOpenAi } from "./ScriptedOpenAi.ts"
import { ScriptedWarp, type ScriptedWarpOptions } from "./ScriptedWarp.ts"
import { ScriptedWopan, type ScriptedWopanOptions } from "./ScriptedWopan.ts"

export { ScriptedOpenAi } from "./ScriptedOpenAi.ts"
export { type ScriptedCall, type ScriptedFailures, ScriptedWarp, type ScriptedWarpOptions } from "./ScriptedWarp.ts"
export {
  type ScriptedFolder,
  ScriptedWopan,
  type ScriptedWopanAsked,
  type ScriptedWopanCall,
  type ScriptedWopanFailures,
  type ScriptedWopanOptions
} from "./ScriptedWopan.ts"

/** A memory store, a vault with a key of its own, and scripted upstreams: all that the broker's layers stand on. */
export const layer = (options: ScriptedWarpOptions & { readonly wopan?: ScriptedWopanOptions } = {}) =>
  Layer.mergeAll(
    Store.layerMemory,
    Vault.layerEphemeral,
    ScriptedWarp.layer(options),
    ScriptedOpenAi.layer,
    ScriptedWopan.layer(options.wopan)
  )
