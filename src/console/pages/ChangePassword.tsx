/** Changes the console's password, which ends all its sessions. */
import { Redacted } from "effect"
import { Refusal } from "../Refusal.tsx"
import { ask } from "../server.ts"
import { useSending } from "../useSending.ts"

/** As the server has it. */
const shortest = 12

export const ChangePassword = ({ onDone }: { readonly onDone: () => void }) => {
  const { isBusy, send, trouble } = useSending()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const written = new FormData(event.currentTarget as HTMLFormElement)
    const secret = (field: string) => Redacted.make(String(written.get(field) ?? ""))
    const payload = { current: secret("current"), password: secret("password") }
    void send(async () => {
      await ask(({ admin }) => admin.password({ payload }))
      onDone()
    })
  }
  return (
    <details class="fold">
      <summary>Change the console's password</summary>
      <form class="row" onSubmit={submitted} aria-label="Change the console's password">
        <label>
          The password now
          <input name="current" type="password" autocomplete="current-password" required maxLength={1024} />
        </label>
        <label>
          The new one, of {shortest} characters or more
          <input
            name="password"
            type="password"
            autocomplete="new-password"
            required
            minLength={shortest}
            maxLength={1024}
          />
        </label>
        <button type="submit" aria-disabled={isBusy}>
          Change it
        </button>
        <Refusal text={trouble} />
      </form>
    </details>
  )
}
