/**
 * Emulates every upstream on a port of its own, so that the whole system can be tried and tested without a vendor.
 * One seed gives one sandbox: the same credentials, quotas and answers, and tokens that outlive a restart.
 */
import { ByteSize, Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, HttpClientResponse, HttpIncomingMessage, HttpRouter, HttpServer } from "effect/http"
import type { HttpServerError } from "effect/http"
import type { NetAddress } from "effect/net"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer, type Server } from "node:http"
import type { Credential } from "../domain/Token.ts"
import { holdEarly } from "../holdEarly.ts"
import { controlRoutes, openAiCredentialsOf, wopanCredentialsOf } from "./controlRoutes.ts"
import { SandboxCredentials } from "./credentials.ts"
import { faultRoutes } from "./faultRoutes.ts"
import { Faults } from "./Faults.ts"
import { callRoutes } from "./openai/callRoutes.ts"
import { limitRoutes } from "./openai/limitRoutes.ts"
import { OpenAiProviders } from "./openai/OpenAiProviders.ts"
import type { OpenAiProvidersOptions } from "./openai/OpenAiProviders.ts"
import { RequestLog } from "./RequestLog.ts"
import { Statistics } from "./Statistics.ts"
import { accountRoutes } from "./warp/accountRoutes.ts"
import { modelRoute } from "./warp/modelRoute.ts"
import { WarpAccounts } from "./warp/WarpAccounts.ts"
import type { WarpAccountsOptions } from "./warp/WarpAccounts.ts"
import { dispatcherRoutes, type DispatcherOptions } from "./wopan/dispatcherRoutes.ts"
import { downloadRoute } from "./wopan/downloadRoute.ts"
import { WopanAccounts } from "./wopan/WopanAccounts.ts"
import type { WopanAccountsOptions } from "./wopan/WopanAccounts.ts"
import { WopanCodes } from "./wopan/WopanCodes.ts"
import { wopanControlRoutes } from "./wopan/wopanControlRoutes.ts"

/** Somebody already listens there: maybe another sandbox, which `Sandbox.layerAt` would use. */
export class SandboxAddressInUse extends Schema.TaggedError<SandboxAddressInUse>()("SandboxAddressInUse", {
  host: Schema.String,
  port: Schema.Int
}) {
  override get message() {
    return `something else already listens on ${this.host}:${this.port}`
  }
}

/** The sandbox could not listen, for another reason. */
export class SandboxNotListening extends Schema.TaggedError<SandboxNotListening>()("SandboxNotListening", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `the sandbox cannot listen on ${this.host}:${this.port}: ${this.detail}`
  }
}

/** No sandbox answers there. */
export class SandboxUnreachable extends Schema.TaggedError<SandboxUnreachable>()("SandboxUnreachable", {
  url: Schema.String
}) {
  override get message() {
    return `no sandbox answers at ${this.url}`
  }
}

export interface SandboxOptions
  extends
    Omit<WarpAccountsOptions, "seed">,
    Omit<WopanAccountsOptions, "seed">,
    Omit<DispatcherOptions, "seed">,
    OpenAiProvidersOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 28890; 0 takes a free one. */
  readonly port?: number | undefined
  /** Default "weirgate". */
  readonly seed?: string | undefined
  /** The models an account at Warp may use (default: those of 2025). */
  readonly models?: ReadonlyArray<string> | undefined
}

export interface SandboxProvider {
  readonly name: string
  /** Ends before `/chat/completions`. */
  readonly baseUrl: string
  readonly keys: ReadonlyArray<Redacted.Redacted>
}

/** The emulated drive: what a client of it is configured with, and the tokens of its accounts. */
export interface SandboxDrive {
  readonly baseUrl: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  readonly iv: Redacted.Redacted
  readonly tokens: ReadonlyArray<Credential>
}

/** The largest body it reads. */
const largestBody = ByteSize.mebibytes(8)

export class Sandbox extends Context.Service<
  Sandbox,
  {
    /** Where it listens; the base of all of Warp's three addresses. */
    readonly url: string
    readonly apiKey: Redacted.Redacted
    /** Of accounts that exist from the start: using them creates no user. */
    readonly personalRefreshToken: Redacted.Redacted
    readonly anonymousRefreshToken: Redacted.Redacted
    /** The OpenAI-compatible providers. */
    readonly openai: ReadonlyArray<SandboxProvider>
    readonly wopan: SandboxDrive
  }
