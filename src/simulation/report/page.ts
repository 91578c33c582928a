/** The words of a report, around its plots and tables. */
import { version } from "../../version.ts"
import type { Figure, Outcome, ProviderOutcome } from "../outcome.ts"
import { html, type Markup } from "./markup.ts"
import { limitsOf, type Shown } from "./plots.ts"
import { figuresOf, providersOf, requestsOf, timesOf } from "./tables.ts"
import { count, duration, percent, plural } from "./wording.ts"

export interface Plots {
  readonly queue: Shown
  /** One for each provider, in their order. */
  readonly use: ReadonlyArray<Shown>
  readonly waits: Shown
}

export const titleOf = ({ scenario }: Outcome): string => `${scenario.trace}, simulated`

export const bodyOf = (outcome: Outcome, plots: Plots): Markup => html`
  <header>
    <p class="eyebrow">Weirgate simulation</p>
    <h1>${duration(outcome.scenario.lengthMs)} of ${outcome.scenario.trace}</h1>
    <p class="lead">${leadOf(outcome)}</p>
    ${scenarioOf(outcome)}
  </header>
  <main>
    <section aria-labelledby="figures-head">
      <div class="head">
        <h2 id="figures-head">Goals</h2>
        <p class="note">${verdictOf(outcome.figures)}</p>
      </div>
      ${figuresOf(outcome.figures)}
    </section>
    <section aria-labelledby="queue-head">
      <div class="head">
        <h2 id="queue-head">Requests in line</h2>
        <p class="read" id="queue-read" aria-hidden="true"></p>
      </div>
      <p class="note">
        How many waited, each counted once. Drag across a plot to look closer, double-click to go back.
      </p>
      ${figureOf(plots.queue)}
    </section>
    <section aria-labelledby="use-head">
      <h2 id="use-head">Use of each provider</h2>
      <p class="note">
        The share of its limits in use: of the calls it takes at once, and of those it takes within 60 seconds.
      </p>
      <ul class="legend">
        <li><i></i>concurrency</li>
        <li><i class="second"></i>minute</li>
        <li><i class="waiting"></i>a request waits for it</li>
        ${faultLegendOf(outcome)}
      </ul>
      <div class="uses">${outcome.providers.map((provider, index) => useOf(provider, plots.use[index]))}</div>
    </section>
    <section aria-labelledby="waits-head">
      <div class="head">
        <h2 id="waits-head">How long it took</h2>
        <p class="read" id="waits-read" aria-hidden="true"></p>
      </div>
      <p class="note">
        The share of requests that had waited in line no longer than this, and of answers that were complete within it.
      </p>
      <div class="pair">
        <div>
          <ul class="legend">
            <li><i></i>in line</li>
            <li><i class="second"></i>until the answer’s end</li>
            <li><i class="bars"></i>how many waited about so long</li>
          </ul>
          ${figureOf(plots.waits)}
        </div>
        ${timesOf(outcome)}
      </div>
    </section>
    <section aria-labelledby="providers-head">
      <h2 id="providers-head">Providers</h2>
      ${providersOf(outcome.providers)}
    </section>
    <section aria-labelledby="requests-head">
      <h2 id="requests-head">Requests</h2>
      ${requestsOf(outcome)}
    </section>
  </main>
  <footer>Weirgate ${version}. The same trace, configuration and seed give the same report.</footer>
`

const leadOf = ({ figures, requests, scenario }: Outcome): Markup => {
  const missed = figures.filter(({ met }) => !met)
  const met =
    missed.length === 0 ? "All goals are met" : `${figures.length - missed.length} of ${figures.length} goals are met`
  const pace =
    scenario.speed === 1
      ? "as fast as they were recorded"
      : `${Number(scenario.speed.toPrecision(4))} times as fast as they were recorded`
  return html`${plural(requests.asked, "request")} for <strong>${scenario.model}</strong>, ${pace}, through the code
    that serves. <strong>${met}.</strong>`
}

const scenarioOf = ({ scenario }: Outcome): Markup => {
  const told: ReadonlyArray<readonly [string, string]> = [
    ["Mean load", percent(scenario.meanLoad)],
    ["Busiest minute", percent(scenario.busiestMinuteLoad)],
    ["Capacity", `${count(scenario.capacityPerMinute)} a minute`],
    ["Rows of the trace", count(scenario.rows)],
    ["Length", duration(scenario.lengthMs)],
    ["Seed", scenario.seed]
  ]
  return html`<dl class="scenario">
    ${told.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`
    )}
  </dl>`
}

const verdictOf = (figures: ReadonlyArray<Figure>): string => {
  const missed = figures.filter(({ met }) => !met).map(({ name }) => name)
  return missed.length === 0 ? "All are met." : `Missed: ${missed.join(", ")}.`
}

const figureOf = ({ caption, plot }: Shown): Markup =>
  html`<figure>
    <div class="plot" id="${plot.id}" role="img" aria-labelledby="${plot.id}-caption"></div>
    <figcaption id="${plot.id}-caption">${caption}</figcaption>
  </figure>`

const faultLegendOf = ({ providers }: Outcome): Markup | undefined =>
  providers.some(({ faults }) => faults.length > 0) ? html`<li><i class="fault"></i>fault</li>` : undefined

const useOf = (provider: ProviderOutcome, shown: Shown | undefined): Markup =>
  shown === undefined
    ? html``
    : html`<div>
        <div class="head">
          <h3>${provider.name} <span class="limits">${limitsOf(provider)}</span></h3>
          <p class="read" id="${shown.plot.id}-read" aria-hidden="true"></p>
        </div>
        ${figureOf(shown)}
      </div> `
