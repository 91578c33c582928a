/** How the server does, at one look: traffic, the line, what upstreams refuse, the budget, and what needs a person. */
import { useState } from "preact/hooks"
import type { Overview as Shown } from "../../contract/overview.ts"
import { TokenState } from "../../contract/tokens.ts"
import { useLive } from "../live.ts"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { useAsked } from "../useAsked.ts"
import { useSlices } from "../useSlices.ts"
import { When } from "../When.tsx"
import { activeAlerts } from "./Alerts.tsx"
import { TrafficPlots } from "./TrafficPlots.tsx"

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
      <TrafficPlots overview={overview} history={history} window={minutes * minute} />
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

const count = new Intl.NumberFormat("en")

type Standing = Shown["tokens"][number]

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
                {TokenState.literals
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
        {
          title: "Reason",
          cell: ({ reason, times }) => (times === undefined ? reason : `${reason}, ${times} times more`)
        }
      ]}
    />
  )
}
