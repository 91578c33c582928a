/** `GET /v1/models`: the public names, and what each of their targets can do now. */
import { Schema } from "effect"
import { nameOf, type Provider, type Target } from "../domain/Provider.ts"
import type { Offer } from "../traffic/Catalog.ts"
import type { ProviderStanding } from "../traffic/Governor.ts"
import { endpoints, type ModelClient } from "../upstream/ModelClient.ts"

/**
 * `ready`: a request could start now. `busy`: it would wait for a slot. `paused`: nothing starts there until a person resumes the
 * provider. The others: nothing is sent there before `until`.
 */
export const TargetState = Schema.Literals(["ready", "busy", "paused", "held", "open", "half_open"])

export const ModelList = Schema.Struct({
  object: Schema.Literal("list"),
  data: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      object: Schema.Literal("model"),
      created: Schema.Int,
      owned_by: Schema.String,
      /** In order of preference. */
      targets: Schema.Array(
        Schema.Struct({
          target: Schema.String,
          state: TargetState,
          /** Epoch milliseconds. */
          until: Schema.optionalKey(Schema.Finite),
          /** Whether the upstream said so or it is guessed, and will be probed. */
          source: Schema.optionalKey(Schema.Literals(["stated", "guessed"])),
          in_use: Schema.Int,
          waiting: Schema.Int,
          endpoints: Schema.Array(Schema.String)
        })
      )
    })
  )
})

export const listed = (
  offer: Offer,
  standings: ReadonlyArray<ProviderStanding>,
  clientOf: (provider: Provider) => ModelClient
): typeof ModelList.Type => {
  const standingOf = new Map(standings.map((standing) => [standing.name, standing]))
  const targetOf = (target: Target) => {
    const provider = offer.providers.get(target.provider)
    const standing = standingOf.get(target.provider)
    const having = provider === undefined ? undefined : clientOf(provider).endpoints
    return {
      target: nameOf(target),
      ...stateOf(standing, target),
      in_use: standing?.inUse ?? 0,
      waiting: standing?.waiting ?? 0,
      endpoints: endpoints.filter((endpoint) => having?.has(endpoint) === true).map((endpoint) => `/v1${endpoint}`)
    }
  }
  return {
    object: "list",
    data: offer.routes.map(({ model, targets }) => ({
      id: model,
      object: "model" as const,
      created: 0,
      owned_by: targets[0]?.provider ?? "nobody",
      targets: targets.map(targetOf)
    }))
  }
}

export const stateOf = (standing: ProviderStanding | undefined, { model }: Target) => {
  if (standing === undefined) return { state: "ready" as const }
  if (standing.paused) return { state: "paused" as const }
  const health = standing.targets.find((target) => target.model === model)
  if (health !== undefined && (health.circuit === "open" || health.circuit === "half_open")) {
    return {
      state: health.circuit,
      ...(health.until !== undefined && { until: health.until }),
      ...(health.source !== undefined && { source: health.source })
    }
  }
  if (standing.heldUntil !== undefined) return { state: "held" as const, until: standing.heldUntil }
  const { concurrency, rpm } = standing.allowed
  const isBusy =
    (concurrency !== "unlimited" && standing.inUse >= concurrency) ||
    (rpm !== "unlimited" && standing.lastMinute >= rpm)
  return { state: isBusy ? ("busy" as const) : ("ready" as const) }
}
