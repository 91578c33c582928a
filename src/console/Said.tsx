/** What the last action has done, always at one place; screen readers read it. */
import { useEffect, useState } from "preact/hooks"

const shownFor = 10_000

let onSaid: (text: string) => void = () => {}

/** Shows it for ten seconds, in place of what was said before. */
export const say = (text: string) => onSaid(text)

export const Said = () => {
  // A new one each time, so that what is said twice is shown as long as if it were said once.
  const [said, setSaid] = useState({ text: "" })
  useEffect(() => {
    onSaid = (text) => setSaid({ text })
    return () => {
      onSaid = () => {}
    }
  }, [])
  useEffect(() => {
    const timer = setTimeout(() => setSaid({ text: "" }), shownFor)
    return () => clearTimeout(timer)
  }, [said])
  return (
    <p class={said.text === "" ? "said" : "said shown"} role="status" aria-label="What was done">
      {said.text}
    </p>
  )
}
