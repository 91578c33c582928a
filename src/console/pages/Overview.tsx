/** How the server does, at one look: traffic, the line, what upstreams refuse, the budget, and what needs a person. */
import { useMemo, useState } from "preact/hooks"
import type { ComponentChildren } from "preact"
import type { Overview as Shown } from "../../contract/console.ts"
import { rates, sums } from "../history.ts"
import { useLive } from "../live.ts"
import { Pager } from "../Pager.tsx"
import { Plot, type Series } from "../Plot.tsx"
import { ask } from "../server.ts"
import { activeAlerts } from "./Alerts.tsx"
import { Table } from "../Table.tsx"
import { span } from "../time.ts"
import { useAsked } from "../useAsked.ts"
import { useSlices } from "../useSlices.ts"
import { When } from "../When.tsx"

const minute = 60_000
const windows = [5, 15, 60]

export const Overview = () => {
  const { away, history, overview } = useLive()
  const [minutes, setMinutes] = useState(15)
  if (overview === undefined || history === undefined) {
    return <p class="notice">{away === undefined ? "Loading …" : "Nothing is known yet."}</p>
  }
  return (
    <>
      <ActiveAlerts />
      <fieldset class="choice">
        <legend>The last</legend>
        {windows.map((choice) => (
          <label key={choice}>
            <input type="radio" name="window" checked={choice === minutes} onChange={() => setMinutes(choice)} />
            {choice === 60 ? "hour" : `${choice} minutes`}
          </label>
        ))}
      </fieldset>
      <Plots overview={overview} history={history} window={minutes * minute} />
      <div class="pair">
        <section aria-labelledby="tokens-heading">
          <h2 id="tokens-heading">
            <a href="#/tokens">Tokens</a>
          </h2>
          <Standings tokens={overview.tokens} />
        </section>
        <section aria-labelledby="decisions-heading">
          <h2 id="decisions-heading">
            <a href="#/decisions">Latest decisions</a>
          </h2>
          <LatestDecisions />
        </section>
      </div>
      <p class="faint">
        Weirgate {overview.version}, started <When at={overview.started_at} />
      </p>
    </>
  )
}

/** The oldest; there may be some for each provider. */
const shownAlerts = 5

const ActiveAlerts = () => {
  const { answer = [] } = useAsked(activeAlerts)
  return (
    <>
      {answer.slice(0, shownAlerts).map(({ id, message, since }) => (
        <p key={id} class="notice alarm">
          <strong>{message}</strong> <a href="#/alerts">Alert</a> since <When at={since} />
        </p>
      ))}
      {answer.length > shownAlerts && (
        <p class="notice alarm">
          <a href="#/alerts">{answer.length - shownAlerts} more alerts</a>
        </p>
      )}
    </>
  )
}

interface Seen {
  readonly overview: Shown
  readonly history: Shown["history"]
  readonly window: number
}

const rate = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
const count = new Intl.NumberFormat("en")

const Plots = ({ history, overview, window }: Seen) => {
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

const seriesOf = (history: Shown["history"], budget: Shown["acquisitions"]) => {
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
  { consecutive_failures, day, limited_by, next_allowed_at }: NonNullable<Shown["acquisitions"]>,
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

type Standing = Shown["tokens"][number]
const states = ["active", "cooling", "exhausted", "disabled", "dead"] as const

const Standings = ({ tokens }: { readonly tokens: ReadonlyArray<Standing> }) => {
  const paged = useSlices({ answer: tokens, trouble: undefined, again: () => undefined })
  return (
    <>
      <Table
        asked={paged}
        label="Tokens by provider"
        keyOf={({ provider }) => provider}
        empty="The pool holds no token."
        columns={[
          { title: "Provider", cell: ({ provider }) => provider },
          { title: "Usable", isNumber: true, cell: ({ total, usable }) => `${usable} of ${total}` },
          { title: "Lent", isNumber: true, cell: ({ leased }) => count.format(leased) },
          {
            title: "States",
            cell: (standing) => (
              <span class="states">
                {states
                  .filter((state) => standing[state] > 0)
                  .map((state) => (
                    <span key={state} class={`tag ${state}`}>
                      {standing[state]} {state}
                    </span>
                  ))}
              </span>
            )
          }
        ]}
      />
      {(paged.page > 1 || paged.hasNext) && <Pager of={paged} what="provider" />}
    </>
  )
}

const LatestDecisions = () => {
  const asked = useAsked(
    () => ask(({ console }) => console.decisions({ query: { limit: 6 } })).then(({ decisions }) => decisions),
    { on: "decision" }
  )
  return (
    <Table
      asked={asked}
      label="Latest decisions"
      keyOf={({ at, caller, errorContext, step }) => `${at} ${step} ${caller} ${errorContext}`}
      empty="No token has been asked for yet."
      columns={[
        { title: "When", cell: ({ at }) => <When at={at} /> },
        { title: "Answer", cell: ({ answer }) => <span class={`tag ${answer}`}>{answer}</span> },
        { title: "Step", cell: ({ step }) => <code>{step}</code> },
        { title: "Reason", cell: ({ reason }) => reason }
      ]}
    />
  )
}
