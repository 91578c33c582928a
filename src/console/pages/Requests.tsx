/** The requests that are kept, and one of them step by step. */
import { useState } from "preact/hooks"
import { Choice } from "../Choice.tsx"
import type { TraceSummary } from "../../contract/console.ts"
import { Outcome, type Trace } from "../../traffic/trace.ts"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { span } from "../time.ts"
import { useAsked } from "../useAsked.ts"
import { usePages } from "../usePages.ts"
import { When } from "../When.tsx"

export const Requests = ({ what }: { readonly what: string }) => (what === "" ? <List /> : <One key={what} id={what} />)

const List = () => {
  const [outcome, setOutcome] = useState<Outcome>()
  const paged = usePages(
    (before) =>
      ask(({ console }) =>
        console.requests({
          query: { limit: 50, ...(outcome !== undefined && { outcome }), ...(before !== undefined && { before }) }
        })
      ).then(({ next, requests }) => ({ rows: requests, next })),
    { about: outcome ?? "", on: "request" }
  )
  // Under load the rows move faster than one of them can be pressed.
  const [held, setHeld] = useState<typeof paged>()
  const chosen = (outcome: Outcome | undefined) => {
    setHeld(undefined)
    setOutcome(outcome)
  }
  return (
    <>
      <p class="faint">
        A few of each second, those that went wrong, and those that were sent with <code>x-weirgate-explain: 1</code>,
        since the start.
      </p>
      <form class="row" role="search" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Ended" options={Outcome.literals} chosen={outcome} onChoose={chosen} />
        <label class="check">
          <input
            type="checkbox"
            checked={held !== undefined}
            onChange={({ currentTarget }) => setHeld(currentTarget.checked ? paged : undefined)}
          />
          Hold still
        </label>
      </form>
      <Table
        asked={held ?? paged}
        label="Requests"
        keyOf={({ id }) => id}
        empty={outcome === undefined ? "Nobody has asked for a model yet." : "No request that is kept has ended so."}
        columns={[
          { title: "When", cell: ({ startedAt }) => <When at={Date.parse(startedAt)} /> },
          {
            title: "Request",
            cell: ({ id, why }) => (
              <>
                <a href={`#/requests/${encodeURIComponent(id)}`}>
                  <code>{id}</code>
                </a>
                {why === "asked" && <span class="faint"> explained</span>}
              </>
            )
          },
          { title: "Model", cell: ({ model }) => model ?? "" },
          { title: "Client", cell: ({ client }) => client ?? <span class="faint">unknown</span> },
          { title: "Outcome", cell: outcomeOf },
          { title: "Served by", cell: ({ target }) => target ?? <span class="faint">nobody</span> },
          { title: "Attempts", isNumber: true, cell: ({ attempts }) => String(attempts) },
          { title: "In line", isNumber: true, cell: ({ queuedMs }) => span(queuedMs) },
          { title: "Took", isNumber: true, cell: ({ took }) => (took === null ? "" : span(took)) }
        ]}
      />
      {held === undefined && <Pager of={paged} what="request" />}
    </>
  )
}

const outcomeOf = ({ ended, outcome, status }: Pick<TraceSummary, "ended" | "outcome" | "status">) =>
  ended === null ? (
    <span class="tag busy">being answered</span>
  ) : (
    <>
      <span class={`tag ${ended}`}>{ended}</span>
      {ended !== "served" && (
        <span class="faint">
          {" "}
          {status} {outcome}
        </span>
      )}
    </>
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
  const { attempts, client, id, model, priority, queuedMs, startedAt, steps, target, timeout, took, why } = trace
  const end = Math.max(1, took ?? 0, ...steps.map(({ at }) => at))
  const facts = {
    Outcome: outcomeOf(trace),
    Began: <When at={Date.parse(startedAt)} />,
    Took: took === null ? "not over yet" : span(took),
    "In line": span(queuedMs),
    Model: model ?? "none",
    Client: client ?? "unknown",
    "Served by": target ?? "nobody",
    Attempts: attempts,
    Priority: priority ?? "",
    "Given in all": timeout === null ? "" : span(timeout)
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
        empty={
          why === "failed"
            ? "It was not watched, only kept for how it ended: send it with x-weirgate-explain: 1 to have each step."
            : "Nothing happened to it."
        }
        columns={[
          { title: "At", isNumber: true, cell: ({ at }) => span(at) },
          { title: "Step", cell: ({ step }) => <code>{step}</code> },
          {
            title: "Took",
            // A step is noted when it is over.
            cell: ({ at, took = 0 }) => (
              <span class="took">
                {took === 0 ? "" : span(took)}
                <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                  <rect x={((at - took) / end) * 99} y="0" width={1 + (took / end) * 99} height="4" />
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
