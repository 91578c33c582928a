/** What was changed, and by whom. */
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"

export const Audit = () => {
  const asked = useAsked(() =>
    ask(({ admin }) => admin.audit({ query: { limit: 200 } })).then(({ entries }) => entries)
  )
  return (
    <Table
      asked={asked}
      keyOf={({ action, at, subject }) => `${at} ${action} ${subject}`}
      empty="Nothing has been changed yet."
      columns={[
        { title: "When", cell: ({ at }) => <When at={at} /> },
        { title: "Who", cell: ({ actor }) => actor },
        { title: "From", cell: ({ address }) => address ?? <span class="faint">this machine</span> },
        { title: "What", cell: ({ action }) => <code>{action}</code> },
        { title: "Subject", cell: ({ subject }) => subject },
        { title: "Result", cell: ({ result }) => <span class={`tag ${result}`}>{result}</span> },
        { title: "Detail", cell: ({ detail }) => detail ?? "" }
      ]}
    />
  )
}
