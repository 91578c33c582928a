/** An answer of the server that is asked for again by itself, and kept while the server is away. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { isTrouble, type Trouble } from "./server.ts"

export interface Asked<A> {
  /** The last answer there was. */
  readonly answer: A | undefined
  /** Why there is no newer one. */
  readonly trouble: Trouble | undefined
  /** Asks now. */
  readonly again: () => void
}

export const useAsked = <A>(question: () => Promise<A>, every = 5_000): Asked<A> => {
  const [answer, setAnswer] = useState<A>()
  const [trouble, setTrouble] = useState<Trouble>()
  const newest = useRef(0)
  const asking = useRef(question)
  asking.current = question

  const again = useCallback(() => {
    const turn = ++newest.current
    const isStale = () => turn !== newest.current
    const look = async () => {
      try {
        const answer = await asking.current()
        if (isStale()) return
        setAnswer(() => answer)
        setTrouble(undefined)
      } catch (reason) {
        if (!isStale()) setTrouble(isTrouble(reason) ? reason : { kind: "refused", message: String(reason) })
      }
    }
    void look()
  }, [])

  useEffect(() => {
    again()
    const timer = setInterval(again, every)
    return () => {
      clearInterval(timer)
      newest.current++
    }
  }, [again, every])
  return { answer, trouble, again }
}
