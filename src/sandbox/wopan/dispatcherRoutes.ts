/** The emulated drive's dispatcher: one path for each channel, and the operation inside the envelope. */
import { ByteSize, Clock, Duration, Effect, Result } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Faults } from "../Faults.ts"
import { hex } from "../seed.ts"
import { Statistics } from "../Statistics.ts"
import { accountOperations, refusalOf } from "./accountOperations.ts"
import {
  type Call,
  type Channel,
  type Data,
  envelope,
  keyOf,
  operationIn,
  readEnvelope,
  readParams,
  type Refusal,
  written
} from "./dispatcher.ts"
import { addressOf } from "./downloadLink.ts"
import { answer, callOf, creationOf, misplaced } from "./operations.ts"
import { strike } from "./strike.ts"
import { WopanAccounts } from "./WopanAccounts.ts"
import { WopanCodes } from "./WopanCodes.ts"
import type { WopanCall } from "./wopanFault.ts"

/** Below the sandbox's address. */
export const basePath = "/wopan"

/** The largest body it reads: a hundred file ids are some 10 KB. */
const largestBody = ByteSize.kibibytes(256)

export interface DispatcherOptions {
  readonly seed: string
  /** By how much `resTime` may differ from the sandbox's own time (default 10 minutes). */
  readonly wopanClockSkew?: Duration.Input | undefined
}

export const dispatcherRoutes = ({ seed, wopanClockSkew }: DispatcherOptions) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const accounts = yield* WopanAccounts
      const codes = yield* WopanCodes
      const faults = yield* Faults
      const statistics = yield* Statistics
      const { constants } = accounts
      const ofAccount = accountOperations(accounts)
      const clockSkew = Duration.toMillis(wopanClockSkew ?? Duration.minutes(10))
      let answers = 0

      /** The answer of the dispatcher, counted by its code. */
      const told = (call: WopanCall, code: string, description: string, data: unknown) =>
        Effect.as(
          codes.count(call, code),
          HttpServerResponse.jsonUnsafe(envelope(hex(32, seed, "log", ++answers), code, description, data))
        )
      const refused = (call: WopanCall, { code, reason }: Refusal) => told(call, code, reason, "")

      const ofFiles = Effect.fnUntraced(function* (call: Call, account: string) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const tree = accounts.tree(account)
        if (call.operation === "CreateDirectory") {
          const creation = creationOf(call.params, tree)
          if ("code" in creation) return creation
          const added = yield* accounts.addFolder(account, creation.parent, creation.name)
          return typeof added === "string" ? notCreated : ({ _tag: "Sealed", value: added } as const)
        }
        const now = yield* Clock.currentTimeMillis
        const base = `http://${request.headers["host"] ?? "127.0.0.1"}${basePath}`
        return answer(call, { account, tree, addressOf: (fid) => addressOf(base, { seed, fid, now }) })
      })

      const outcomeOf = Effect.fnUntraced(function* (text: string, channel: Channel, access: string, now: number) {
        const read = readEnvelope(text, { channel, now, clockSkew })
        if ("code" in read) return read
        const refusal = misplaced(read.operation, channel)
        if (refusal !== undefined) return refusal
        if (channel === "api-user") {
          const call = readParams(read, channel, constants.clientSecret, constants)
          return "code" in call ? call : yield* ofAccount(call, access)
        }
        // The key of its parameters is the token, so of one that is not good they cannot be read.
        const account = yield* Effect.result(accounts.authenticate(access))
        if (Result.isFailure(account)) return refusalOf(account.failure.code)
        const call = readParams(read, channel, keyOf(channel, access, constants) ?? "", constants)
        return "code" in call ? call : yield* ofFiles(call, account.success)
      })

      /** Whose the call is, for a fault that strikes one account; a renewal tells it by its parameters alone. */
      const ownerOf = (text: string, channel: Channel, access: string, now: number): string | undefined => {
        if (access !== "") return accounts.ownerOf(access)
        const read = readEnvelope(text, { channel, now, clockSkew })
        if ("code" in read || read.operation !== "AppRefreshToken") return undefined
        const call = readParams(read, channel, constants.clientSecret, constants)
        const refresh = "code" in call ? undefined : call.params["refreshToken"]
        return typeof refresh === "string" ? accounts.ownerOf(refresh) : undefined
      }

      const serve = (channel: Channel) =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const access = request.headers["accesstoken"] ?? ""
          const body = yield* request.text.pipe(
            Effect.provideService(HttpIncomingMessage.MaxBodySize, largestBody),
            Effect.result
          )
          if (Result.isFailure(body)) return yield* statistics.track("wopan", "other", () => Effect.fail(body.failure))
          const text = body.success
          const named = callOf(operationIn(text))
          // When it arrived, so that a fault that delays it makes its time no worse.
          const now = yield* Clock.currentTimeMillis
          const owner = ownerOf(text, channel, access, now)
          return yield* statistics.track(
            "wopan",
            named,
            Effect.fnUntraced(function* (open) {
              const struck = yield* strike(faults, open, named, owner)
              if (struck?._tag === "Response") return struck.response
              if (struck?._tag === "Code") return yield* refused(named, struck)
              if (struck?._tag === "BadCipher") return yield* told(named, "0000", "success", unreadable(constants.iv))
              const outcome: Data | Refusal = yield* outcomeOf(text, channel, access, now)
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

const notCreated: Refusal = { code: "1000", reason: "directoryName: there is one of that name, or no room" }

/** Encrypted with a key that is nobody's. */
const unreadable = (iv: string) => written({ _tag: "Sealed", value: { files: [] } }, "0".repeat(16), iv)
