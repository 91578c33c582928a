/** How the tokens' health checks ended. */
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { usePages } from "../usePages.ts"

export const Checks = () => {
  const paged = usePages((before) =>
    ask(({ admin }) => admin.checks({ query: { limit: 50, ...(before !== undefined && { before }) } })).then(
      ({ checks, next }) => ({ rows: checks, next })
    )
  )
  return (
    <>
      <Table
        asked={paged}
        label="Checks"
        keyOf={({ at, token }) => `${at} ${token}`}
        empty="No token has been checked yet: the first checks come within five minutes of a start."
        columns={[
          { title: "When", cell: ({ at }) => <When at={at} /> },
          { title: "Token", cell: ({ name, token }) => <span title={token}>{name}</span> },
          { title: "Provider", cell: ({ provider }) => provider },
          {
            title: "Result",
            cell: ({ ok }) => <span class={`tag ${ok ? "done" : "refused"}`}>{ok ? "good" : "failed"}</span>
          },
          { title: "Took", isNumber: true, cell: ({ took }) => `${Math.round(took)} ms` },
          { title: "Detail", cell: ({ detail }) => detail ?? "" }
        ]}
      />
      <Pager of={paged} what="check" />
    </>
  )
}
