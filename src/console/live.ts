/** The one stream of events, which all pages share. While the server is away, what came last stays; once it is back, what was missed is asked for. */
import { Effect, Fiber, Schedule, Stream } from "effect"
import { useEffect, useState } from "preact/hooks"
import type { ConsoleEvent } from "../contract/console.ts"
import type { Overview } from "../contract/overview.ts"
import { type History, merged } from "./history.ts"
import { events, type Trouble } from "./server.ts"
import { now, setClock } from "./time.ts"

export interface Live {
  readonly overview: Overview | undefined
  readonly history: History | undefined
  /** Why the server is not heard, and when it was last, by its own clock; undefined while it is. */
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

let heardAt: number | undefined

const heard = ({ data, event }: typeof ConsoleEvent.Type) => {
  if (event !== "overview") {
    heardAt = now()
    for (const listener of listeners) listener(event)
    return
  }
  setClock(data.at)
  heardAt = data.at
  set({ overview: data, history: merged(live.history, data.history), away: undefined })
  // A whole history: what came before it was missed.
  if (data.history.at.length > 2) for (const listener of listeners) listener("all")
}

const lost = (trouble: Trouble) => set({ ...live, away: { since: heardAt ?? now(), trouble } })

const listening = Stream.runForEach(events, (event) => Effect.sync(() => heard(event))).pipe(
  Effect.andThen(Effect.fail<Trouble>({ kind: "offline", message: "The server does not answer." })),
  Effect.tapError((trouble) => Effect.sync(() => lost(trouble))),
  Effect.retry(Schedule.jittered(Schedule.spaced("1 second")))
)

/** A page that nobody has seen for so long stops listening: a browser has six connections to a server, for all its pages together. */
const patience = 5_000

/** Listens while the page is seen. Answers how to end that, which also forgets what was heard. */
export const listen = () => {
  let fiber: ReturnType<typeof start> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const start = () => Effect.runFork(listening)
  const stop = () => {
    if (fiber !== undefined) Effect.runFork(Fiber.interrupt(fiber))
    fiber = undefined
  }
  const seen = () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(stop, patience)
    else fiber ??= start()
  }
  seen()
  document.addEventListener("visibilitychange", seen)
  return () => {
    document.removeEventListener("visibilitychange", seen)
    clearTimeout(timer)
    stop()
    live = nothing
    heardAt = undefined
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
