/** The overview's plots, each with what it comes to now: requests, the queue, upstream 429s, acquisitions. */
import type { ComponentChildren } from "preact"
import { useMemo } from "preact/hooks"
import type { Overview } from "../../contract/overview.ts"
import { rates, sums } from "../history.ts"
import { Plot, type Series } from "../Plot.tsx"
import { span } from "../time.ts"

interface Properties {
  readonly overview: Overview
  readonly history: Overview["history"]
  /** How much of it, in milliseconds. */
  readonly window: number
}

const rate = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
const count = new Intl.NumberFormat("en")

export const TrafficPlots = ({ history, overview, window }: Properties) => {
  const { acquisitions, queue, requests, upstream_throttled: throttled } = overview
  const { failed, left, limited, refused, served } = requests.per_second
  const ended = served + limited + refused + failed + left
  const plots = useMemo(() => seriesOf(history, acquisitions), [history, acquisitions?.hour.limit])
  const common = { at: history.at, window }
  return (
    <div class="panels">
      <Panel
        title="Requests"
        value={rate.format(ended)}
        unit="a second"
        more={[
          `${count.format(requests.under_way)} under way`,
          requests.latency === null
            ? "none answered in the last minute"
            : `half answered within ${span(requests.latency.p50)}, 95 % within ${span(requests.latency.p95)}`,
          limited + failed === 0 ? "none failed" : `${rate.format(limited + failed)} failed a second`
        ]}
      >
        <Plot {...common} label={`Requests: ${rate.format(ended)} a second`} series={plots.requests} />
      </Panel>
      <Panel
        title="Queue"
        value={count.format(queue.waiting)}
        unit="waiting"
        more={[
          `${count.format(queue.in_use)} at work`,
          queue.oldest_wait === null ? "nobody waits" : `the first for ${span(queue.oldest_wait)}`
        ]}
      >
        <Plot {...common} label={`Queue: ${queue.waiting} waiting`} series={plots.queue} least={4} />
      </Panel>
      <Panel
        title="Upstream 429s"
        value={count.format(throttled.last_minute)}
        unit="in the last minute"
        isBad={throttled.last_minute > 0}
        more={[`${count.format(throttled.total)} since the start`]}
      >
        <Plot
          {...common}
          label={`Upstream 429s: ${throttled.last_minute} in the last minute`}
          series={plots.throttled}
          least={4}
        />
      </Panel>
      <Panel
        title="Acquisitions"
        value={acquisitions === null ? "?" : `${acquisitions.hour.used} of ${acquisitions.hour.limit}`}
        unit="this hour"
        isBad={acquisitions !== null && acquisitions.hour.used >= acquisitions.hour.limit}
        more={acquisitions === null ? ["the store is away"] : budgetOf(acquisitions, overview.at)}
      >
        <Plot
          {...common}
          label={
            acquisitions === null
              ? "Acquisitions: unknown"
              : `Acquisitions: ${acquisitions.hour.used} of ${acquisitions.hour.limit} this hour`
          }
          series={plots.acquisitions}
          least={acquisitions?.hour.limit ?? 1}
        />
      </Panel>
    </div>
  )
}

const seriesOf = (history: Overview["history"], budget: Overview["acquisitions"]) => {
  const { acquisitions, failures, requests, step, throttled, waiting } = history
  const used = sums(acquisitions)
  const spent: ReadonlyArray<Series> = [{ label: "attempts", colour: "--accent", values: used, as: "steps" }]
  return {
    requests: [
      { label: "requests", colour: "--accent", values: rates(requests, step), as: "area" },
      { label: "failed, or told to wait", colour: "--bad", values: rates(failures, step) }
    ],
    queue: [{ label: "waiting", colour: "--waiting", values: waiting, as: "steps" }],
    throttled: [{ label: "429s in 5 s", colour: "--bad", values: throttled, as: "bars" }],
    acquisitions:
      budget === null
        ? spent
        : [...spent, { label: "budget", colour: "--warn", values: used.map(() => budget.hour.limit), as: "limit" }]
  } satisfies Record<string, ReadonlyArray<Series>>
}

const budgetOf = (
  { consecutive_failures, day, limited_by, next_allowed_at }: NonNullable<Overview["acquisitions"]>,
  now: number
) => [
  `${day.used} of ${day.limit} this day`,
  next_allowed_at === null ? "one is allowed now" : `the next in ${span(next_allowed_at - now)} (${limited_by})`,
  ...(consecutive_failures > 0 ? [`${consecutive_failures} failed in a row`] : [])
]

interface PanelProperties {
  readonly title: string
  readonly value: string
  readonly unit: string
  readonly more: ReadonlyArray<string>
  readonly isBad?: boolean
  readonly children: ComponentChildren
}

const Panel = ({ children, isBad = false, more, title, unit, value }: PanelProperties) => (
  <section class="panel" aria-label={title}>
    <h2>{title}</h2>
    <p class={isBad ? "value trouble" : "value"}>
      {value} <small>{unit}</small>
    </p>
    <p class="faint more">{more.join(" · ")}</p>
    {children}
  </section>
)
