/** The emulated drive's dispatcher: one path for each channel, and the operation inside the envelope. */
import { Clock, Duration, Effect, Result } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Connection from "../connection.ts"
import { isWopan } from "../fault.ts"
import { Faults } from "../Faults.ts"
import { delayOf } from "../faultTerms.ts"
import { hex } from "../seed.ts"
import { type OpenCall, Statistics } from "../Statistics.ts"
import {
  type Call,
  type Channel,
  type Data,
  envelope,
  keyOf,
  nothing,
  readCall,
  type Refusal,
  written
} from "./dispatcher.ts"
import { addressOf } from "./downloadLink.ts"
import { answer, callOf } from "./operations.ts"
import { WopanAccounts } from "./WopanAccounts.ts"
import { WopanCodes } from "./WopanCodes.ts"
import type { WopanCall, WopanFault } from "./wopanFault.ts"

/** Below the sandbox's address. */
export const basePath = "/wopan"

export const dispatcherRoutes = ({ seed }: { readonly seed: string }) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const accounts = yield* WopanAccounts
      const codes = yield* WopanCodes
      const faults = yield* Faults
      const statistics = yield* Statistics
      const { constants } = accounts
      let answers = 0

      /** The answer of the dispatcher, counted by its code. */
      const told = (call: WopanCall, code: string, description: string, data: unknown) =>
        Effect.as(
          codes.count(call, code),
          HttpServerResponse.jsonUnsafe(envelope(hex(32, seed, "log", ++answers), code, description, data))
        )
      const refused = (call: WopanCall, { code, reason }: Refusal) => told(call, code, reason, "")

      /** The answer that takes the place of the real one; undefined when the call goes on. */
      const struckBy = Effect.fnUntraced(function* (fault: WopanFault, open: OpenCall, call: WopanCall) {
        const request = yield* HttpServerRequest.HttpServerRequest
        yield* Effect.sleep(delayOf(fault, fault.kind === "slow" ? Duration.seconds(1) : Duration.zero))
        const headers = fault.retryAfter === undefined ? {} : { "retry-after": `${fault.retryAfter}` }
        switch (fault.kind) {
          case "slow":
            return undefined
          case "silence":
            return yield* Effect.never
          case "reset":
            yield* open.breaking
            return yield* Connection.reset(request)
          case "rate_limit":
            return page(429, "Too Many Requests", headers)
          case "server_error":
            return page(fault.status ?? 500, "Server Error", headers)
          case "unauthorized":
            return HttpServerResponse.empty({ status: 401 })
          case "html":
            return page(200, "The drive is being serviced")
          case "malformed":
            return HttpServerResponse.text('{"STATUS":"200","RSP":', { contentType: "application/json" })
          case "bad_cipher":
            return yield* told(call, "0000", "success", written(sealed, "0".repeat(16), constants.iv))
          case "expired":
            return yield* refused(call, { code: "9999", reason: "token expired" })
          case "not_logged_in":
            return yield* refused(call, { code: "1001", reason: "not logged in" })
          case "refresh_rejected":
            return yield* refused(call, { code: "8005", reason: "login failed" })
          case "rsp_code":
            return yield* refused(call, { code: fault.code ?? "9999", reason: fault.message ?? "system error" })
        }
      })

      const strike = Effect.fnUntraced(function* (open: OpenCall, call: WopanCall, account: string | undefined) {
        const fault = yield* faults.take({ provider: "wopan", call, account, phase: "arrival" })
        return fault === undefined || !isWopan(fault) ? undefined : yield* struckBy(fault, open, call)
      })

      const login = ({ operation, params }: Call): Data | Refusal => {
        if (params["clientSecret"] !== constants.clientSecret) return { code: "1000", reason: "clientSecret is wrong" }
        return operation === "PcWebLogin"
          ? { _tag: "Clear", value: { needSmsCode: "1" } }
          : { code: "8001", reason: "no account of the sandbox has a password" }
      }

      const renewal = Effect.fnUntraced(function* ({ params }: Call) {
        if (params["clientSecret"] !== constants.clientSecret) return { code: "1000", reason: "clientSecret is wrong" }
        const renewed = yield* Effect.result(accounts.renew(String(params["refreshToken"])))
        if (Result.isFailure(renewed)) return { code: "8005", reason: "login failed" }
        const { accessToken, expiresAt, refreshToken } = renewed.success
        const now = yield* Clock.currentTimeMillis
        const value = {
          access_token: accessToken,
          token_type: "bearer",
          refresh_token: refreshToken,
          expires_in: Math.floor((expiresAt - now) / 1_000),
          scope: "all"
        }
        return { _tag: "Clear", value } as const
      })

      const outcomeOf = Effect.fnUntraced(function* (call: Call, account: string | undefined, host: string) {
        switch (callOf(call.operation)) {
          case "login":
            return login(call)
          case "refresh":
            return yield* renewal(call)
          default:
            if (account === undefined) return notLoggedIn
            if (call.operation === "AppLogout") {
              yield* accounts.expire(account)
              return nothing
            }
            const now = yield* Clock.currentTimeMillis
            const drive = {
              account,
              tree: accounts.tree(account),
              addressOf: (fid: string) => addressOf(`http://${host}${basePath}`, { seed, fid, now })
            }
            return answer(call, drive)
        }
      })

      const serve = (channel: Channel) =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const access = request.headers["accesstoken"] ?? ""
          const text = yield* request.text
          const circumstances = { channel, constants, access, now: yield* Clock.currentTimeMillis }
          const authenticated = access === "" ? undefined : yield* Effect.result(accounts.authenticate(access))
          const account = authenticated && Result.isSuccess(authenticated) ? authenticated.success : undefined
          const named = callOf(operationIn(text))
          return yield* statistics.track(
            "wopan",
            named,
            Effect.fnUntraced(function* (open) {
              const struck = yield* strike(open, named, account)
              if (struck !== undefined) return struck
              // Without its token the parameters of an account's own channel cannot be read.
              if (channel === "wohome" && account === undefined) return yield* refused(named, refusalOf(authenticated))
              const call = readCall(text, circumstances)
              if ("code" in call) return yield* refused(named, call)
              if (account === undefined && named === "user") return yield* refused(named, refusalOf(authenticated))
              const outcome = yield* outcomeOf(call, account, request.headers["host"] ?? "127.0.0.1")
              if ("code" in outcome) return yield* refused(named, outcome)
              const key = keyOf(channel, access, constants) ?? ""
              return yield* told(named, "0000", "success", written(outcome, key, constants.iv))
            })
          )
        })

      yield* router.add("POST", `${basePath}/api-user/dispatcher`, serve("api-user"))
      yield* router.add("POST", `${basePath}/wohome/dispatcher`, serve("wohome"))
    })
  )

const sealed: Data = { _tag: "Sealed", value: { files: [] } }
const notLoggedIn: Refusal = { code: "1001", reason: "not logged in" }

const refusalOf = (authenticated: Result.Result<string, { readonly code: "1001" | "9999" }> | undefined): Refusal =>
  authenticated !== undefined && Result.isFailure(authenticated) && authenticated.failure.code === "9999"
    ? { code: "9999", reason: "token expired" }
    : notLoggedIn

/** Of a body that may not be one: what it is counted and struck as. */
const operationIn = (text: string): string => {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== "object" || body === null || !("header" in body)) return ""
    const { header } = body
    return typeof header === "object" && header !== null && "key" in header ? String(header.key) : ""
  } catch {
    return ""
  }
}

const page = (status: number, text: string, headers: Record<string, string> = {}) =>
  HttpServerResponse.text(`<!doctype html><meta charset="utf-8"><title>${status}</title>${text}`, {
    status,
    contentType: "text/html; charset=utf-8",
    headers
  })
