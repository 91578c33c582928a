/** A running Weirgate, for programs in Effect. */
import { Context, Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { type DriveCalls, driveCalls, type TokenCalls, tokenCalls } from "./calls.ts"
import * as Exchange from "./exchange.ts"
import * as Lending from "./lending.ts"
import { checked, type ClientOptions } from "./options.ts"
import type { WeirgateError } from "./WeirgateError.ts"

export class WeirgateClient extends Context.Service<
  WeirgateClient,
  {
    readonly tokens: TokenCalls
    readonly drive: DriveCalls
    readonly withToken: Lending.WithToken
  }
>()("weirgate/client/WeirgateClient") {
  /** Asks nothing of the server. Fails with `BadRequest` when the options cannot be used. */
  static readonly make = Effect.fnUntraced(function* (options: ClientOptions) {
    const { patience, ...where } = yield* Effect.fromResult(checked(options))
    const exchange = yield* Exchange.make(yield* HttpClient.HttpClient, where)
    const { report, tokens } = tokenCalls(exchange, patience.tokens, patience.report)
    return WeirgateClient.of({
      tokens,
      drive: driveCalls(exchange, patience.drive),
      withToken: Lending.make(tokens, report)
    })
  })

  /** Over the `HttpClient` of the program, such as `NodeHttpClient.layerUndici`. */
  static readonly layerWith = (
    options: ClientOptions
  ): Layer.Layer<WeirgateClient, WeirgateError, HttpClient.HttpClient> =>
    Layer.effect(WeirgateClient, WeirgateClient.make(options))

  /** Over `fetch`, in Node and in browsers. */
  static readonly layerFetch = (options: ClientOptions): Layer.Layer<WeirgateClient, WeirgateError> =>
    WeirgateClient.layerWith(options).pipe(Layer.provide(FetchHttpClient.layer), Layer.provide(careful))
}

/** The server never redirects: whoever does must not get what is sent. No cookie goes along, and nothing is kept in a cache. */
const careful = Layer.succeed(FetchHttpClient.RequestInit, {
  redirect: "error",
  credentials: "omit",
  cache: "no-store"
})
