/** The tokens of a provider: their state, how they do, and what only a person may decide about them. */
import { Redacted } from "effect"
import { Table } from "../Table.tsx"
import { When } from "../When.tsx"
import { Act } from "../Act.tsx"
import { ask } from "../server.ts"
import { useAsked } from "../useAsked.ts"
import { useSending } from "../useSending.ts"

const provider = "wopan"

export const Tokens = () => {
  const asked = useAsked(() =>
    ask(({ tokens }) => tokens.stats({ query: { provider } })).then(({ data }) => data.tokens)
  )
  return (
    <>
      <Add onDone={asked.again} />
      <Table
        asked={asked}
        keyOf={({ id }) => id}
        empty="The pool holds no token of this provider."
        columns={[
          { title: "Name", cell: ({ id, name }) => <span title={id}>{name}</span> },
          { title: "State", cell: ({ state }) => <span class={`tag ${state}`}>{state}</span> },
          { title: "Good", isNumber: true, cell: ({ success_rate }) => `${success_rate} %` },
          {
            title: "Calls",
            isNumber: true,
            cell: ({ error_count, success_count }) => String(error_count + success_count)
          },
          { title: "Lent", isNumber: true, cell: ({ leased }) => String(leased) },
          {
            title: "Last used",
            cell: ({ last_used }) => <When at={last_used === null ? null : Date.parse(last_used)} />
          },
          { title: "Last error", cell: ({ last_error }) => last_error ?? "" },
          {
            title: "Actions",
            cell: ({ id, name, state }) => (
              <span class="actions">
                <Act
                  label="Check"
                  of={name}
                  act={() => ask(({ admin }) => admin.check({ params: { id } }))}
                  onDone={asked.again}
                />
                {state === "disabled" ? (
                  <Act
                    label="Enable"
                    of={name}
                    act={() => ask(({ admin }) => admin.enable({ params: { id } }))}
                    onDone={asked.again}
                  />
                ) : (
                  <Act
                    label="Disable"
                    of={name}
                    act={() => ask(({ admin }) => admin.disable({ params: { id } }))}
                    onDone={asked.again}
                  />
                )}
                <Act
                  label="Reset"
                  of={name}
                  act={() => ask(({ admin }) => admin.reset({ params: { id } }))}
                  onDone={asked.again}
                />
                <Act
                  label="Remove"
                  of={name}
                  isFinal
                  act={() => ask(({ tokens }) => tokens.remove({ payload: { id, provider } }))}
                  onDone={asked.again}
                />
              </span>
            )
          }
        ]}
      />
    </>
  )
}

const Add = ({ onDone }: { readonly onDone: () => void }) => {
  const { isBusy, send, trouble } = useSending()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const written = new FormData(form)
    const name = String(written.get("name"))
    const token = Redacted.make(String(written.get("token")))
    void send(async () => {
      await ask(({ tokens }) => tokens.add({ payload: { token, provider, ...(name !== "" && { name }) } }))
      form.reset()
      onDone()
    })
  }
  return (
    <form class="row" onSubmit={submitted}>
      <label>
        Name
        <input name="name" maxLength={100} placeholder="Token-n" />
      </label>
      <label>
        Token
        <input name="token" type="password" autocomplete="off" required maxLength={8192} />
      </label>
      <button type="submit" disabled={isBusy}>
        Add
      </button>
      {trouble !== undefined && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </form>
  )
}
