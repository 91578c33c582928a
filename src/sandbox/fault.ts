/** The faults the sandbox can be asked for, at any of its upstreams, and which calls each may strike. */
import { Effect, Schema } from "effect"
import type { Struck } from "./faultTerms.ts"
import * as OpenAi from "./openai/openAiFault.ts"
import { providerNames } from "./openai/providers.ts"
import * as Warp from "./warp/warpFault.ts"
import * as Wopan from "./wopan/wopanFault.ts"

/** Every upstream adds its own kind of fault here. */
export type Fault = Warp.WarpFault | OpenAi.OpenAiFault | Wopan.WopanFault

export const fits = (fault: Fault, call: Struck): boolean => {
  if (isWopan(fault)) return Wopan.fits(fault, call)
  if (fault.model !== undefined && fault.model !== call.model) return false
  if (isWarp(fault)) {
    return (
      call.provider === "warp" &&
      fault.call === call.call &&
      Warp.strikesOnArrival(fault) === (call.phase === "arrival")
    )
  }
  return fault.provider === call.provider && OpenAi.fits(fault, call)
}

export const isWarp = (fault: Fault): fault is Warp.WarpFault =>
  fault.provider === undefined || fault.provider === "warp"

export const isWopan = (fault: Fault): fault is Wopan.WopanFault => fault.provider === "wopan"

export const isOpenAi = (fault: Fault): fault is OpenAi.OpenAiFault => !isWarp(fault) && !isWopan(fault)

const Named = Schema.Struct({ provider: Schema.optionalKey(Schema.Literals(["warp", "wopan", ...providerNames])) })

const decodeNamed = Schema.decodeUnknownEffect(Named)
const decodeWarp = Schema.decodeUnknownEffect(Warp.WarpFault, { onExcessProperty: "error" })
const decodeOpenAi = Schema.decodeUnknownEffect(OpenAi.OpenAiFault, { onExcessProperty: "error" })
const decodeWopan = Schema.decodeUnknownEffect(Wopan.WopanFault, { onExcessProperty: "error" })
const encodeWopan = Schema.encodeSync(Wopan.WopanFault)
const encodeWarp = Schema.encodeSync(Warp.WarpFault)
const encodeOpenAi = Schema.encodeSync(OpenAi.OpenAiFault)

/**
 * A misspelt field is refused: a fault that silently does something else costs its author an hour. What is said about it
 * is said about the provider it names; without one that is Warp.
 */
export const decodeFault = (input: unknown): Effect.Effect<Fault, Schema.SchemaError> =>
  Effect.flatMap(decodeNamed(input), ({ provider = "warp" }): Effect.Effect<Fault, Schema.SchemaError> => {
    if (provider === "warp") return decodeWarp(input)
    return provider === "wopan" ? decodeWopan(input) : decodeOpenAi(input)
  })

export const encodeFault = (fault: Fault): object => {
  if (isWarp(fault)) return encodeWarp(fault)
  return isWopan(fault) ? encodeWopan(fault) : encodeOpenAi(fault)
}
