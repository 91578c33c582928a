/** Takes a file of tokens into the pool: says first what would come of it, and then does it. */
import { useRef, useState } from "preact/hooks"
import { say } from "../Said.tsx"
import { Refusal } from "../Refusal.tsx"
import { importTokens } from "../server.ts"
import { useProviders } from "../useProviders.ts"
import { useSending } from "../useSending.ts"

interface Looked {
  readonly text: string
  readonly provider: string
  readonly imported: number
  readonly skipped: number
}

export const ImportTokens = ({ onDone }: { readonly onDone: () => void }) => {
  const { isBusy, send, trouble } = useSending()
  const [looked, setLooked] = useState<Looked>()
  const fold = useRef<HTMLElement>(null)
  const providers = useProviders()
  const submitted = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const written = new FormData(form)
    const file = written.get("file")
    const provider = String(written.get("provider"))
    setLooked(undefined)
    void send(async () => {
      const text = file instanceof File ? await file.text() : ""
      setLooked({ text, provider, ...(await importTokens(text, { provider, isDry: true })) })
      form.reset()
    })
  }
  const confirmed = ({ provider, text }: Looked) =>
    send(async () => {
      const { imported } = await importTokens(text, { provider, isDry: false })
      setLooked(undefined)
      say(`${tokens(imported)} added`)
      // The button that was pressed goes.
      fold.current?.focus()
      onDone()
    })
  return (
    <details class="fold">
      <summary ref={fold}>Import a file</summary>
      <form class="row" onSubmit={submitted} aria-label="Import a file">
        <label>
          tokens.json
          <input name="file" type="file" accept=".json,application/json" required />
        </label>
        <label>
          Rows that name no provider are of
          <select name="provider">
            {providers.map((provider) => (
              <option key={provider}>{provider}</option>
            ))}
          </select>
        </label>
        <button type="submit" aria-disabled={isBusy}>
          Look into it
        </button>
      </form>
      {looked !== undefined && (
        <p class="notice" role="status">
          {tokens(looked.imported)} would be added{looked.skipped > 0 && `, ${looked.skipped} are held already`}.{" "}
          <button
            type="button"
            class="small"
            disabled={looked.imported === 0}
            aria-disabled={isBusy}
            onClick={() => void confirmed(looked)}
          >
            Import them
          </button>
        </p>
      )}
      <Refusal text={trouble} />
    </details>
  )
}

const tokens = (count: number) => `${count} token${count === 1 ? "" : "s"}`
