/** A button that changes something, and says what has come of it; what cannot be undone is asked for twice. */
import { useState } from "preact/hooks"
import { say } from "./Said.tsx"
import { ask, type Question } from "./server.ts"
import { useSending } from "./useSending.ts"

interface Properties<Answer> {
  readonly label: string
  /** What it is done to, for screen readers. */
  readonly of: string
  readonly act: Question<Answer>
  /** What was done, in words that follow the name. */
  readonly did: string | ((answer: Answer) => string)
  readonly onDone: () => void
  readonly isFinal?: boolean
}

export const Act = <Answer,>({ act, did, isFinal = false, label, of, onDone }: Properties<Answer>) => {
  const [isSure, setSure] = useState(!isFinal)
  const { isBusy, send, trouble } = useSending()
  const isAsked = isFinal && isSure
  const go = async ({ currentTarget, detail }: MouseEvent) => {
    if (!isSure) return setSure(true)
    // The second click of a double click is no second thought.
    if (isFinal && detail > 1) return
    const around = currentTarget instanceof Element ? currentTarget.closest<HTMLElement>("[tabindex]") : null
    await send(async () => {
      const answer = await ask(act)
      say(`${of} ${typeof did === "string" ? did : did(answer)}`)
      // The row goes, and the button that has the focus with it.
      if (isFinal) around?.focus({ preventScroll: true })
      onDone()
    })
    setSure(!isFinal)
  }
  return (
    <>
      <button
        type="button"
        class={isAsked ? "small danger" : "small"}
        aria-disabled={isBusy}
        aria-label={isAsked ? `Really ${label.toLowerCase()} ${of}` : `${label} ${of}`}
        onClick={(event) => void go(event)}
        onBlur={() => setSure(!isFinal)}
      >
        {isAsked ? "Sure?" : label}
      </button>
      {trouble !== undefined && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  )
}
