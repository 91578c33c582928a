/** A server over a real socket that keeps to the contract, and to nothing of ours beside it. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Deferred, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { nobody } from "../../src/access/Client.ts"
import { Access, Caller } from "../../src/contract/Access.ts"
import { DriveApi } from "../../src/contract/drive.ts"
import { type Report, Tokens } from "../../src/contract/tokens.ts"
import type { ManagerError } from "../../src/contract/wire.ts"

export const apiKey = "wg-synthetic-key-0002"

const Api = HttpApi.make("test").add(Tokens).add(DriveApi)
const ok = { code: 200, success: true } as const
const named = { id: "token-1", name: "Token-1", provider: "wopan" }

const refuse = (status: number, type: string, more: Partial<ManagerError> = {}) => {
  const body = { code: status, success: false, error: `refused: ${type}`, type, param: null, ...more }
  return HttpServerResponse.jsonUnsafe(body, { status })
}

export const contractServer = Effect.gen(function* () {
  const reports: Array<Report> = []
  const held = new Set<string>()
  /** Answers of `get` before those that lend. */
  const refusals: Array<HttpServerResponse.HttpServerResponse> = []
  /** That `folders` was asked for, and that its caller has gone. */
  const [came, went] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  let lent = 0

  const tokens = HttpApiBuilder.group(Api, "tokens", (handlers) =>
    handlers
      .handle("get", ({ query }) =>
        Effect.sync(() => {
          const refusal = refusals.shift()
          if (refusal !== undefined) return refusal
          const n = ++lent
          return {
            ...ok,
            data: {
              token: Redacted.make(`synthetic-token-${n}`),
              name: `Token-${n}`,
              id: `token-${n}`,
              provider: query.provider ?? "wopan",
              lease: `lease-${n}`,
              lease_expires_at: "2026-01-01T00:10:00.000Z",
              expires_at: null
            }
          }
        })
      )
      .handle("add", ({ payload }) =>
        Effect.sync(() => {
          const secret = Redacted.value(payload.token)
          if (held.has(secret)) return refuse(409, "token_held", { param: "token" })
          held.add(secret)
          return { ...ok, message: "added", data: { ...named, name: payload.name ?? named.name } }
        })
      )
      .handle("remove", ({ payload }) =>
        Effect.sync(() =>
          payload.token !== undefined && held.delete(Redacted.value(payload.token))
            ? { ...ok, message: "removed", data: named }
            : refuse(404, "token_unknown")
        )
      )
      .handle("report", ({ payload }) =>
        Effect.sync(() => {
          reports.push(payload)
          return { ...ok, message: "taken", data: { ...named, state: "active" } }
        })
      )
      .handle("stats", () =>
        Effect.succeed({
          ...ok,
          data: {
            total_tokens: 0,
            active_tokens: 0,
            total_requests: 0,
            total_success: 0,
            total_errors: 0,
            overall_success_rate: 100,
            tokens: []
          }
        })
      )
  )

  const provenance = {
    source: "realtime",
    age: 0,
    listed_at: "2026-01-01T00:00:00.000Z",
    account: "Token-1",
    failure: null
  } as const
  const timestamp = "2026-01-01T00:00:00.000Z"
  const drive = HttpApiBuilder.group(Api, "drive", (handlers) =>
    handlers
      // Never answers.
      .handle("folders", () =>
        Deferred.succeed(came, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(went, undefined))
        )
      )
      .handle("files", ({ query }) => {
        const { folder = "", realtime } = query
        const data = { folder: `${folder} ${realtime}`, file_count: 0, ...provenance, files: [] }
        return Effect.succeed({ ...ok, data, timestamp })
      })
      .handle("download", ({ query }) =>
        Effect.succeed({ ...ok, url: Redacted.make(`https://drive.test/${query.url}`), account: "Token-1" })
      )
  )

  const access = Layer.succeed(Access, {
    bearer: (handler, { credential }) =>
      Redacted.value(credential) === apiKey
        ? Effect.provideService(handler, Caller, { ...nobody, address: undefined })
        : Effect.succeed(refuse(401, "invalid_api_key"))
  })

  const services = yield* Layer.build(
    HttpRouter.serve(
      Layer.mergeAll(
        HttpApiBuilder.layer(Api).pipe(Layer.provide([tokens, drive]), Layer.provide(access)),
        HttpRouter.add("*", "/elsewhere/*", (request: HttpServerRequest.HttpServerRequest) =>
          Effect.succeed(HttpServerResponse.redirect(request.url.replace("/elsewhere", ""), { status: 307 }))
        )
      ),
      { disableLogger: true, disableListenLog: true }
    ).pipe(Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })))
  )
  const { address } = yield* HttpServer.HttpServer.pipe(Effect.provideContext(services))
  if (address._tag !== "InetAddressV4") return yield* Effect.die("it listens at no port")
  return { url: `http://127.0.0.1:${address.port}`, reports, refusals, came, went, refuse }
})
