/** Work that other processes shall know of, and how theirs is waited for. */
import { Clock, Duration, Effect, Schedule } from "effect"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import * as window from "./dedupWindow.ts"

const windows: Collection<window.Window> = { name: "acquisition-dedup", schema: window.Window }

/** A process at work says so this often. */
const signEvery = Duration.seconds(5)
/** After this long without a sign it counts as dead. */
export const silence: Duration.Duration = Duration.seconds(15)
/** How another process's work is watched. */
const watching = Schedule.spaced("250 millis").pipe(Schedule.upTo({ duration: "2 minutes" }))

export const make = Effect.fnUntraced(function* (rules: window.WindowOptions) {
  const store = yield* Store

  const read = (provider: string) => Effect.map(store.get(windows, provider), (found) => found ?? window.empty)
  const update = (provider: string, f: (current: window.Window) => window.Window) =>
    store.modify(windows, provider, (current) => [undefined, f(current ?? window.empty)])

  /** Waits until the work has ended, its process shows no sign of life, or two minutes have passed. */
  const awaitEnd = (provider: string, id: string): Effect.Effect<void, StoreUnavailable> =>
    Effect.gen(function* () {
      const entry = (yield* read(provider)).entries.find((entry) => entry.id === id)
      return entry !== undefined && window.isAtWork(entry, yield* Clock.currentTimeMillis, rules)
    }).pipe(Effect.repeat({ schedule: watching, while: (isAtWork) => isAtWork }), Effect.asVoid)

  const begin = (provider: string, entry: window.Entry) =>
    update(provider, (current) => window.begin(current, entry.at, entry, rules))

  const keepSigning = (provider: string, id: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => update(provider, (current) => window.sign(current, id, now))).pipe(
      Effect.ignore,
      Effect.delay(signEvery),
      Effect.forever
    )

  const end = (provider: string, id: string, ending: window.Entry["ending"]) =>
    update(provider, (current) => window.end(current, id, ending)).pipe(
      Effect.catch((error) =>
        // The entry is taken for a dead process's after its silence, so nobody waits for it for long.
        Effect.logWarning(`the end of the work was not kept: ${error.message}`).pipe(
          Effect.annotateLogs({ service: "Dedup", provider })
        )
      )
    )

  return { read, awaitEnd, begin, keepSigning, end }
})
