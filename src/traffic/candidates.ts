/** Which targets a request may go to: those of its model whose upstream has the endpoint. */
import type { Target } from "../domain/Provider.ts"
import type { ModelClient } from "../upstream/ModelClient.ts"
import type { Offer } from "./Catalog.ts"
import { ModelNotServed } from "./GatewayFailure.ts"
import type { GatewayRequest } from "./GatewayRequest.ts"
import type { ModelClients } from "./ModelClients.ts"

export const candidatesOf = (
  { endpoint, model }: GatewayRequest,
  offer: Offer,
  clients: ModelClients["Service"]
): ReadonlyArray<Target> | ModelNotServed => {
  const targets = offer.resolve(model)
  if (targets === undefined) return new ModelNotServed({ model })
  const able = targets.filter((target) => clientOf(target, offer, clients)?.endpoints.has(endpoint) === true)
  return able.length > 0 ? able : new ModelNotServed({ model, endpoint })
}

/** Whether each of them can be called without a fiber. */
export const areDirect = (targets: ReadonlyArray<Target>, offer: Offer, clients: ModelClients["Service"]): boolean =>
  targets.every((target) => clientOf(target, offer, clients)?.begin !== undefined)

const clientOf = (
  { provider: name }: Target,
  offer: Offer,
  clients: ModelClients["Service"]
): ModelClient | undefined => {
  const provider = offer.providers.get(name)
  return provider === undefined ? undefined : clients.of(provider)
}
