/** Takes a token into the pool. What is typed goes to the server and stays nowhere here. */
import { Redacted } from "effect"
import { TokenKind } from "../../domain/Token.ts"
import { say } from "../Said.tsx"
import { Refusal } from "../Refusal.tsx"
import { ask } from "../server.ts"
import { useProviders } from "../useProviders.ts"
import { useSending } from "../useSending.ts"

const kinds = TokenKind.literals.toReversed()

export const AddToken = ({ onDone }: { readonly onDone: () => void }) => {
  const { isBusy, send, trouble } = useSending()
  const providers = useProviders()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const written = new FormData(form)
    const text = (field: string) => String(written.get(field) ?? "").trim()
    const name = text("name")
    const refresh = text("refresh")
    const kind = kinds.find((kind) => kind === text("kind"))
    const payload = {
      token: Redacted.make(text("token")),
      provider: text("provider"),
      ...(kind !== undefined && { kind }),
      ...(name !== "" && { name }),
      ...(refresh !== "" && { refresh_token: Redacted.make(refresh) })
    }
    void send(async () => {
      const added = await ask(({ console }) => console.addToken({ payload }))
      form.reset()
      say(`${added.name} added`)
      onDone()
    })
  }
  return (
    <details class="fold">
      <summary>Add a token</summary>
      <form class="row" onSubmit={submitted} aria-label="Add a token">
        <label>
          Provider
          <select name="provider">
            {providers.map((provider) => (
              <option key={provider}>{provider}</option>
            ))}
          </select>
        </label>
        <label>
          Name
          <input name="name" maxLength={100} placeholder="Token-n" />
        </label>
        <label>
          Kind
          <select name="kind">
            {kinds.map((kind) => (
              <option key={kind}>{kind}</option>
            ))}
          </select>
        </label>
        <label>
          Token
          <input name="token" type="password" autocomplete="off" required maxLength={8192} />
        </label>
        <label>
          Refresh token, if it has one
          <input name="refresh" type="password" autocomplete="off" maxLength={8192} />
        </label>
        <button type="submit" aria-disabled={isBusy}>
          Add
        </button>
        <Refusal text={trouble} />
      </form>
    </details>
  )
}
