/** What is drawn of an outcome: plain data, which travels to the browser as JSON, and what each plot shows in words. */
import type { Outcome, ProviderOutcome, Sample } from "../outcome.ts"
import * as Distribution from "./distribution.ts"
import { count, duration, percent } from "./wording.ts"

export interface Plot {
  /** Of the element it is drawn in. */
  readonly id: string
  /** In CSS pixels. */
  readonly height: number
  /** Milliseconds since the start, or decades of a millisecond. */
  readonly x: "time" | "decades"
  readonly xRange: readonly [number, number]
  readonly y: "count" | "share"
  /** One value for each of `at`; null where there is nothing to draw. */
  readonly at: ReadonlyArray<number>
  readonly lines: ReadonlyArray<Line>
  /** Drawn from the bottom, as high as their share. */
  readonly bars: ReadonlyArray<Distribution.Bar>
  readonly spans: ReadonlyArray<Span>
  readonly marks: ReadonlyArray<Mark>
  /** The words of an axis that are not numbers. */
  readonly named: ReadonlyArray<{ readonly at: number; readonly name: string }>
}

export interface Line {
  readonly label: string
  readonly colour: "first" | "second"
  readonly filled: boolean
  readonly values: ReadonlyArray<number | null>
}

/** A time during which something was so: somebody waited, or a fault was on. */
export interface Span {
  readonly kind: "waiting" | "fault"
  readonly from: number
  readonly to: number
}

/** A point of a curve that is named. */
export interface Mark {
  readonly at: number
  readonly share: number
  readonly label: string
}

/** A plot and what it shows, for those who cannot see it and those who need not look. */
export interface Shown {
  readonly plot: Plot
  readonly caption: string
}

const blank = { lines: [], bars: [], spans: [], marks: [], named: [] } satisfies Partial<Plot>

const times = ({ samples, scenario }: Outcome): readonly [number, number] => [
  0,
  Math.max(scenario.lengthMs, samples.at(-1)?.at ?? 0, 1_000)
]

export const queuePlot = (outcome: Outcome): Shown => {
  const { samples } = outcome
  return {
    plot: {
      ...blank,
      id: "queue",
      height: 240,
      x: "time",
      xRange: times(outcome),
      y: "count",
      at: samples.map(({ at }) => at),
      lines: [{ label: "waiting", colour: "first", filled: true, values: samples.map(({ waiting }) => waiting) }]
    },
    caption: queueCaption(samples)
  }
}

const queueCaption = (samples: ReadonlyArray<Sample>): string => {
  const [first] = samples
  if (first === undefined) return "Nothing was sampled."
  const most = samples.reduce((most, sample) => (sample.waiting > most.waiting ? sample : most), first)
  if (most.waiting === 0) return "No request was seen waiting."
  const empty = samples.filter(({ waiting }) => waiting === 0).length / samples.length
  const at = duration(Math.round(most.at / 1_000) * 1_000)
  return `At most ${count(most.waiting)} waited, ${at} after the start. The line was empty for ${percent(empty)} of the time.`
}

/** As many points as a small plot can show. */
const mostPoints = 120

export const usePlots = (outcome: Outcome): ReadonlyArray<Shown> =>
  outcome.providers.map((provider, index) => {
    const { samples } = outcome
    const size = Math.max(1, Math.ceil(samples.length / mostPoints))
    const groups = Array.from({ length: Math.ceil(samples.length / size) }, (_, group) =>
      samples.slice(group * size, (group + 1) * size)
    )
    const series = (read: (use: Sample["use"][number]) => number | null) =>
      groups.map((group) => meanOf(group.map(({ use }) => (use[index] === undefined ? null : read(use[index])))))
    const shares = [
      { label: "concurrency", colour: "first", filled: true, values: series(({ concurrency }) => concurrency) },
      { label: "minute", colour: "second", filled: false, values: series(({ rate }) => rate) }
    ] as const satisfies ReadonlyArray<Line>
    const limited = shares.filter(({ values }) => values.some((value) => value !== null))
    const calls = {
      label: "calls at work",
      colour: "first",
      filled: true,
      values: series(({ inUse }) => inUse)
    } as const
    return {
      plot: {
        ...blank,
        id: `use-${index}`,
        height: 150,
        x: "time",
        xRange: times(outcome),
        y: limited.length === 0 ? "count" : "share",
        at: groups.map((group) => group[0]?.at ?? 0),
        lines: limited.length === 0 ? [calls] : limited,
        spans: [
          ...provider.faults.map(({ from, to }): Span => ({ kind: "fault", from, to })),
          ...waitingSpans(samples, index)
        ]
      },
      caption: useCaption(provider)
    }
  })

