/** What the pool tells of itself: a log line and a metric for each switch of state, never a secret. */
import { Effect, Metric } from "effect"
import { fromZero } from "../domain/zero.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import { stateAt } from "./tokenState.ts"
import type { TokenRecord, TokenState } from "./tokenState.ts"

const switches = Metric.counter("weirgate_token_switches_total", {
  description: "Changes of a token's state, by provider, old and new state",
  incremental: true
})
const tokens = Metric.gauge("weirgate_tokens", { description: "Tokens held, by provider and state" })
const leases = Metric.gauge("weirgate_leases", { description: "Tokens lent now, by provider" })
const refusals = Metric.counter("weirgate_leases_refused_total", {
  description: "Leases refused because no token could be used, by provider",
  incremental: true
})
const renewals = Metric.counter("weirgate_renewals_total", {
  description: "Renewals of an access secret, by provider and result",
  incremental: true
})
const limits = Metric.counter("weirgate_provider_limits_total", {
  description: "Limits above the tokens that were inferred, by provider",
  incremental: true
})
const retirements = Metric.counter("weirgate_tokens_retired_total", {
  description: "Acquired tokens forgotten because they were of no more use, by provider",
  incremental: true
})
const storeFailures = Metric.counter("weirgate_pool_store_failures_total", {
  description: "Times the pool had to go on in memory because the store failed",
  incremental: true
})

const renewalResults = ["renewed", "failed", "refused"] as const

export const begun = fromZero([storeFailures])

/** Of a provider that has tokens. */
const begin = (provider: string) =>
  fromZero([
    ...[refusals, limits, retirements].map((counter) => Metric.withAttributes(counter, { provider })),
    ...renewalResults.map((result) => Metric.withAttributes(renewals, { provider, result }))
  ])

const states: ReadonlyArray<TokenState["_tag"]> = ["active", "cooling", "exhausted", "disabled", "dead"]

export const annotated = Effect.annotateLogs({ service: "TokenPool" })

export const switched = (before: TokenRecord, after: TokenRecord): Effect.Effect<void> => {
  const [from, to] = [before.state._tag, after.state._tag]
  const level = to === "dead" ? Effect.logError : to === "active" ? Effect.logInfo : Effect.logWarning
  const why = "why" in after.state ? after.state.why : (after.lastFailure?.outcome ?? "")
  return Effect.andThen(
    Metric.update(Metric.withAttributes(switches, { provider: after.provider, from, to }), 1),
    level(`token ${after.id}: ${from} -> ${to}`).pipe(
      annotated,
      Effect.annotateLogs({
        provider: after.provider,
        token: after.id,
        name: after.name,
        old: from,
        new: to,
        ...(to === "active" ? {} : { why }),
        ...("until" in after.state ? { until: after.state.until } : {})
      })
    )
  )
}

export const refused = (provider: string): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(refusals, { provider }), 1)

export const renewed = (provider: string, result: (typeof renewalResults)[number]): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(renewals, { provider, result }), 1)

export const limited = (provider: string, tokens: number, until: number | undefined): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(limits, { provider }), 1),
    Effect.logWarning(`${provider} limits us as a whole: ${tokens} tokens met the same answer at once`).pipe(
      annotated,
      Effect.annotateLogs({ provider, ...(until === undefined ? {} : { until }) })
    )
  )

export const retired = ({ id, name, outSince, provider, state }: TokenRecord): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(retirements, { provider }), 1),
    Effect.logInfo(`token ${id} is forgotten: it has been of no use for long`).pipe(
      annotated,
      Effect.annotateLogs({ provider, token: id, name, state: state._tag, outSince })
    )
  )

export const storeFailed = (error: StoreUnavailable): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(storeFailures, 1),
    Effect.logWarning(`going on in memory: ${error.message}`).pipe(annotated)
  )

/** The gauges of all providers; `leased` tells how many leases of a token are out. */
export const census = (
  records: Iterable<TokenRecord>,
  now: number,
  leased: (record: TokenRecord) => number
): Effect.Effect<void> => {
  const counts = new Map<string, Record<TokenState["_tag"] | "leased", number>>()
  for (const record of records) {
    let count = counts.get(record.provider)
    if (count === undefined) {
      count = { active: 0, cooling: 0, exhausted: 0, disabled: 0, dead: 0, leased: 0 }
      counts.set(record.provider, count)
    }
    count[stateAt(record.state, now)._tag] += 1
    count.leased += leased(record)
  }
  return Effect.forEach(
    counts,
    ([provider, count]) =>
      Effect.andThen(
        Effect.andThen(begin(provider), Metric.update(Metric.withAttributes(leases, { provider }), count.leased)),
        Effect.forEach(
          states,
          (state) => Metric.update(Metric.withAttributes(tokens, { provider, state }), count[state]),
          { discard: true }
        )
      ),
    { discard: true }
  )
}
