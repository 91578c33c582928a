/** What stands at this moment as values of gauges: pure rules. A label is a name from the configuration or one of a few words. */
import type { LimiterStatistics } from "../acquisition/RateLimiter.ts"
import type { Prediction } from "../acquisition/predict.ts"
import type { Limit, Route } from "../domain/Provider.ts"
import { type Level, levels } from "../domain/quotaLevel.ts"
import type { GovernorStatistics, ProviderStanding } from "../traffic/Governor.ts"
import type { Offer } from "../traffic/Catalog.ts"
import type { GaugeName } from "./gauges.ts"

export interface Value {
  readonly gauge: GaugeName
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const second = 1_000

/** By provider: the models that the operator has named. */
export type Named = ReadonlyMap<string, ReadonlySet<string>>

export const named = ({ providers, routes }: Pick<Offer, "providers" | "routes">): Named => {
  const models = new Map<string, Set<string>>()
  for (const { models: own = [], name } of providers.values()) models.set(name, new Set(own))
  const targets = routes.flatMap((route: Route) => route.targets)
  for (const { model, provider } of targets) models.get(provider)?.add(model)
  return models
}

/** A provider that lists nothing is asked for whatever clients choose, which is no label. */
const unnamed = "other"

/** From in order to out of order. */
const circuits = { closed: 0, returning: 1, half_open: 2, open: 3 } as const

/** Of targets that were asked for; of those that nobody has named the worst. */
export const ofCircuits = ({ name: provider, targets }: ProviderStanding, models: Named): ReadonlyArray<Value> => {
  const states = new Map<string, number>()
  for (const { circuit, model } of targets) {
    const shown = models.get(provider)?.has(model) === true ? model : unnamed
    states.set(shown, Math.max(states.get(shown) ?? 0, circuits[circuit]))
  }
  return [...states].map(([model, value]) => ({ gauge: "circuit", labels: { provider, model }, value }))
}

/** There is no limit where none is told or learned; the use is there all the same. */
export const ofLimits = (standing: ProviderStanding): ReadonlyArray<Value> => {
  const { allowed, inUse, lastMinute, lastMinuteTokens = 0, limits, name: provider } = standing
  const known = (limit: Limit) => (typeof limit === "number" ? limit : undefined)
  const all = [
    { limit: "concurrency", most: known(allowed.concurrency), used: inUse, learned: limits.concurrency === "unknown" },
    { limit: "rpm", most: known(allowed.rpm), used: lastMinute, learned: limits.rpm === "unknown" },
    { limit: "tpm", most: known(limits.tpm), used: lastMinuteTokens, learned: false }
  ]
  return all.flatMap(({ learned, limit, most, used }): ReadonlyArray<Value> => {
    const labels = { provider, limit }
    return [
      { gauge: "use", labels, value: used },
      ...(most === undefined
        ? []
        : [
            { gauge: "limit", labels, value: most } as const,
            { gauge: "learned", labels, value: Number(learned) } as const
          ])
    ]
  })
}

export const ofHold = ({ heldUntil, name: provider }: ProviderStanding, now: number): Value => ({
  gauge: "held",
  labels: { provider },
  value: Math.max(0, (heldUntil ?? now) - now) / second
})

export const ofQueue = ({ oldestSince, waiting }: GovernorStatistics, now: number): ReadonlyArray<Value> => [
  { gauge: "waiting", labels: {}, value: waiting },
  { gauge: "oldestWait", labels: {}, value: Math.max(0, now - (oldestSince ?? now)) / second }
]

export const ofBudget = (
  provider: string,
  { daily, hourly, limits, nextAllowedAt }: LimiterStatistics,
  now: number
): ReadonlyArray<Value> => [
  { gauge: "budgetUsed", labels: { provider, window: "hour" }, value: hourly },
  { gauge: "budgetUsed", labels: { provider, window: "day" }, value: daily },
  { gauge: "budgetLimit", labels: { provider, window: "hour" }, value: limits.hourly },
  { gauge: "budgetLimit", labels: { provider, window: "day" }, value: limits.daily },
  { gauge: "nextAttempt", labels: { provider }, value: Math.max(0, nextAllowedAt - now) / second }
]

/** Of the tokens that can be used now. A confidence of 0 is no prediction. */
export const ofPredictions = (provider: string, predictions: ReadonlyArray<Prediction>): ReadonlyArray<Value> => {
  const believed = predictions.filter(({ confidence }) => confidence > 0)
  const counted = (level: Level) => believed.filter((prediction) => prediction.level === level).length
  const sum = believed.reduce((sum, prediction) => sum + prediction.confidence, 0)
  return [
    ...levels.map((level): Value => ({ gauge: "predicted", labels: { provider, level }, value: counted(level) })),
    { gauge: "predicted", labels: { provider, level: "unknown" }, value: predictions.length - believed.length },
    ...(believed.length === 0
      ? []
      : [{ gauge: "confidence", labels: { provider }, value: sum / believed.length } as const])
  ]
}
