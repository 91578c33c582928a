/** What needs a person, and what did. */
import { Pager } from "../Pager.tsx"
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"
import { usePages } from "../usePages.ts"
import { useSlices } from "../useSlices.ts"

/** Those that hold now: at most one of each rule and provider. */
export const activeAlerts = () =>
  ask(({ alerts }) => alerts.alerts({ query: { limit: 1 } })).then(({ active }) => active)

export const Alerts = () => {
  const holding = useSlices(useAsked(activeAlerts))
  const before = usePages((before) =>
    ask(({ alerts }) => alerts.alerts({ query: { limit: 50, ...(before !== undefined && { before }) } })).then(
      ({ next, recent }) => ({ rows: recent, next })
    )
  )
  return (
    <>
      <Table
        label="Alerts that hold"
        asked={holding}
        keyOf={({ id }) => id}
        empty="Nothing needs you."
        columns={[
          { title: "Since", cell: ({ since }) => <When at={since} /> },
          { title: "Rule", cell: ({ rule }) => <code>{rule}</code> },
          { title: "Of", cell: ({ subject }) => subject },
          { title: "Message", cell: ({ message }) => <span class="trouble">{message}</span> }
        ]}
      />
      {(holding.total ?? 0) > 0 && <Pager of={holding} what="alert" />}
      <h2>Before</h2>
      <Table
        label="Alerts of before"
        asked={before}
        keyOf={({ at, event, id }) => `${at} ${event} ${id}`}
        empty="Nothing has needed you yet."
        columns={[
          { title: "When", cell: ({ at }) => <When at={at} /> },
          {
            title: "Event",
            cell: ({ event }) => <span class={`tag ${event === "fired" ? "refused" : "done"}`}>{event}</span>
          },
          { title: "Rule", cell: ({ rule }) => <code>{rule}</code> },
          { title: "Of", cell: ({ subject }) => subject },
          { title: "Message", cell: ({ message }) => message }
        ]}
      />
      <Pager of={before} what="event" />
    </>
  )
}
