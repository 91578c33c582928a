/** What the emulated drive can be asked about an account and its tokens (protocols 5.3). */
import { Effect, Result } from "effect"
import { type Call, type Data, nothing, type Refusal } from "./dispatcher.ts"
import { userIdOf } from "./operations.ts"
import type { WopanAccounts } from "./WopanAccounts.ts"

/** `access` is the token that the call carries; empty when it carries none. */
export const accountOperations = (accounts: WopanAccounts["Service"]) => {
  const { constants, lifetimeSeconds } = accounts

  /** No account of the sandbox has a password: a client that logs in finds its refusal here. */
  const login = ({ operation }: Call): Data | Refusal =>
    operation === "PcWebLogin" ? clear({ needSmsCode: "1" }) : { code: "8001", reason: "not registered" }

  const renewal = Effect.fnUntraced(function* ({ params }: Call) {
    const { refreshToken } = params
    if (typeof refreshToken !== "string" || refreshToken === "") return wrong("refreshToken: it is missing")
    const renewed = yield* Effect.result(accounts.renew(refreshToken))
    if (Result.isFailure(renewed)) return loginFailed
    const { accessToken, refreshToken: next } = renewed.success
    return clear({
      access_token: accessToken,
      token_type: "bearer",
      refresh_token: next,
      expires_in: lifetimeSeconds,
      scope: "all"
    })
  })

  return Effect.fnUntraced(function* (call: Call, access: string): Effect.fn.Return<Data | Refusal> {
    const { operation, params } = call
    if (operation === "AppQueryUser" || operation === "AppLogout") {
      const account = yield* Effect.result(accounts.authenticate(access))
      if (Result.isFailure(account)) return refusalOf(account.failure.code)
      if (params["accessToken"] !== access) return wrong("accessToken: it is not that of the header")
      if (operation === "AppQueryUser") return userOf(account.success)
      yield* Effect.ignore(accounts.logout(access))
      return nothing
    }
    if (params["clientSecret"] !== constants.clientSecret) return wrong("clientSecret: it is missing or wrong")
    return operation === "AppRefreshToken" ? yield* renewal(call) : login(call)
  })
}

const clear = (value: unknown): Data => ({ _tag: "Clear", value })
const wrong = (reason: string): Refusal => ({ code: "1000", reason })
const loginFailed: Refusal = { code: "8005", reason: "login failed" }

/** Of an access token that is not taken. */
export const refusalOf = (code: "1001" | "9999"): Refusal => ({
  code,
  reason: code === "9999" ? "token expired" : "not logged in"
})

const userOf = (account: string): Data => ({
  _tag: "Sealed",
  value: {
    userId: userIdOf(account),
    headUrl: "",
    userName: account,
    sex: "0",
    birthday: "",
    isModify: "0",
    isHeadModify: "0",
    isSetPassword: "1",
    registerTime: "20220101000000"
  }
})
