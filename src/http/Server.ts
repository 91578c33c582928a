/** The HTTP server: the contract's routes, metrics, the documentation's page, and clean answers for everything else. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Duration, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSwagger, OpenApi } from "effect/http-api"
import { createServer, type IncomingMessage, type Server as NodeServer, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { local } from "../access/Client.ts"
import { ClientKeys } from "../access/ClientKeys.ts"
import { Caller } from "../contract/Access.ts"
import { Exchanges } from "../overview/Exchanges.ts"
import { Live } from "../overview/Live.ts"
import { Overview } from "../overview/Overview.ts"
import { Scrape } from "../overview/Scrape.ts"
import { Catalog } from "../traffic/Catalog.ts"
import { Governor } from "../traffic/Governor.ts"
import { ModelClients } from "../traffic/ModelClients.ts"
import { Traces } from "../traffic/Traces.ts"
import { alertRoutes } from "./alertRoutes.ts"
import * as Access from "./Access.ts"
import { adminRoutes, loginRoutes } from "./adminRoutes.ts"
import { Api, Routed } from "./Api.ts"
import { consoleFiles } from "./consoleFiles.ts"
import { consoleRoutes } from "./consoleRoutes.ts"
import { Drain } from "./Drain.ts"
import { driveRoutes } from "./driveRoutes.ts"
import { errorResponse } from "./Errors.ts"
import { holdEarly } from "../holdEarly.ts"
import { guarded, nothingAt } from "./guarded.ts"
import { ModelServer } from "./ModelServer.ts"
import * as Metrics from "./metricsRoute.ts"
import { probeRoutes } from "./probeRoutes.ts"
import { providerRoutes } from "./providerRoutes.ts"
import { tokenRoutes } from "./tokenRoutes.ts"
import { listed } from "./models.ts"
import { performance } from "./Performance.ts"

export interface ServerOptions {
  readonly host: string
  readonly port: number
  readonly maxBodyBytes: number
  /** Connections at once; more are closed as they come. */
  readonly maxConnections: number
  /** Their word is taken for where a request comes from. */
  readonly trustedProxies: ReadonlyArray<string>
  /** How long requests under way may go on once the server is told to stop. */
  readonly drain: Duration.Duration
}

/** Off the loopback everyone could spend the tokens. */
export class OpenToTheNetwork extends Schema.TaggedError<OpenToTheNetwork>()("OpenToTheNetwork", {
  host: Schema.String
}) {
  override get message() {
    return `WEIRGATE_HOST (server.host) is ${this.host}, which is not this machine alone: make a key first (weirgate key create) or set server.apiKeys`
  }
}

/** The address cannot be listened on. */
export class NotListening extends Schema.TaggedError<NotListening>()("NotListening", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `the server cannot listen on ${this.host}:${this.port} (WEIRGATE_HOST, WEIRGATE_PORT): ${this.detail}`
  }
}

/** Of what is no question to a model. */
const largestBody = 1024 * 1024

/** Longer than a client or a proxy before us keeps one, so that none is closed while a request is on its way in it. */
const keepAliveTimeout = 75_000

const listening = (server: NodeServer, { drain, host, port }: ServerOptions) =>
  // Those that are told to end must get that out.
  NodeHttpServer.layer(() => server, { host, port, gracefulShutdownTimeout: Duration.sum(drain, goodbye) })

/** Has the calls of models answered there, and leaves all others to those who listen already. */
const inFront = (server: NodeServer, models: ModelServer["Service"]) => {
  const before = (event: "request" | "checkContinue", begin: (response: ServerResponse) => void) => {
    const others = server.listeners(event)
    server.removeAllListeners(event)
    server.on(event, (request: IncomingMessage, response: ServerResponse) => {
      const endpoint = models.takes(request)
      if (endpoint === undefined) return others.forEach((listener) => void listener.call(server, request, response))
      begin(response)
      models.serve(endpoint, request, response)
    })
  }
  before("request", () => undefined)
  // A client with a long body may wait to be told to send it.
  before("checkContinue", (response) => response.writeContinue())
}

/** A connection without a request must not hold up the end: neither one that has none now, nor one that will have none. */
const closeIdle = (server: NodeServer) => {
  // All that stand.
  const connections = new Set<Socket>()
  server.on("connection", (socket: Socket) => {
    connections.add(socket)
    socket.once("close", () => connections.delete(socket))
  })
  return Effect.sync(() => {
    server.keepAliveTimeout = 1
    server.closeIdleConnections()
    // Node takes one that has said nothing yet for busy.
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
  })
}
const goodbye = Duration.seconds(1)

