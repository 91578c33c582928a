/** A button that changes something; what cannot be undone is asked for twice. */
import { useState } from "preact/hooks"
import { useSending } from "./useSending.ts"

interface Properties {
  readonly label: string
  /** What it is done to, for those who do not see the row. */
  readonly of: string
  readonly act: () => Promise<unknown>
  readonly onDone: () => void
  readonly isFinal?: boolean
}

export const Act = ({ act, isFinal = false, label, of, onDone }: Properties) => {
  const [isSure, setSure] = useState(!isFinal)
  const { isBusy, send, trouble } = useSending()
  const isAsked = isFinal && isSure
  const go = async () => {
    if (!isSure) return setSure(true)
    await send(async () => {
      await act()
      onDone()
    })
    setSure(!isFinal)
  }
  return (
    <>
      <button
        type="button"
        class={isAsked ? "small danger" : "small"}
        disabled={isBusy}
        aria-label={isAsked ? `Really ${label.toLowerCase()} ${of}` : `${label} ${of}`}
        onClick={() => void go()}
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
