/** What needs a person, and what did. */
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"

/** Those that hold now. */
export const activeAlerts = () =>
  ask(({ alerts }) => alerts.alerts({ query: { limit: 1 } })).then(({ active }) => active)

export const Alerts = () => {
  const asked = useAsked(() => ask(({ alerts }) => alerts.alerts({ query: { limit: 200 } })))
  const part = <A,>(answer: ReadonlyArray<A> | undefined) => ({ ...asked, answer })
  return (
    <>
      <Table
        label="Alerts that hold"
        asked={part(asked.answer?.active)}
        keyOf={({ id }) => id}
        empty="Nothing needs you."
        columns={[
          { title: "Since", cell: ({ since }) => <When at={since} /> },
          { title: "Rule", cell: ({ rule }) => <code>{rule}</code> },
          { title: "Of", cell: ({ subject }) => subject },
          { title: "Message", cell: ({ message }) => <span class="trouble">{message}</span> }
        ]}
      />
      <h2>Before</h2>
      <Table
        label="Alerts of before"
        asked={part(asked.answer?.recent)}
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
    </>
  )
}
