/** A change that is sent: whether it is under way, and why the last one came to nothing. */
import { useRef, useState } from "preact/hooks"
import { messageOf } from "./server.ts"

export const useSending = () => {
  const [trouble, setTrouble] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const isSending = useRef(false)
  /** One at a time: another one meanwhile is not sent. A button says so by `aria-disabled`: `disabled` would take the focus from it. */
  const send = async (change: () => Promise<void>) => {
    if (isSending.current) return
    isSending.current = true
    setBusy(true)
    try {
      await change()
      setTrouble(undefined)
    } catch (reason) {
      setTrouble(messageOf(reason))
    } finally {
      isSending.current = false
      setBusy(false)
    }
  }
  return { trouble, isBusy, send }
}
