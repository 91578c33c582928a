/** Outcomes to show: a plausible one, as of an hour with bursts and a fault, and one of nothing. */
import type { Outcome, Sample } from "../../src/simulation/outcome.ts"

interface Modelled {
  readonly name: string
  readonly concurrency: number | null
  readonly rpm: number | null
  readonly faults: Outcome["providers"][number]["faults"]
}

const limits: ReadonlyArray<Modelled> = [
  { name: "nvidia1", concurrency: 5, rpm: 40, faults: [] },
  { name: "nvidia2", concurrency: 5, rpm: 40, faults: [{ kind: "server_error", from: 1_200_000, to: 1_380_000 }] },
  { name: "zhipu", concurrency: 1, rpm: null, faults: [] },
  { name: "hunyuan", concurrency: 5, rpm: null, faults: [] },
  { name: "siliconflow", concurrency: null, rpm: 5, faults: [] }
]

const second = 1_000
const length = 3_600

/** The same numbers each time. */
const drawing = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

/** First come, first served, a second at a time: enough for curves that look like those of a real run. */
export const plausible = (): Outcome => {
  const draw = drawing(7)
  const line: Array<number> = []
  const waits: Array<number> = []
  const latencies: Array<number> = []
  const samples: Array<Sample> = []
  const states = limits.map((limit) => ({
    limit,
    busy: [] as Array<number>,
    minute: [] as Array<number>,
    calls: 0,
    waitingMs: 0
  }))
  let asked = 0
  for (let now = 0; now < length + 60; now++) {
    const burst = Math.max(0, Math.sin(now / 290) ** 9 * 2.4) + (now % 720 < 40 ? 1.8 : 0)
    const arriving = now >= length ? 0 : Math.floor(draw() * 2 * (1.35 + burst))
    for (let i = 0; i < arriving; i++) line.push(now * second + Math.floor(draw() * second))
    asked += arriving
    for (const state of states) {
      const { busy, limit, minute } = state
      state.busy = busy.filter((until) => until > now)
      state.minute = minute.filter((at) => at > now - 60)
      const struck = limit.faults.some(({ from, to }) => now * second >= from && now * second < to)
      const free = () =>
        !struck && state.busy.length < (limit.concurrency ?? 99) && state.minute.length < (limit.rpm ?? 999)
      while (line.length > 0 && free()) {
        const since = line.shift() ?? 0
        const wait = Math.max(0, now * second - since)
        const took = 1 + 9 * draw() ** 2
        state.busy.push(now + took)
        state.minute.push(now)
        state.calls++
        waits.push(wait)
        latencies.push(wait + took * second)
      }
      if (line.length > 0) state.waitingMs += second
    }
    if (now % 4 !== 0) continue
    samples.push({
      at: now * second,
      waiting: line.length,
      use: states.map(({ busy, limit, minute }) => ({
        inUse: busy.length,
        concurrency: limit.concurrency === null ? null : busy.length / limit.concurrency,
        rate: limit.rpm === null ? null : minute.length / limit.rpm,
        waiting: line.length
      }))
    })
  }
  const ascending = (values: Array<number>) => values.toSorted((a, b) => a - b)
  return {
    scenario: {
      trace: "azure-llm-code-2023.csv",
      rows: 8_819,
      lengthMs: length * second,
      speed: 0.62,
      seed: "weirgate",
      model: "expert",
      capacityPerMinute: 171.4,
      meanLoad: 0.8,
      busiestMinuteLoad: 1.73
    },
    requests: {
      asked,
      answered: waits.length - 6,
      refused: asked - waits.length,
      failed: 6,
      reasons: { UpstreamFailed: 6, SlotRefused: asked - waits.length }
    },
    waits: ascending(waits),
    latencies: ascending(latencies).slice(0, -6),
    leastMeanWaitMs: 3_420,
    providers: states.map(({ calls, limit, waitingMs }, index) => ({
      ...limit,
      calls,
      served: calls - (index === 1 ? 11 : 0),
      throttled: index === 2 ? 3 : 0,
      failed: index === 1 ? 11 : 0,
      useWhileWaiting: 0.991 - index / 100,
      waitingMs
    })),
    samples,
    figures: [
      { name: "upstream 429s", value: 0.000_56, goal: 0.01, unit: "share", bound: "below", met: true },
      { name: "limit in use while waiting", value: 0.968, goal: 0.85, unit: "share", bound: "at least", met: true },
      { name: "mean wait", value: 11_240, goal: 10_000, unit: "ms", bound: "below", met: false },
      { name: "availability", value: 0.999_96, goal: 0.999, unit: "share", bound: "at least", met: true },
      { name: "success", value: 0.9983, goal: 0.99, unit: "share", bound: "at least", met: true }
    ]
  }
}

/** Nobody asked and nothing was sampled. */
export const empty: Outcome = {
  scenario: {
    trace: "empty.csv",
    rows: 0,
    lengthMs: 0,
    speed: 1,
    seed: "",
    model: "expert",
    capacityPerMinute: 0,
    meanLoad: 0,
    busiestMinuteLoad: 0
  },
  requests: { asked: 0, answered: 0, refused: 0, failed: 0, reasons: {} },
  waits: [],
  latencies: [],
  leastMeanWaitMs: 0,
  providers: limits.map((limit) => ({
    ...limit,
    faults: [],
    calls: 0,
    served: 0,
    throttled: 0,
    failed: 0,
    useWhileWaiting: undefined,
    waitingMs: 0
  })),
  samples: [],
  figures: []
}
