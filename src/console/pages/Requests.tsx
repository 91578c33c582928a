/** The requests that were explained, and one of them step by step. */
import type { TraceSummary } from "../../contract/console.ts"
import type { Trace } from "../../traffic/journey.ts"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { span } from "../time.ts"
import { useAsked } from "../useAsked.ts"
import { When } from "../When.tsx"

export const Requests = ({ what }: { readonly what: string }) => (what === "" ? <List /> : <One id={what} />)

const List = () => {
  const asked = useAsked(
    () => ask(({ console }) => console.requests({ query: { limit: 100 } })).then(({ requests }) => requests),
    { on: "request" }
  )
  return (
    <Table
      asked={asked}
      label="Requests"
      keyOf={({ id }) => id}
      empty="No request was explained yet: send one with the header x-weirgate-explain: 1."
      columns={[
        { title: "When", cell: ({ startedAt }) => <When at={Date.parse(startedAt)} /> },
        {
          title: "Request",
          cell: ({ id }) => (
            <a href={`#/requests/${encodeURIComponent(id)}`}>
              <code>{id}</code>
            </a>
          )
        },
        { title: "Model", cell: ({ model }) => model },
        { title: "Client", cell: ({ client }) => client },
        { title: "Outcome", cell: outcomeOf },
        { title: "Served by", cell: ({ target }) => target ?? <span class="faint">nobody</span> },
        { title: "Attempts", isNumber: true, cell: ({ attempts }) => String(attempts) },
        { title: "In line", isNumber: true, cell: ({ queuedMs }) => span(queuedMs) }
      ]}
    />
  )
}

const outcomeOf = ({ outcome }: Pick<TraceSummary, "outcome">) => (
  <span class={`tag ${outcome === "served" || outcome === "ok" ? "done" : "refused"}`}>{outcome}</span>
)

const One = ({ id }: { readonly id: string }) => {
  const { answer, trouble } = useAsked(() => ask(({ traces }) => traces.request({ params: { id } })), { about: id })
  return (
    <>
      <p>
        <a href="#/requests">All requests</a>
      </p>
      {trouble !== undefined && answer === undefined && (
        <p class="notice trouble" role="status">
          {trouble.message}
        </p>
      )}
      {answer === undefined && trouble === undefined && <p class="notice">Loading …</p>}
      {answer !== undefined && <Explained trace={answer} />}
    </>
  )
}

const Explained = ({ trace }: { readonly trace: Trace }) => {
  const { attempts, client, id, model, outcome, priority, queuedMs, startedAt, steps, target, timeout } = trace
  const end = Math.max(1, ...steps.map(({ at, took = 0 }) => at + took))
  const facts = {
    Outcome: outcomeOf({ outcome }),
    Began: <When at={Date.parse(startedAt)} />,
    Model: model,
    Client: client,
    "Served by": target ?? "nobody",
    Attempts: attempts,
    "In line": span(queuedMs),
    Priority: priority,
    "Given in all": span(timeout)
  }
  return (
    <>
      <h2>
        Request <code>{id}</code>
      </h2>
      <dl class="facts">
        {Object.entries(facts).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Table
        asked={{ answer: steps.map((step, n) => ({ ...step, n })), trouble: undefined }}
        label="Steps"
        keyOf={({ n }) => String(n)}
        empty="Nothing happened to it."
        columns={[
          { title: "At", isNumber: true, cell: ({ at }) => span(at) },
          { title: "Step", cell: ({ step }) => <code>{step}</code> },
          {
            title: "Took",
            cell: ({ at, took }) => (
              <span class="took">
                {took === undefined ? "" : span(took)}
                <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                  <rect x={(at / end) * 100} y="0" width={Math.max(0.6, ((took ?? 0) / end) * 100)} height="4" />
                </svg>
              </span>
            )
          },
          { title: "Where", cell: ({ target }) => target ?? "" },
          { title: "Token", cell: ({ token }) => (token === undefined ? "" : <code>{token}</code>) },
          {
            title: "Detail",
            cell: ({ detail = "", skipped = [] }) => (
              <>
                {detail}
                {skipped.map(({ target, why }) => (
                  <div key={target} class="faint">
                    passed over {target}: {why}
                  </div>
                ))}
              </>
            )
          }
        ]}
      />
    </>
  )
}
