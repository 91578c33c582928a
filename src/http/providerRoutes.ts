/** The providers and the routes to them, over HTTP: each change leaves an entry in the audit log. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Audit } from "../access/Audit.ts"
import type { ProviderView, RouteView } from "../contract/providers.ts"
import type { Limit, Limits, Provider } from "../domain/Provider.ts"
import { ProviderUnknown } from "../manager/TokenManager.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { Catalog, type Offer } from "../traffic/Catalog.ts"
import { Governor, type ProviderStanding } from "../traffic/Governor.ts"
import { Routed } from "./Api.ts"
import { auditing } from "./audited.ts"
import { errorResponse } from "./Errors.ts"
import { stateOf } from "./models.ts"

export const providerRoutes = HttpApiBuilder.group(
  Routed,
  "providers",
  Effect.fnUntraced(function* (handlers) {
    const audited = auditing(yield* Audit)
    const catalog = yield* Catalog
    const governor = yield* Governor
    const pool = yield* TokenPool

    const standings = Effect.map(governor.providers, (all) => new Map(all.map((standing) => [standing.name, standing])))
    const models = (offer: Offer) =>
      Map.groupBy(
        offer.routes.flatMap(({ targets }) => targets),
        ({ provider }) => provider
      )
    const viewed = Effect.fnUntraced(function* (offer: Offer, providers: Iterable<Provider>) {
      const of = yield* standings
      const targets = models(offer)
      const tokens = Map.groupBy(yield* pool.list(), ({ provider }) => provider)
      return Array.from(providers, (provider) =>
        providerView(
          provider,
          of.get(provider.name),
          (targets.get(provider.name) ?? []).map(({ model }) => model),
          tokens.get(provider.name) ?? []
        )
      )
    })

    /** What becomes of it is answered. */
    const change = (action: "pause" | "resume" | "reset", name: string) => {
      const find = Effect.suspend(() => {
        const { providers } = catalog.current()
        return providers.has(name)
          ? Effect.void
          : Effect.fail(new ProviderUnknown({ provider: name, known: [...providers.keys()] }))
      })
      const act = action === "reset" ? governor.resetCircuits(name) : governor[action](name)
      return audited(`provider.${action}`, name, Effect.andThen(find, act)).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            const offer = catalog.current()
            const provider = offer.providers.get(name)
            return viewed(offer, provider === undefined ? [] : [provider])
          })
        ),
        // It may have gone with another configuration meanwhile.
        Effect.flatMap(([view]) =>
          view === undefined ? Effect.fail(new ProviderUnknown({ provider: name, known: [] })) : Effect.succeed(view)
        ),
        Effect.catch((failure) => Effect.succeed(errorResponse(failure)))
      )
    }

    return handlers
      .handle("list", () =>
        Effect.suspend(() => {
          const offer = catalog.current()
          return Effect.map(viewed(offer, offer.providers.values()), (providers) => ({ providers }))
        })
      )
      .handle("routes", () => Effect.map(standings, (of) => ({ routes: routesOf(catalog.current(), of) })))
      .handle("pause", ({ params }) => change("pause", params.name))
      .handle("resume", ({ params }) => change("resume", params.name))
      .handle("reset", ({ params }) => change("reset", params.name))
  })
)

const routesOf = (offer: Offer, standings: ReadonlyMap<string, ProviderStanding>): ReadonlyArray<RouteView> =>
  offer.routes.map(({ model, targets }) => ({
    model,
    targets: targets.map((target) => {
      const { state, until = null } = stateOf(standings.get(target.provider), target)
      return { ...target, state, until }
    })
  }))

/** `models` are those of its routes; one that was never asked for is in order. */
export const providerView = (
  { kind, limits, name }: Provider,
  standing: ProviderStanding | undefined,
  models: ReadonlyArray<string>,
  tokens: ReadonlyArray<TokenView>
): ProviderView => {
  const seen = new Map(standing?.targets.map((target) => [target.model, target]))
  return {
    name,
    kind,
    paused: standing?.paused ?? false,
    paused_since: standing?.pausedSince ?? null,
    limits: limitsOf(standing?.limits ?? limits, standing?.allowed),
    in_use: standing?.inUse ?? 0,
    last_minute: standing?.lastMinute ?? 0,
    waiting: standing?.waiting ?? 0,
    held_until: standing?.heldUntil ?? null,
    targets: [...new Set([...models, ...seen.keys()])].map((model) => {
      const { circuit = "closed", source = null, until = null } = seen.get(model) ?? {}
      return { model, circuit, until, source }
    }),
    tokens: { held: tokens.length, usable: tokens.filter(({ usable }) => usable).length }
  }
}

const limitsOf = ({ concurrency, rpm, tpm }: Limits, allowed: ProviderStanding["allowed"] | undefined) => ({
  concurrency: limitOf(concurrency, allowed?.concurrency),
  rpm: limitOf(rpm, allowed?.rpm),
  tpm: limitOf(tpm, undefined)
})

/** A limit of model tokens that nobody told is none: it is not learned. */
const limitOf = (limit: Limit, allowed: number | "unlimited" | undefined) => {
  const most = allowed ?? limit
  return { most: typeof most === "number" ? most : null, learned: limit === "unknown" && allowed !== undefined }
}
