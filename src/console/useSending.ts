/** A change that is sent: whether it is under way, and why the last one came to nothing. */
import { useState } from "preact/hooks"
import { messageOf } from "./server.ts"

export const useSending = () => {
  const [trouble, setTrouble] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const send = async (change: () => Promise<void>) => {
    setBusy(true)
    try {
      await change()
      setTrouble(undefined)
    } catch (reason) {
      setTrouble(messageOf(reason))
    } finally {
      setBusy(false)
    }
  }
  return { trouble, isBusy, send }
}