const meanOf = (values: ReadonlyArray<number | null>): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : rounded(known.reduce((sum, value) => sum + value, 0) / known.length)
}

const rounded = (value: number): number => Number(value.toPrecision(4))

const waitingSpans = (samples: ReadonlyArray<Sample>, provider: number): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  let from: number | undefined
  for (const { at, use } of samples) {
    const waits = (use[provider]?.waiting ?? 0) > 0
    if (waits) from ??= at
    else if (from !== undefined) {
      spans.push({ kind: "waiting", from, to: at })
      from = undefined
    }
  }
  if (from !== undefined) spans.push({ kind: "waiting", from, to: samples.at(-1)?.at ?? from })
  return spans
}

const useCaption = ({ faults, useWhileWaiting, waitingMs }: ProviderOutcome): string => {
  const used =
    useWhileWaiting === undefined
      ? "No request ever waited for it."
      : `While a request waited for it (${duration(waitingMs)} in all), ${percent(useWhileWaiting)} of its binding limit was in use.`
  const struck = faults.map(({ from, kind, to }) => `${kind} from ${duration(from)} to ${duration(to)}`)
  return struck.length === 0 ? used : `${used} Faults: ${struck.join(", ")}.`
}

export const limitsOf = ({ concurrency, rpm }: ProviderOutcome): string =>
  [
    concurrency === null ? undefined : `${count(concurrency)} at once`,
    rpm === null ? undefined : `${count(rpm)} a minute`
  ]
    .filter((limit) => limit !== undefined)
    .join(", ") || "no limit"

const quantiles = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99]
] as const

export const waitPlot = ({ latencies, waits }: Outcome): Shown => {
  const scale = Distribution.logScaleOf(waits, latencies)
  const { at, share } = Distribution.cumulative(waits, scale)
  const whole = Distribution.cumulative(latencies, scale).share
  return {
    plot: {
      ...blank,
      id: "waits",
      height: 300,
      x: "decades",
      xRange: [scale.zero.from - 0.125, scale.high],
      y: "share",
      at,
      lines: [
        { label: "waited", colour: "first", filled: false, values: share },
        { label: "answered", colour: "second", filled: false, values: whole }
      ],
      bars: Distribution.histogram(waits, scale),
      marks: quantiles.flatMap(([name, share]) => {
        const value = Distribution.quantile(waits, share)
        return value === undefined
          ? []
          : [
              {
                at: Distribution.placeOf(scale, value),
                share: Distribution.shareUpTo(waits, Math.max(value, Distribution.atOnce)),
                label: `${name} ${duration(value)}`
              }
            ]
      }),
      named: [{ at: (scale.zero.from + scale.zero.to) / 2, name: "0" }]
    },
    caption: waitCaption(waits)
  }
}

const waitCaption = (waits: ReadonlyArray<number>): string => {
  const [p50, p90, p99] = quantiles.map(([, share]) => Distribution.quantile(waits, share))
  const longest = waits.at(-1)
  if (p50 === undefined || p90 === undefined || p99 === undefined || longest === undefined) {
    return "No request was given a slot."
  }
  if (longest === 0) return "Every request could start at once."
  const atOnce = waits.filter((wait) => wait < Distribution.atOnce).length / waits.length
  return `${percent(atOnce)} of the requests started within 10 ms. Half waited no longer than ${duration(p50)}, nine in ten no longer than ${duration(p90)}, 99 in 100 no longer than ${duration(p99)}; the longest wait was ${duration(longest)}.`
}
