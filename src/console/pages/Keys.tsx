/** The keys that clients show. */
import { Act } from "../Act.tsx"
import { Pager } from "../Pager.tsx"
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"
import { useSlices } from "../useSlices.ts"
import { ChangePassword } from "./ChangePassword.tsx"
import { MakeKey } from "./MakeKey.tsx"

export const Keys = () => {
  const asked = useSlices(useAsked(() => ask(({ admin }) => admin.keys()).then(({ keys }) => keys)))
  return (
    <>
      <MakeKey onDone={asked.again} />
      <Table
        asked={asked}
        label="Keys"
        keyOf={({ id }) => id}
        empty="There is no key yet: everyone on this machine may ask models."
        columns={[
          { title: "Name", cell: ({ name }) => name },
          { title: "Id", cell: ({ id }) => <code>{id}</code> },
          { title: "Role", cell: ({ role }) => role },
          { title: "State", cell: ({ state }) => <span class={`tag ${state}`}>{state}</span> },
          { title: "A minute", isNumber: true, cell: ({ rpm }) => (rpm === undefined ? "any" : String(rpm)) },
          { title: "Models", cell: ({ models }) => models?.join(", ") ?? "all" },
          { title: "Expires", cell: ({ expires_at }) => <When at={expires_at} /> },
          { title: "Last used", cell: ({ last_used_at }) => <When at={last_used_at} /> },
          {
            title: "Actions",
            cell: ({ id, name, source, state }) =>
              source === "made" && state === "live" ? (
                <Act
                  label="Revoke"
                  of={name}
                  isFinal
                  act={({ admin }) => admin.revokeKey({ params: { id } })}
                  did="revoked"
                  onDone={asked.again}
                />
              ) : (
                ""
              )
          }
        ]}
      />
      <Pager of={asked} what="key" />
      <ChangePassword onDone={asked.again} />
    </>
  )
}