>()("weirgate/sandbox/Sandbox") {
  /** Serves until its scope closes, and then breaks off what is still at work without waiting for it. */
  static readonly layerWith = (
    options: SandboxOptions = {}
  ): Layer.Layer<Sandbox, SandboxAddressInUse | SandboxNotListening> => {
    const seed = options.seed ?? "weirgate"
    const state = Layer.mergeAll(
      Faults.layer,
      Statistics.layer,
      RequestLog.layer,
      WarpAccounts.layerWith({ ...options, seed }),
      WopanAccounts.layerWith({ ...options, seed }),
      WopanCodes.layer,
      OpenAiProviders.layerWith(options)
    )
    const routes = Layer.mergeAll(
      controlRoutes,
      faultRoutes,
      limitRoutes,
      accountRoutes,
      modelRoute({ ...options, seed }),
      callRoutes({ seed }),
      dispatcherRoutes({ ...options, seed }),
      downloadRoute({ seed }),
      wopanControlRoutes
    )
    const served = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, largestBody))
    )
    return Layer.suspend(() => {
      const server = createServer()
      const letIn = holdEarly(server)
      // Fresh, so that two sandboxes in one program share no statistics.
      return Layer.effect(
        Sandbox,
        Effect.tap(running, () => Effect.sync(letIn))
      ).pipe(
        Layer.provide(served),
        Layer.provide(Layer.fresh(state)),
        Layer.provide(listening(server, options.host ?? "127.0.0.1", options.port ?? 28890))
      )
    })
  }

  static readonly layer = Layer.suspend(() => Sandbox.layerWith())

  /** A sandbox that already runs, in this process or another. */
  static readonly layerAt = (url: string): Layer.Layer<Sandbox, SandboxUnreachable, HttpClient.HttpClient> =>
    Layer.effect(
      Sandbox,
      Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        const base = url.replace(/\/+$/, "")
        const credentials = yield* client.get(`${base}/_sandbox/credentials`).pipe(
          Effect.flatMap(HttpClientResponse.filterStatusOk),
          Effect.flatMap(HttpClientResponse.schemaBodyJson(SandboxCredentials)),
          Effect.timeout("5 seconds"),
          Effect.mapError(() => new SandboxUnreachable({ url: base }))
        )
        return Sandbox.of({
          url: base,
          apiKey: Redacted.make(credentials.apiKey),
          personalRefreshToken: Redacted.make(credentials.personal.refreshToken),
          anonymousRefreshToken: Redacted.make(credentials.anonymous.refreshToken),
          openai: providersIn(credentials.openai),
          wopan: driveIn(credentials.wopan)
        })
      })
    )
}

const running = Effect.gen(function* () {
  const server = yield* HttpServer.HttpServer
  const { apiKey, provisioned } = yield* WarpAccounts
  const url = urlOf(server.address)
  yield* Effect.annotateLogs(Effect.logInfo("The sandbox listens"), { service: "Sandbox", url })
  return Sandbox.of({
    url,
    apiKey: Redacted.make(apiKey),
    personalRefreshToken: Redacted.make(provisioned.personal.refresh),
    anonymousRefreshToken: Redacted.make(provisioned.anonymous.refresh),
    openai: providersIn(openAiCredentialsOf(url)),
    wopan: driveIn(wopanCredentialsOf(yield* WopanAccounts, url))
  })
})

const providersIn = (credentials: SandboxCredentials["openai"]): ReadonlyArray<SandboxProvider> =>
  Object.entries(credentials).map(([name, { baseUrl, keys }]) => ({
    name,
    baseUrl,
    keys: keys.map((key) => Redacted.make(key))
  }))

const driveIn = ({ clientSecret, iv, tokens, ...rest }: SandboxCredentials["wopan"]): SandboxDrive => ({
  ...rest,
  clientSecret: Redacted.make(clientSecret),
  iv: Redacted.make(iv),
  tokens: tokens.map(({ accessToken, expiresAt, refreshToken }) => ({
    access: Redacted.make(accessToken),
    refresh: Redacted.make(refreshToken),
    expiresAt
  }))
})

/** An emulator has nobody to wait for: when it stops, connections still open are dropped. */
const listening = (server: Server, host: string, port: number) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function* () {
      const listening = yield* NodeHttpServer.make(() => server, { host, port, disablePreemptiveShutdown: true })
      yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
      return listening
    }).pipe(Effect.mapError((error) => notListening(host, port, error)))
  )

const notListening = (host: string, port: number, { cause }: HttpServerError.ServeError) =>
  cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE"
    ? new SandboxAddressInUse({ host, port })
    : new SandboxNotListening({ host, port, detail: cause instanceof Error ? cause.message : `${cause}` })

/** Where a client on this machine reaches the address. */
const urlOf = (address: NetAddress.SocketAddress): string => {
  const url = HttpServer.formatAddress(address)
  return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
}
