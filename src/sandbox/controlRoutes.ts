/** How a person or a test looks into the sandbox and starts it over; faults and limits have routes of their own. */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { json } from "./controlAnswers.ts"
import type { SandboxCredentials } from "./credentials.ts"
import { Faults } from "./Faults.ts"
import { openAiStatistics } from "./openai/openAiStatistics.ts"
import { OpenAiProviders } from "./openai/OpenAiProviders.ts"
import { basePathOf, keysOf, providerNames } from "./openai/providers.ts"
import { RequestLog } from "./RequestLog.ts"
import { Statistics } from "./Statistics.ts"
import { WarpAccounts } from "./warp/WarpAccounts.ts"
import { WarpCall } from "./warp/warpFault.ts"
import { basePath } from "./wopan/dispatcherRoutes.ts"
import { WopanAccounts } from "./wopan/WopanAccounts.ts"
import { WopanCodes } from "./wopan/WopanCodes.ts"
import { WopanCall } from "./wopan/wopanFault.ts"

export const controlRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const accounts = yield* WarpAccounts
    const drive = yield* WopanAccounts
    const codes = yield* WopanCodes
    const faults = yield* Faults
    const log = yield* RequestLog
    const providers = yield* OpenAiProviders
    const statistics = yield* Statistics

    const counted = Effect.gen(function* () {
      const calls = yield* Effect.all(
        Object.fromEntries(WarpCall.literals.map((call) => [call, statistics.of("warp", call)]))
      )
      const openai = yield* openAiStatistics(statistics, providers)
      const wopan = yield* Effect.all(
        Object.fromEntries(
          WopanCall.literals.map((call) => [
            call,
            Effect.zipWith(statistics.of("wopan", call), codes.of(call), (counted, byCode) => ({ ...counted, byCode }))
          ])
        )
      )
      const ofDrive = Object.values(wopan)
      const open = [...Object.values(calls), ...ofDrive].reduce((sum, call) => sum + call.open, 0)
      const aborted = ofDrive.reduce((sum, call) => sum + call.aborted, calls["ai"]?.aborted ?? 0)
      return json({ ...calls, aborted, open, openai, wopan })
    })

    const reset = Effect.gen(function* () {
      const all = [faults.clear, statistics.reset, log.clear, accounts.reset, providers.reset, drive.reset, codes.reset]
      yield* Effect.all(all, { discard: true })
      return json({ reset: true })
    })

    yield* router.add("GET", "/_sandbox/credentials", (request) =>
      Effect.succeed(json(credentialsOf(accounts, drive, `http://${request.headers["host"] ?? "127.0.0.1"}`)))
    )
    yield* router.add("GET", "/_sandbox/stats", counted)
    yield* router.add(
      "GET",
      "/_sandbox/requests",
      Effect.map(log.all, (requests) => json({ requests }))
    )
    yield* router.add("POST", "/_sandbox/reset", reset)
    yield* router.add("*", "/*", (request) =>
      Effect.succeed(json({ error: { message: `the sandbox has no ${request.method} ${pathOf(request.url)}` } }, 404))
    )
  })
)

const credentialsOf = (
  accounts: WarpAccounts["Service"],
  drive: WopanAccounts["Service"],
  url: string
): SandboxCredentials => {
  const { anonymous, personal } = accounts.provisioned
  return {
    apiKey: accounts.apiKey,
    firebaseApiKey: accounts.apiKey,
    refreshToken: personal.refresh,
    personal: { uid: personal.uid, refreshToken: personal.refresh },
    anonymous: { uid: anonymous.uid, refreshToken: anonymous.refresh },
    baseUrl: url,
    identityUrl: url,
    tokenUrl: url,
    wopan: wopanCredentialsOf(drive, url),
    openai: openAiCredentialsOf(url)
  }
}

export const openAiCredentialsOf = (url: string): SandboxCredentials["openai"] =>
  Object.fromEntries(providerNames.map((name) => [name, { baseUrl: url + basePathOf(name), keys: keysOf(name) }]))

export const wopanCredentialsOf = (
  { constants, provisioned }: WopanAccounts["Service"],
  url: string
): SandboxCredentials["wopan"] => ({ baseUrl: `${url}${basePath}`, ...constants, tokens: provisioned })

const pathOf = (url: string): string => url.split("?")[0] ?? url
