/** Lets a fault strike a call as it arrives. */
import { Clock, Duration, Effect } from "effect"
import { HttpServerRequest } from "effect/http"
import type { HttpServerResponse } from "effect/http"
import * as Connection from "../connection.ts"
import { isWarp } from "../fault.ts"
import type { Faults } from "../Faults.ts"
import { delayOf } from "../faultTerms.ts"
import type { OpenCall } from "../Statistics.ts"
import type { WarpCall } from "./warpFault.ts"
import { faultResponse } from "./warpResponses.ts"

/** The answer that takes the place of the real one, if a fault has one; `undefined` when the call goes on. */
export const strike = Effect.fnUntraced(function* (
  faults: Faults["Service"],
  open: OpenCall,
  call: WarpCall,
  model?: string
): Effect.fn.Return<HttpServerResponse.HttpServerResponse | undefined, never, HttpServerRequest.HttpServerRequest> {
  const fault = yield* faults.take({ provider: "warp", call, model, phase: "arrival" })
  if (fault === undefined || !isWarp(fault)) return undefined
  const request = yield* HttpServerRequest.HttpServerRequest
  yield* Effect.sleep(delayOf(fault, fault.kind === "slow" ? Duration.seconds(1) : Duration.zero))
  switch (fault.kind) {
    case "silence":
      return yield* Effect.never
    case "reset":
      yield* open.breaking
      return yield* Connection.reset(request)
    default:
      return faultResponse(fault, yield* Clock.currentTimeMillis, model ?? "")
  }
})
