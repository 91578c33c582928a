/** What the operator offers now: the providers, and which of them serve a model. Replaced whole, never in parts. */
import { Context, Effect, Layer } from "effect"
import type { Provider, Route, Target } from "../domain/Provider.ts"

export interface Offer {
  readonly providers: ReadonlyMap<string, Provider>
  /** Those of the configuration, and those that follow from the providers alone. */
  readonly routes: ReadonlyArray<Route>
  /** The targets of a public model name; undefined for one that nobody serves. */
  resolve(model: string): ReadonlyArray<Target> | undefined
}

export class Catalog extends Context.Service<
  Catalog,
  {
    /** A request that has looked once keeps what it saw: a reload changes nothing for it. */
    readonly current: () => Offer
    readonly replace: (offer: Offer) => Effect.Effect<void>
  }
>()("weirgate/traffic/Catalog") {
  /** Offers nothing until it is told what. */
  static readonly layer: Layer.Layer<Catalog> = Layer.sync(Catalog, () => {
    let offer: Offer = { providers: new Map(), routes: [], resolve: () => undefined }
    return Catalog.of({
      current: () => offer,
      replace: (next) =>
        Effect.sync(() => {
          offer = next
        })
    })
  })
}
