/** Who serves a public model name: what the configuration says, and what follows from the providers alone. Pure. */
import { nameOf, type Provider, type Route, type Target } from "../domain/Provider.ts"
import { warpModels } from "../upstream/warp/models.ts"
import type { Offer } from "./Catalog.ts"

/**
 * In this order, the first that knows the name being right:
 * 1. a route of the configuration;
 * 2. `provider/model`, for each model that the provider lists: always that provider alone;
 * 3. the model's own name: all providers that list it, in their order;
 * 4. `provider/anything`, for a provider that lists nothing;
 * 5. any name, when such a provider is the only one.
 *
 * The routes are those of 1 to 3. Of two providers of one name the last counts, of two routes the first.
 */
export const offerOf = (providers: ReadonlyArray<Provider>, routes: ReadonlyArray<Route>): Offer => {
  const known = new Map(providers.map((provider) => [provider.name, provider]))
  const listed = [...known.values()].flatMap((provider) =>
    [...new Set(modelsOf(provider))].map((model): Target => ({ provider: provider.name, model }))
  )

  const named = new Map<string, ReadonlyArray<Target>>()
  for (const { model, targets } of routes) if (!named.has(model)) named.set(model, targets)
  const qualified = new Map(listed.map((target) => [nameOf(target), [target]]))
  const served = Map.groupBy(listed, ({ model }) => model)
  // Own names are listed before qualified ones, which are many; a name that is both means what the latter says.
  const derived = new Map<string, ReadonlyArray<Target>>([...served, ...qualified])
  for (const [model, targets] of derived) if (!named.has(model)) named.set(model, targets)

  const open = new Set(
    [...known.values()].filter((provider) => modelsOf(provider) === undefined).map(({ name }) => name)
  )
  const [only] = known.size === 1 ? open : []

  const anyOf = (model: string): ReadonlyArray<Target> | undefined => {
    const slash = model.indexOf("/")
    const provider = model.slice(0, slash)
    if (slash > 0 && slash < model.length - 1 && open.has(provider)) {
      return [{ provider, model: model.slice(slash + 1) }]
    }
    return only === undefined || model === "" ? undefined : [{ provider: only, model }]
  }

  return {
    providers: known,
    routes: [...named].map(([model, targets]) => ({ model, targets })),
    resolve: (model) => named.get(model) ?? anyOf(model)
  }
}

/** Warp's own list is not the operator's to write. */
const modelsOf = ({ kind, models }: Provider): ReadonlyArray<string> | undefined =>
  models ?? (kind === "warp" ? warpModels : undefined)
