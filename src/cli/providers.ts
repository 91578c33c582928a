/** Pauses and resumes providers in the store that a running server may share, and shows what is kept there of them. */
import { Clock, Console, Effect, Layer } from "effect"
import { Audit } from "../access/Audit.ts"
import { Settings } from "../config/Settings.ts"
import { providerView } from "../http/providerRoutes.ts"
import { ProviderUnknown } from "../manager/TokenManager.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Governor } from "../traffic/Governor.ts"
import { takenOverWithin } from "../traffic/pauses.ts"
import { json } from "./json.ts"
import { records } from "./layers.ts"
import { table } from "./table.ts"
import { ago } from "./time.ts"

/** A governor that nobody asks for a slot: it knows what the store says. */
export const stored = Layer.effectDiscard(
  Effect.gen(function* () {
    const { providers } = yield* Settings
    yield* (yield* Governor).configure(providers)
  })
).pipe(Layer.provideMerge(Governor.layer), Layer.provideMerge(records))

/** Ends when every server on the data folder holds to it. Kept in the audit log, also when it is refused. */
const change = (verb: "pause" | "resume", what: string) =>
  Effect.fnUntraced(function* (name: string) {
    const { providers } = yield* Settings
    const governor = yield* Governor
    const audit = yield* Audit
    const entry = { actor: "command line", action: `provider.${verb}`, subject: name }
    const known = providers.map((provider) => provider.name)
    const act = Effect.gen(function* () {
      if (!known.includes(name)) return yield* new ProviderUnknown({ provider: name, known })
      yield* governor[verb](name)
    })
    yield* Effect.tapError(act, ({ message }) => audit.record({ ...entry, result: "refused", detail: message }))
    yield* audit.record({ ...entry, result: "done" })
    yield* Effect.sleep(takenOverWithin)
    yield* Console.log(`${name}: ${what}`)
  })

export const pause = change("pause", "paused; what is under way goes on, and all else waits until it is resumed")

export const resume = change("resume", "resumed")

/** What a server has at work and in line, and which targets it takes for out of order, is its own: `GET /api/admin/providers`. */
export const list = Effect.fnUntraced(function* (isJson: boolean) {
  const { providers } = yield* Settings
  const standings = yield* Governor.use((governor) => governor.providers)
  const tokens = yield* TokenPool.use((pool) => pool.list())
  const now = yield* Clock.currentTimeMillis
  if (isJson) {
    const views = providers.map((provider) => {
      const {
        held_until: _held,
        in_use: _use,
        targets: _targets,
        waiting: _waiting,
        ...kept
      } = providerView(
        provider,
        standings.find(({ name }) => name === provider.name),
        [],
        tokens.filter((token) => token.provider === provider.name)
      )
      return kept
    })
    return json({ providers: views })
  }
  return table(
    ["name", "kind", "state", "at once", "a minute", "last minute", "tokens usable"],
    providers.map(({ kind, name }) => {
      const standing = standings.find((each) => each.name === name)
      const own = tokens.filter(({ provider }) => provider === name)
      return [
        name,
        kind,
        standing?.pausedSince === undefined ? "at work" : `paused ${ago(now - standing.pausedSince)}`,
        limitOf(standing?.limits.concurrency, standing?.allowed.concurrency),
        limitOf(standing?.limits.rpm, standing?.allowed.rpm),
        standing?.lastMinute ?? 0,
        `${own.filter(({ usable }) => usable).length} of ${own.length}`
      ]
    })
  )
})

const limitOf = (limit: number | string | undefined, allowed: number | "unlimited" | undefined) =>
  limit === "unknown" ? `${allowed ?? "?"} (learned)` : (allowed ?? "unlimited")
