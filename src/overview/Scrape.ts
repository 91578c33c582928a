/** What `/metrics` tells of the present, read when it is asked for: in between nobody keeps count. */
import { Clock, Context, Effect, Layer, Metric, Semaphore } from "effect"
import { Predictor } from "../acquisition/Predictor.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { warpProvider } from "../domain/Provider.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { Catalog } from "../traffic/Catalog.ts"
import { Governor } from "../traffic/Governor.ts"
import { Exchanges } from "./Exchanges.ts"
import * as Gauged from "./gauged.ts"
import { gauges } from "./gauges.ts"
import * as OfProcess from "./processMetrics.ts"

export class Scrape extends Context.Service<
  Scrape,
  {
    /**
     * Brings the gauges up to date. Waits for the store alone, and where that is away leaves out the budget. What is gone, such as a
     * provider that is no longer configured, is a series no more.
     */
    readonly refresh: Effect.Effect<void>
  }
>()("weirgate/overview/Scrape") {
  static readonly layer: Layer.Layer<
    Scrape,
    never,
    Catalog | Exchanges | Governor | Predictor | RateLimiter | TokenPool
  > = Layer.effect(
    Scrape,
    Effect.suspend(() => make)
  )
}

/** A prediction looks at all that is known of tokens: of more than so many of a provider it is not asked. */
const mostPredicted = 200

const make = Effect.gen(function* () {
  const catalog = yield* Catalog
  const { counted } = yield* Exchanges
  const governor = yield* Governor
  const limiter = yield* RateLimiter
  const pool = yield* TokenPool
  const predictor = yield* Predictor
  const context = yield* Effect.context<never>()
  yield* OfProcess.registered

  const reading = yield* Semaphore.make(1)
  // By gauge and labels: those of the last reading.
  let series = new Map<string, Metric.Gauge<number>>()

  const budget = Effect.all([limiter.statistics(warpProvider), Clock.currentTimeMillis]).pipe(
    Effect.map(([statistics, now]) => Gauged.ofBudget(warpProvider, statistics, now)),
    Effect.orElseSucceed((): ReadonlyArray<Gauged.Value> => [])
  )

  /** Only Warp's tokens have a quota that is predicted. */
  const predictions = (usable: ReadonlyArray<TokenView>) =>
    Effect.forEach(
      usable.filter(({ provider }) => provider === warpProvider).slice(0, mostPredicted),
      ({ id, kind, provider }) => predictor.predict({ provider, kind, token: id })
    )

  const tokens = Effect.gen(function* () {
    const usable = new Map<string, number>()
    const views = yield* pool.list()
    for (const view of views) usable.set(view.provider, (usable.get(view.provider) ?? 0) + Number(view.usable))
    const counts = [...usable].map(([provider, value]): Gauged.Value => ({
      gauge: "usable",
      labels: { provider },
      value
    }))
    if (!usable.has(warpProvider)) return counts
    const predicted = yield* predictions(views.filter((view) => view.usable))
    return [...counts, ...Gauged.ofPredictions(warpProvider, predicted)]
  })

  const refreshWith = Effect.fnUntraced(function* (stored: ReadonlyArray<Gauged.Value>) {
    const held = yield* tokens
    const standings = yield* governor.providers
    const statistics = yield* governor.statistics
    const models = Gauged.named(catalog.current())
    const now = yield* Clock.currentTimeMillis
    const values: ReadonlyArray<Gauged.Value> = [
      ...stored,
      ...held,
      ...standings.flatMap((standing) => [
        ...Gauged.ofCircuits(standing, models),
        ...Gauged.ofLimits(standing),
        Gauged.ofHold(standing, now)
      ]),
      ...Gauged.ofQueue(statistics, now),
      { gauge: "underWay", labels: {}, value: counted.underWay },
      { gauge: "streaming", labels: {}, value: counted.streaming }
    ]
    const before = series
    series = new Map()
    for (const { gauge, labels, value } of values) {
      const key = `${gauge} ${JSON.stringify(labels)}`
      const one = before.get(key) ?? Metric.withAttributes(gauges[gauge], labels)
      one.updateUnsafe(value, context)
      series.set(key, one)
    }
    for (const [key, one] of before) if (!series.has(key)) Metric.removeUnsafe(one, context)
  })
  return Scrape.of({
    // To look at thousands of tokens takes milliseconds: of many who ask at once, one in each turn of the loop.
    refresh: Effect.flatMap(budget, (stored) =>
      reading.withPermit(Effect.tap(refreshWith(stored), () => Effect.yieldNow))
    )
  })
})
