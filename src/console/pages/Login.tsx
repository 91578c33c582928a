/** Asks for the console's password. */
import { useEffect, useRef, useState } from "preact/hooks"
import { Refusal } from "../Refusal.tsx"
import { logIn } from "../server.ts"
import { useSending } from "../useSending.ts"

interface Properties {
  readonly hasEnded: boolean
  readonly onDone: () => void
}

export const Login = ({ hasEnded, onDone }: Properties) => {
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    document.title = "Log in · Weirgate"
    field.current?.focus()
  }, [])
  const [password, setPassword] = useState("")
  const { isBusy, send, trouble } = useSending()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    void send(async () => {
      await logIn(password)
      onDone()
    })
  }
  return (
    <main class="login">
      <form onSubmit={submitted}>
        <h1>Weirgate</h1>
        {hasEnded && <p role="status">The session has ended. Log in to go on where you were.</p>}
        <label>
          Password
          <input
            ref={field}
            type="password"
            autocomplete="current-password"
            required
            value={password}
            onInput={({ currentTarget }) => setPassword(currentTarget.value)}
            aria-describedby="login-help"
            aria-invalid={trouble !== undefined}
          />
        </label>
        <p id="login-help" class="faint">
          The first one is in the file <code>console-password</code> of the data folder;{" "}
          <code>weirgate admin password</code> sets another.
        </p>
        <Refusal text={trouble} />
        <button type="submit" aria-disabled={isBusy}>
          Log in
        </button>
      </form>
    </main>
  )
}
