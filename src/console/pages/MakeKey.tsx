/** Makes a key, which is shown once: until whoever made it has it, or leaves the page. */
import { Redacted } from "effect"
import { useEffect, useRef, useState } from "preact/hooks"
import { Role } from "../../access/Client.ts"
import { say } from "../Said.tsx"
import { Refusal } from "../Refusal.tsx"
import { ask } from "../server.ts"
import { useSending } from "../useSending.ts"

const roles = Role.literals

/** As the server takes it: what is left empty is not said. */
const payloadOf = (form: HTMLFormElement) => {
  const written = new FormData(form)
  const text = (field: string) => String(written.get(field) ?? "").trim()
  const models = text("models")
    .split(/[\s,]+/)
    .filter((model) => model !== "")
  return {
    name: text("name"),
    role: roles.find((role) => role === text("role")) ?? "inference",
    ...(text("priority") !== "" && { priority: Number(text("priority")) }),
    ...(text("rpm") !== "" && { rpm: Number(text("rpm")) }),
    ...(models.length > 0 && { models }),
    ...(text("expires") !== "" && { expires_at: new Date(text("expires")).getTime() })
  }
}

export const MakeKey = ({ onDone }: { readonly onDone: () => void }) => {
  const [key, setKey] = useState<string>()
  const { isBusy, send, trouble } = useSending()
  const name = useRef<HTMLInputElement>(null)
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    void send(async () => {
      const payload = payloadOf(form)
      const made = await ask(({ admin }) => admin.createKey({ payload }))
      form.reset()
      setKey(Redacted.value(made.key))
      say(`${payload.name} made`)
      onDone()
    })
  }
  const hadKey = useRef(false)
  useEffect(() => {
    // The form is there again, and the button that was pressed is not.
    if (hadKey.current && key === undefined) name.current?.focus()
    hadKey.current = key !== undefined
  }, [key])
  return (
    <>
      {/* One that is shown is not replaced by the next before somebody has it. */}
      <form class="make" onSubmit={submitted} aria-label="Make a key" hidden={key !== undefined}>
        <div class="row">
          <label>
            Name
            <input name="name" ref={name} required maxLength={64} autocomplete="off" />
          </label>
          <label>
            Role
            <select name="role">
              {roles.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </select>
          </label>
          <button type="submit" aria-disabled={isBusy}>
            Make a key
          </button>
        </div>
        <details class="fold">
          <summary>Limit it</summary>
          <div class="row">
            <label>
              Expires
              <input name="expires" type="datetime-local" />
            </label>
            <label>
              Requests a minute
              <input name="rpm" type="number" min={1} max={1_000_000} placeholder="any" />
            </label>
            <label>
              Priority, 0 to 9
              <input name="priority" type="number" min={0} max={9} placeholder="5" />
            </label>
            <label>
              Models, with commas between
              <input name="models" placeholder="all" autocomplete="off" />
            </label>
          </div>
        </details>
        <Refusal text={trouble} />
      </form>
      {key !== undefined && <Made secret={key} onTaken={() => setKey(undefined)} />}
    </>
  )
}

const Made = ({ onTaken, secret }: { readonly secret: string; readonly onTaken: () => void }) => {
  const place = useRef<HTMLParagraphElement>(null)
  // The button that was pressed is gone; and whoever does not see the key is read it.
  useEffect(() => place.current?.focus(), [])
  const copied = async () => {
    try {
      await navigator.clipboard.writeText(secret)
      say("Copied")
    } catch {
      say("The browser does not let it be copied: mark it, and copy it by hand")
    }
  }
  return (
    <p class="notice" tabIndex={-1} ref={place}>
      This key is shown once: <code class="secret">{secret}</code>{" "}
      {/* Only a page of this machine, or one that came encrypted, may copy. */}
      {isSecureContext && (
        <button type="button" class="small" onClick={() => void copied()}>
          Copy
        </button>
      )}{" "}
      <button type="button" class="small" onClick={onTaken}>
        I have it
      </button>
    </p>
  )
}
