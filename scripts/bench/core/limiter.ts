/** May this key make a call now? For 1,000 keys in turn, each with a budget of its own. */
import { Effect } from "effect"
import { RateLimiterMemory } from "rate-limiter-flexible"
import type { Budget } from "../../../src/acquisition/budget.ts"
import * as Ledger from "../../../src/acquisition/ledger.ts"
import * as Capacity from "../../../src/traffic/capacity.ts"
import * as RateWindow from "../../../src/domain/rateWindow.ts"
import { type Contest, many } from "./contest.ts"

const keys = 1_000
const times = 200_000
const plenty = 1_000_000_000
const names = many(keys, (i) => `key-${i}`)

/** As our services do it: a plain rule, in one step of a running fiber, that is given the time. */
const inFiber = (decide: (key: number, now: number) => unknown) => {
  let i = 0
  const decision = Effect.sync(() => decide(i % keys, Date.now()))
  const all = Effect.suspend(() => {
    i = 0
    return Effect.whileLoop({ while: () => i < times, body: () => decision, step: () => i++ })
  })
  return () => Effect.runPromise(all)
}

const plainly = (decide: (key: number, now: number) => unknown) => async () => {
  for (let i = 0; i < times; i++) decide(i % keys, Date.now())
}

const taking = (limit: number) => {
  const windows = many(keys, () => RateWindow.make(limit, 250))
  return (key: number, now: number) => {
    const window = windows[key] as RateWindow.RateWindow
    const at = window.earliest(now, 1)
    if (at === undefined || at > now) return at
    window.stamp(window.take(1), now)
    return now
  }
}

const holding = (rpm: number) => {
  const capacities = many(keys, () =>
    Capacity.make({ concurrency: 100, rpm, tpm: plenty * 1_000 }, Capacity.noLessons, 250)
  )
  return (key: number, now: number) => {
    const capacity = capacities[key] as Capacity.Capacity
    const opening = capacity.opening(now, 100)
    if (opening.at === undefined || opening.at > now) return opening
    const grant = capacity.take(now, 100)
    capacity.sent(grant, now)
    capacity.served(grant, now, 90)
    capacity.release(grant, now, false)
    return opening
  }
}

/** The acquisition budget: every step of a key's own clock an attempt is due, with as many behind it as are ever kept. */
const reserving = (step: number) => {
  const budget: Budget = { hourly: 10, daily: 50, interval: 60_000, base: 300_000, max: 4_800_000 }
  const filled = (now: number) => {
    let ledger = Ledger.empty
    for (let i = 50; i > 0; i--) ledger = Ledger.reserve(ledger, budget, now - i * 1_800_000, "synthetic")[2]
    return ledger
  }
  const ledgers = many(keys, () => filled(0))
  let round = 0
  return (key: number, _now: number) => {
    if (key === 0) round++
    const [taken, gate, next] = Ledger.reserve(ledgers[key] as Ledger.Ledger, budget, round * step, "synthetic")
    ledgers[key] = next
    return taken ?? gate
  }
}

const peer = (points: number) => {
  const limiter = new RateLimiterMemory({ points, duration: 3_600 })
  return async () => {
    for (let i = 0; i < times; i++) {
      try {
        await limiter.consume(names[i % keys] as string)
      } catch {
        // Denied.
      }
    }
  }
}

const contest = (
  title: string,
  points: number,
  ours: ReadonlyArray<readonly [name: string, decide: (key: number, now: number) => unknown]>
): Contest => ({
  title,
  each: "decision",
  times,
  contestants: [
    ...ours.flatMap(([name, decide]) => [
      { name: `weirgate: ${name}`, ours: true as const, run: inFiber(decide) },
      { name: `weirgate: ${name}, called plainly`, ours: true as const, run: plainly(decide) }
    ]),
    { name: "rate-limiter-flexible, memory: consume", run: peer(points) }
  ]
})

export const contests = (): ReadonlyArray<Contest> => [
  contest("Limiter, allowed", plenty, [["a minute's window", taking(plenty)]]),
  contest("Limiter, denied", 1, [["a minute's window", taking(1)]]),
  contest("Limiter, allowed: concurrency, calls and tokens together, begun and ended", plenty, [
    ["a provider's capacity", holding(plenty)]
  ]),
  contest("Acquisition budget, allowed", plenty, [["hour, day, interval and backoff", reserving(1_800_000)]]),
  contest("Acquisition budget, denied", 1, [["hour, day, interval and backoff", reserving(0)]])
]
