/** The keys that clients show. */
import { Redacted } from "effect"
import { useState } from "preact/hooks"
import { Act } from "../Act.tsx"
import { Pager } from "../Pager.tsx"
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"
import { useSlices } from "../useSlices.ts"
import { useSending } from "../useSending.ts"

export const Keys = () => {
  const asked = useSlices(useAsked(() => ask(({ admin }) => admin.keys()).then(({ keys }) => keys)))
  return (
    <>
      <Make onDone={asked.again} />
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
                  act={() => ask(({ admin }) => admin.revokeKey({ params: { id } }))}
                  onDone={asked.again}
                />
              ) : (
                ""
              )
          }
        ]}
      />
      <Pager of={asked} what="key" />
    </>
  )
}

const roles = ["inference", "token", "admin"] as const

const Make = ({ onDone }: { readonly onDone: () => void }) => {
  const [key, setKey] = useState<string>()
  const { isBusy, send, trouble } = useSending()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const written = new FormData(form)
    const role = roles.find((role) => role === written.get("role")) ?? "inference"
    void send(async () => {
      const made = await ask(({ admin }) => admin.createKey({ payload: { name: String(written.get("name")), role } }))
      form.reset()
      setKey(Redacted.value(made.key))
      onDone()
    })
  }
  return (
    <>
      <form class="row" onSubmit={submitted}>
        <label>
          Name
          <input name="name" required maxLength={64} />
        </label>
        <label>
          Role
          <select name="role">
            {roles.map((role) => (
              <option key={role}>{role}</option>
            ))}
          </select>
        </label>
        <button type="submit" disabled={isBusy}>
          Make a key
        </button>
        {trouble !== undefined && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
      </form>
      {key !== undefined && (
        <p class="notice" role="status">
          This key is shown once: <code class="secret">{key}</code>{" "}
          <button type="button" class="small" onClick={() => setKey(undefined)}>
            I have it
          </button>
        </p>
      )}
    </>
  )
}
