/** What was changed, and by whom. */
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { usePages } from "../usePages.ts"

export const Audit = () => {
  const paged = usePages((before) =>
    ask(({ admin }) => admin.audit({ query: { limit: 50, ...(before !== undefined && { before }) } })).then(
      ({ entries, next }) => ({ rows: entries, next })
    )
  )
  return (
    <>
      <Table
        asked={paged}
        label="Changes"
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
      <Pager of={paged} what="change" />
    </>
  )
}
