/** Lets a fault strike a call of the emulated drive as it arrives. */
import { Duration, Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Connection from "../connection.ts"
import { isWopan } from "../fault.ts"
import type { Faults } from "../Faults.ts"
import { delayOf } from "../faultTerms.ts"
import type { OpenCall } from "../Statistics.ts"
import type { WopanCall, WopanFault } from "./wopanFault.ts"

/** What takes the place of the real answer: one of HTTP, or one that the dispatcher is to give. */
export type Struck =
  | { readonly _tag: "Response"; readonly response: HttpServerResponse.HttpServerResponse }
  | { readonly _tag: "Code"; readonly code: string; readonly reason: string }
  /** A success that nobody can read. */
  | { readonly _tag: "BadCipher" }

/** Undefined when the call goes on. */
export const strike = Effect.fnUntraced(function* (
  faults: Faults["Service"],
  open: OpenCall,
  call: WopanCall,
  account: string | undefined
): Effect.fn.Return<Struck | undefined, never, HttpServerRequest.HttpServerRequest> {
  const fault = yield* faults.take({ provider: "wopan", call, account, phase: "arrival" })
  if (fault === undefined || !isWopan(fault)) return undefined
  const request = yield* HttpServerRequest.HttpServerRequest
  yield* Effect.sleep(delayOf(fault, fault.kind === "slow" ? Duration.seconds(1) : Duration.zero))
  switch (fault.kind) {
    case "silence":
      return yield* Effect.never
    case "reset":
      yield* open.breaking
      return yield* Connection.reset(request)
    default:
      return inPlaceOf(fault)
  }
})

const inPlaceOf = (fault: WopanFault): Struck | undefined => {
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { "retry-after": `${fault.retryAfter}` }
  switch (fault.kind) {
    case "rate_limit":
      return page(429, "Too Many Requests", headers)
    case "server_error":
      return page(fault.status ?? 500, "Server Error", headers)
    case "unauthorized":
      return page(401, "Unauthorized")
    case "html":
      return page(200, "The drive is being serviced")
    case "malformed":
      return {
        _tag: "Response",
        response: HttpServerResponse.text('{"STATUS":"200","RSP":', { contentType: "application/json" })
      }
    case "bad_cipher":
      return { _tag: "BadCipher" }
    case "expired":
      return { _tag: "Code", code: "9999", reason: "token expired" }
    case "system_error":
      return { _tag: "Code", code: "9999", reason: fault.message ?? "system error" }
    case "not_logged_in":
      return { _tag: "Code", code: "1001", reason: "not logged in" }
    case "refresh_rejected":
      return { _tag: "Code", code: "8005", reason: "login failed" }
    case "rsp_code":
      return { _tag: "Code", code: fault.code ?? "9999", reason: fault.message ?? "system error" }
    default:
      return undefined
  }
}

const page = (status: number, text: string, headers: Record<string, string> = {}): Struck => ({
  _tag: "Response",
  response: HttpServerResponse.text(`<!doctype html><meta charset="utf-8"><title>${status}</title>${text}`, {
    status,
    contentType: "text/html; charset=utf-8",
    headers
  })
})
