/** How a person or a test looks into the sandbox and steers it: everything under `/_sandbox`. */
import { Effect, Option, Result, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { firstIssue } from "../domain/firstIssue.ts"
import type { SandboxCredentials } from "./credentials.ts"
import { Faults, mostFaults } from "./Faults.ts"
import type { ActiveFault, Fault } from "./faultList.ts"
import { RequestLog } from "./RequestLog.ts"
import { Statistics } from "./Statistics.ts"
import { WarpAccounts } from "./warp/WarpAccounts.ts"
import { WarpCall, WarpFault } from "./warp/warpFault.ts"

export const controlRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const accounts = yield* WarpAccounts
    const faults = yield* Faults
    const log = yield* RequestLog
    const statistics = yield* Statistics

    const listed = Effect.map(faults.list, (active) => json({ faults: active.map(shown) }))

    const counted = Effect.gen(function* () {
      const calls = yield* Effect.all(
        Object.fromEntries(WarpCall.literals.map((call) => [call, statistics.of("warp", call)]))
      )
      const open = Object.values(calls).reduce((sum, call) => sum + call.open, 0)
      return json({ ...calls, aborted: calls["ai"]?.aborted ?? 0, open })
    })

    const add = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const read = yield* Effect.result(request.json)
      if (Result.isFailure(read)) return refused("body", "the body is not JSON")
      const { wanted, within } = listIn(read.success)
      const decoded: Array<Fault> = []
      for (const [index, fault] of wanted.entries()) {
        const result = yield* Effect.result(decodeFault(fault))
        if (Result.isFailure(result)) {
          const { field, reason } = firstIssue(result.failure.issue, within(index))
          return refused(field === "" ? "body" : field, reason)
        }
        decoded.push(result.success)
      }
      yield* faults.add(decoded)
      return yield* listed
    }).pipe(Effect.catchTag("TooManyFaults", ({ message }) => Effect.succeed(refused("faults", message))))

    const reset = Effect.gen(function* () {
      yield* Effect.all([faults.clear, statistics.reset, log.clear, accounts.reset], { discard: true })
      return json({ reset: true })
    })

    yield* router.add("GET", "/_sandbox/credentials", (request) =>
      Effect.succeed(json(credentialsOf(accounts, `http://${request.headers["host"] ?? "127.0.0.1"}`)))
    )
    yield* router.add("GET", "/_sandbox/stats", counted)
    yield* router.add(
      "GET",
      "/_sandbox/requests",
      Effect.map(log.all, (requests) => json({ requests }))
    )
    yield* router.add("GET", "/_sandbox/faults", listed)
    yield* router.add("POST", "/_sandbox/faults", add)
    yield* router.add("DELETE", "/_sandbox/faults", Effect.andThen(faults.clear, listed))
    yield* router.add("POST", "/_sandbox/reset", reset)
    yield* router.add("*", "/*", (request) =>
      Effect.succeed(json({ error: { message: `the sandbox has no ${request.method} ${pathOf(request.url)}` } }, 404))
    )
  })
)

const json = (body: unknown, status = 200) => HttpServerResponse.jsonUnsafe(body, { status })

const refused = (field: string, message: string) => json({ error: { field, message: `${field}: ${message}` } }, 400)

/** A single fault, a list of them, or an object that holds the list. */
const listIn = (
  body: unknown
): { readonly wanted: ReadonlyArray<unknown>; readonly within: (index: number) => ReadonlyArray<PropertyKey> } => {
  if (Array.isArray(body)) return { wanted: body.slice(0, mostFaults + 1), within: (index) => [index] }
  const { faults } = Option.getOrElse(decodeWrapped(body), () => ({ faults: undefined }))
  return faults === undefined
    ? { wanted: [body], within: () => [] }
    : { wanted: faults.slice(0, mostFaults + 1), within: (index) => ["faults", index] }
}

const decodeWrapped = Schema.decodeUnknownOption(Schema.Struct({ faults: Schema.Array(Schema.Unknown) }))

/** A misspelt field is refused: a fault that silently does something else costs its author an hour. */
const decodeFault = Schema.decodeUnknownEffect(WarpFault, { onExcessProperty: "error" })

const encodeFault = Schema.encodeSync(WarpFault)

/** A fault as it was set, and what is left of it. */
const shown = ({ fault, left, skip }: ActiveFault) => ({ ...encodeFault(fault), times: left, skip })

const credentialsOf = (accounts: WarpAccounts["Service"], url: string): SandboxCredentials => {
  const { anonymous, personal } = accounts.provisioned
  return {
    apiKey: accounts.apiKey,
    firebaseApiKey: accounts.apiKey,
    refreshToken: personal.refresh,
    personal: { uid: personal.uid, refreshToken: personal.refresh },
    anonymous: { uid: anonymous.uid, refreshToken: anonymous.refresh },
    baseUrl: url,
    identityUrl: url,
    tokenUrl: url
  }
}

const pathOf = (url: string): string => url.split("?")[0] ?? url
