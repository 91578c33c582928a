/** An answer of the server that is asked for again by itself, and kept while the server is away. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { onTopic, type Topic } from "./live.ts"
import { isTrouble, type Trouble } from "./server.ts"

export interface Asked<A> {
  /** The last answer there was. */
  readonly answer: A | undefined
  /** Why there is no newer one. */
  readonly trouble: Trouble | undefined
  /** Asks now. */
  readonly again: () => void
}

interface Options {
  /** In milliseconds; 5 s unless told otherwise. Nobody is asked for a page that nobody sees. */
  readonly every?: number
  /** At once, too, when the server says that something of it has changed; once a second at most. */
  readonly on?: Topic
  /** What the question is about: another question is asked at once. */
  readonly about?: string
}

const second = 1_000
/** A question that is not answered for so long is given up for the next one. */
const patience = 15 * second

export const useAsked = <A>(
  question: () => Promise<A>,
  { about = "", every = 5 * second, on = "all" }: Options = {}
): Asked<A> => {
  const [answer, setAnswer] = useState<A>()
  const [trouble, setTrouble] = useState<Trouble>()
  const newest = useRef(0)
  // One at a time, or a server that takes longer than the questions are apart would never be heard. `isDue`: once more after it.
  const open = useRef<{ readonly since: number; isDue: boolean }>(undefined)
  const asking = useRef(question)
  asking.current = question

  const again = useCallback(() => {
    const before = open.current
    if (before !== undefined && performance.now() - before.since < patience) {
      before.isDue = true
      return
    }
    const turn = ++newest.current
    const isStale = () => turn !== newest.current
    const own = { since: performance.now(), isDue: false }
    open.current = own
    const look = async () => {
      try {
        const answer = await asking.current()
        if (isStale()) return
        setAnswer(() => answer)
        setTrouble(undefined)
      } catch (reason) {
        if (!isStale()) setTrouble(isTrouble(reason) ? reason : { kind: "refused", message: String(reason) })
      }
      if (isStale()) return
      open.current = undefined
      if (own.isDue) again()
    }
    void look()
  }, [])

  useEffect(() => {
    again()
    const seen = () => {
      if (!document.hidden) again()
    }
    const inTurn = () => {
      if (open.current === undefined || performance.now() - open.current.since >= patience) seen()
    }
    let soon: ReturnType<typeof setTimeout> | undefined
    const changed = (topic: Topic) => {
      if (topic !== "all" && topic !== on) return
      soon ??= setTimeout(() => {
        soon = undefined
        seen()
      }, second / 4)
    }
    const timer = setInterval(inTurn, every)
    const deaf = onTopic(changed)
    document.addEventListener("visibilitychange", seen)
    return () => {
      clearInterval(timer)
      clearTimeout(soon)
      deaf()
      document.removeEventListener("visibilitychange", seen)
      newest.current++
      open.current = undefined
    }
  }, [about, again, every, on])
  return { answer, trouble, again }
}
