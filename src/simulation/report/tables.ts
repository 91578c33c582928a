/** The tables of a report. */
import type { Figure, Outcome, ProviderOutcome } from "../outcome.ts"
import { mean, quantile } from "./distribution.ts"
import { html, type Markup } from "./markup.ts"
import { limitsOf } from "./plots.ts"
import { count, duration, percent } from "./wording.ts"

export const figuresOf = (figures: ReadonlyArray<Figure>): Markup =>
  html`<table>
    <thead>
      <tr>
        <th scope="col">Figure</th>
        <th scope="col" class="number">Value</th>
        <th scope="col" class="number">Goal</th>
        <th scope="col" class="verdict">Verdict</th>
      </tr>
    </thead>
    <tbody>
      ${figures.map(
        (figure) =>
          html`<tr>
            <th scope="row">${capitalised(figure.name)}</th>
            <td class="number value">${valueOf(figure, figure.value)}</td>
            <td class="number">${figure.bound === "at least" ? "≥" : "<"} ${valueOf(figure, figure.goal)}</td>
            ${figure.met ? html`<td class="verdict met">✓ met</td>` : html`<td class="verdict missed">✗ missed</td>`}
          </tr>`
      )}
    </tbody>
  </table>`

const valueOf = ({ unit }: Figure, value: number): string => (unit === "share" ? percent(value) : duration(value))

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

export const timesOf = ({ latencies, leastMeanWaitMs, waits }: Outcome): Markup => {
  const said = (value: number | undefined) => (value === undefined ? "–" : duration(value))
  const row = (name: string, read: (values: ReadonlyArray<number>) => number | undefined) =>
    html`<tr>
      <th scope="row">${name}</th>
      <td class="number">${said(read(waits))}</td>
      <td class="number">${said(read(latencies))}</td>
    </tr>`
  return html`<div>
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col" class="number">in line</th>
          <th scope="col" class="number">until the end</th>
        </tr>
      </thead>
      <tbody>
        ${row("mean", mean)}${row("half (p50)", (values) => quantile(values, 0.5))}${row("90 % (p90)", (values) => quantile(values, 0.9))}${row("99 % (p99)", (values) => quantile(values, 0.99))}${row("longest", (values) => values.at(-1))}
      </tbody>
    </table>
    <p class="note reasons">
      An ideal dispatcher, which knows every limit, takes no time and refuses nobody, has a mean wait of
      ${duration(leastMeanWaitMs)} on this trace.
    </p>
  </div>`
}

/** On a narrow screen each row becomes a block; the roles keep it a table for those who hear it. */
export const providersOf = (providers: ReadonlyArray<ProviderOutcome>): Markup => {
  const all = providers.reduce((sum, { calls }) => sum + calls, 0)
  const columns: ReadonlyArray<readonly [string, (provider: ProviderOutcome) => string]> = [
    ["Calls", ({ calls }) => count(calls)],
    ["Share", ({ calls }) => (all === 0 ? "–" : percent(Math.round((calls / all) * 1_000) / 1_000))],
    ["Served", ({ served }) => count(served)],
    ["429s", ({ throttled }) => count(throttled)],
    ["Failed", ({ failed }) => count(failed)],
    ["In use while waiting", ({ useWhileWaiting }) => (useWhileWaiting === undefined ? "–" : percent(useWhileWaiting))],
    ["Waited for", ({ waitingMs }) => duration(waitingMs)]
  ]
  return html`<table class="blocks" role="table" aria-labelledby="providers-head">
    <thead role="rowgroup">
      <tr role="row">
        <th scope="col" role="columnheader">Provider</th>
        ${columns.map(([name]) => html`<th scope="col" role="columnheader" class="number">${name}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${providers.map(
        (provider) =>
          html`<tr role="row">
            <th scope="row" role="rowheader">${provider.name} <small>${limitsOf(provider)}</small></th>
            ${columns.map(([name, read]) => html`<td role="cell" class="number" data-name="${name}">${read(provider)}</td>`)}
          </tr>`
      )}
    </tbody>
  </table>`
}

export const requestsOf = ({ requests }: Outcome): Markup => {
  const { answered, asked, failed, reasons, refused } = requests
  const row = (name: string, value: number, why = "") =>
    html`<tr>
      <th scope="row">${name}${why === "" ? undefined : html` <small>${why}</small>`}</th>
      <td class="number">${count(value)}</td>
      <td class="number">${asked === 0 ? "–" : percent(value / asked)}</td>
    </tr>`
  const why = Object.entries(reasons)
    .filter(([, times]) => times > 0)
    .toSorted(([, a], [, b]) => b - a)
  return html`<table>
      <thead>
        <tr>
          <th scope="col">What became of them</th>
          <th scope="col" class="number">Requests</th>
          <th scope="col" class="number">Share</th>
        </tr>
      </thead>
      <tbody>
        ${row("answered", answered, "with a whole answer")}${row("refused", refused, "no slot in time, or nobody who could")}${row("failed", failed, "every other end")}${row("asked", asked, "in all")}
      </tbody>
    </table>
    ${why.length === 0 ? undefined : html`<p class="note reasons">Why not: ${why.map(([tag, times]) => `${tag} ${count(times)}`).join(", ")}.</p>`}`
}
