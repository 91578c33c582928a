/** The one stream of events that all pages hang on: what came last stays while the server is away, and is made good when it is back. */
import { Effect, Fiber, Schedule, Stream } from "effect"
import { useEffect, useState } from "preact/hooks"
import type { ConsoleEvent, Overview } from "../contract/console.ts"
import { type History, merged } from "./history.ts"
import { events, type Trouble } from "./server.ts"

export interface Live {
  readonly overview: Overview | undefined
  readonly history: History | undefined
  /** Why the server is not heard, and since when; undefined while it is. */
  readonly away: { readonly since: number; readonly trouble: Trouble } | undefined
}

/** Of which something has changed; `all`: anything may have. */
export type Topic = "decision" | "token" | "request" | "all"

const nothing: Live = { overview: undefined, history: undefined, away: undefined }
let live = nothing
const watchers = new Set<() => void>()
const listeners = new Set<(topic: Topic) => void>()

const set = (next: Live) => {
  live = next
  for (const watcher of watchers) watcher()
}

const heard = ({ data, event }: typeof ConsoleEvent.Type) => {
  if (event !== "overview") {
    for (const listener of listeners) listener(event)
    return
  }
  set({ overview: data, history: merged(live.history, data.history), away: undefined })
  // A whole history: what came before it was missed.
  if (data.history.at.length > 2) for (const listener of listeners) listener("all")
}

const lost = (trouble: Trouble) => set({ ...live, away: { since: live.away?.since ?? Date.now(), trouble } })

const listening = Stream.runForEach(events, (event) => Effect.sync(() => heard(event))).pipe(
  Effect.andThen(Effect.fail<Trouble>({ kind: "offline", message: "The server does not answer." })),
  Effect.tapError((trouble) => Effect.sync(() => lost(trouble))),
  Effect.retry(Schedule.jittered(Schedule.spaced("1 second")))
)

/** Listens until it is called what it answers; what was heard is forgotten then. */
export const listen = () => {
  const fiber = Effect.runFork(listening)
  return () => {
    Effect.runFork(Fiber.interrupt(fiber))
    live = nothing
  }
}

export const useLive = (): Live => {
  const [seen, setSeen] = useState(live)
  useEffect(() => {
    const watcher = () => setSeen(live)
    watcher()
    watchers.add(watcher)
    return () => void watchers.delete(watcher)
  }, [])
  return seen
}

export const onTopic = (listener: (topic: Topic) => void) => {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}