const notListening = (
  { host, port }: ServerOptions,
  cause: unknown
): Effect.Effect<Layer.Layer<Layer.Success<ReturnType<typeof listening>>>, NotListening> =>
  Effect.fail(new NotListening({ host, port, detail: cause instanceof Error ? cause.message : String(cause) }))

/** Serves until the layer is released; then it takes no more requests and lets those under way finish. */
export const layer = (options: ServerOptions) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const keys = yield* ClientKeys
      const isLocal = Access.isLoopback(options.host)
      if (keys.isOpen() && !isLocal) return yield* new OpenToTheNetwork({ host: options.host })
      const isOpen = () => isLocal && keys.isOpen()
      const server = createServer({ keepAliveTimeout, headersTimeout: 10_000, maxHeaderSize: 16 * 1024 })
      server.maxConnections = options.maxConnections
      const letIn = holdEarly(server)
      const stop = Effect.map(Drain, ({ begin }) => Effect.andThen(begin, closeIdle(server)))
      // Built last, so released first: the wait begins when the server begins to stop.
      return Layer.effectDiscard(
        Effect.gen(function* () {
          inFront(server, yield* ModelServer)
          letIn()
          const begin = yield* stop
          yield* Effect.addFinalizer(() => begin)
        })
      ).pipe(
        Layer.provideMerge(HttpRouter.serve(routes(options, isOpen), { disableLogger: true, disableListenLog: true })),
        Layer.provideMerge(
          listening(server, options).pipe(Layer.catch(({ cause }) => Layer.unwrap(notListening(options, cause))))
        ),
        // Below the rest: released last, when there is nothing left to wait for.
        Layer.provide(ModelServer.layerWith({ isOpen, maxBodyBytes: options.maxBodyBytes })),
        Layer.provide(Drain.layerWith(options.drain)),
        Layer.provide(watched)
      )
    })
  )

/** What the console and Prometheus are shown. */
const watched = Layer.mergeAll(Live.layer, Scrape.layer).pipe(
  Layer.provideMerge(Overview.layer),
  Layer.provideMerge(Exchanges.layer)
)

const routes = (options: ServerOptions, isOpen: () => boolean) => {
  const guard = {
    isOpen,
    maxBodyBytes: Math.min(largestBody, options.maxBodyBytes),
    trustedProxies: new Set(options.trustedProxies)
  }
  return Layer.mergeAll(
    Layer.mergeAll(
      HttpApiBuilder.layer(Routed).pipe(
        Layer.provide([
          models,
          tokenRoutes,
          driveRoutes,
          loginRoutes,
          adminRoutes,
          providerRoutes,
          alertRoutes,
          consoleRoutes,
          traces,
          probeRoutes
        ])
      ),
      Access.isLoopback(options.host) ? Metrics.onThisMachine : Metrics.onTheNetwork
    ).pipe(Layer.provide(Access.layerWith(isOpen))),
    HttpRouter.add("GET", "/openapi.json", HttpServerResponse.jsonUnsafe(OpenApi.fromApi(Api))),
    HttpApiSwagger.layer(Api, { path: "/docs" }),
    consoleFiles,
    HttpRouter.middleware((handler) => guarded(handler, guard), { global: true })
  )
}

const models = HttpApiBuilder.group(
  Routed,
  "models",
  Effect.fnUntraced(function* (handlers) {
    const catalog = yield* Catalog
    const governor = yield* Governor
    const clients = yield* ModelClients
    const services = yield* Effect.context<Effect.Services<typeof performance>>()
    return handlers
      .handle("list", () =>
        Effect.zipWith(governor.providers, Caller, (standings, { models }) => {
          const all = listed(catalog.current(), standings, clients.of)
          return models === undefined ? all : { ...all, data: all.data.filter(({ id }) => models.has(id)) }
        })
      )
      .handleRaw("performance", () =>
        performance.pipe(
          Effect.provideContext(services),
          Effect.map((report) => HttpServerResponse.jsonUnsafe(report)),
          Effect.catch((failure) => Effect.succeed(errorResponse(failure)))
        )
      )
  })
)

const traces = HttpApiBuilder.group(
  Routed,
  "traces",
  Effect.fnUntraced(function* (handlers) {
    const traces = yield* Traces
    return handlers.handleRaw("request", ({ params, request }) =>
      // Another client's is as good as none, and so is one that nobody asked for, but for whoever runs the server.
      Effect.map(Caller, ({ name, role }) => {
        const trace = traces.get(params.id)
        const isTheirs = trace?.why === "asked" && (name === local || trace.client === name)
        return trace === undefined || !(isTheirs || role === "admin")
          ? errorResponse(nothingAt(request.method, request.url))
          : HttpServerResponse.jsonUnsafe(trace)
      })
    )
  })
)

/** Where it really listens: the port may have been left to the system. */
export const address = HttpServer.addressFormattedWith(Effect.succeed)
