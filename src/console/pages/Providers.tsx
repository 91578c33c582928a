/** How the providers stand, and whether a person lets them go on. */
import { Act } from "../Act.tsx"
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"

type Provider = Awaited<ReturnType<typeof listed>>[number]

const listed = () => ask(({ providers }) => providers.list()).then(({ providers }) => providers)

export const Providers = () => {
  const asked = useAsked(listed, 2_000)
  return (
    <Table
      asked={asked}
      keyOf={({ name }) => name}
      empty="No provider answers models."
      columns={[
        { title: "Name", cell: ({ name }) => name },
        { title: "State", cell: stateOf },
        { title: "At work", isNumber: true, cell: ({ in_use, limits }) => of(in_use, limits.concurrency) },
        { title: "This minute", isNumber: true, cell: ({ last_minute, limits }) => of(last_minute, limits.rpm) },
        { title: "Waiting", isNumber: true, cell: ({ waiting }) => String(waiting) },
        { title: "Tokens", isNumber: true, cell: ({ tokens }) => `${tokens.usable} of ${tokens.held}` },
        {
          title: "Out of order",
          cell: ({ targets }) =>
            targets
              .filter(({ circuit }) => circuit === "open")
              .map(({ model }) => model)
              .join(", ")
        },
        {
          title: "Actions",
          cell: ({ name, paused }) => (
            <span class="actions">
              {paused ? (
                <Act
                  label="Resume"
                  of={name}
                  act={() => ask(({ providers }) => providers.resume({ params: { name } }))}
                  onDone={asked.again}
                />
              ) : (
                <Act
                  label="Pause"
                  of={name}
                  act={() => ask(({ providers }) => providers.pause({ params: { name } }))}
                  onDone={asked.again}
                />
              )}
              <Act
                label="Reset"
                of={name}
                act={() => ask(({ providers }) => providers.reset({ params: { name } }))}
                onDone={asked.again}
              />
            </span>
          )
        }
      ]}
    />
  )
}

const of = (count: number, { learned, most }: Provider["limits"]["rpm"]) =>
  most === null ? `${count}` : `${count} of ${learned ? "about " : ""}${most}`

const stateOf = ({ held_until, paused, paused_since }: Provider) => {
  if (paused) {
    return (
      <>
        <span class="tag disabled">paused</span> <When at={paused_since} />
      </>
    )
  }
  return held_until !== null && held_until > Date.now() ? (
    <>
      <span class="tag cooling">left alone</span> until <When at={held_until} />
    </>
  ) : (
    <span class="tag active">in order</span>
  )
}
