/** What a running program can take over of new settings, and what has to wait for its next start. Pure. */
import { Equal } from "effect"
import type { Settings } from "./Settings.ts"

type Values = Settings["Service"]

export interface Difference {
  /** What is to be at work now: the new where that can be, what is running where it cannot. */
  readonly settings: Values
  /** What of them is new, told in words; empty when nothing is. */
  readonly taken: ReadonlyArray<string>
  /** The parts of the file that take effect at the next start. */
  readonly deferred: ReadonlyArray<string>
}

export const difference = (running: Values, next: Values): Difference => {
  const { providers, routes } = offeredOf(running, next)
  const settings: Values = {
    ...running,
    providers,
    routes,
    server: { ...running.server, apiKeys: next.server.apiKeys, clients: next.server.clients }
  }
  return {
    settings,
    taken: [
      ...changes("provider", running.providers, providers, ({ name }) => name),
      ...changes("route", running.routes, routes, ({ model }) => model),
      ...(Equal.equals(keysOf(running), keysOf(next)) ? [] : ["keys of clients changed"])
    ],
    deferred: deferredOf(running, next)
  }
}

/** A provider that has not changed stays the same object, by which its client is known. */
const offeredOf = (running: Values, next: Values): Pick<Values, "providers" | "routes"> => {
  if (isMadeOtherwise(running, next)) return running
  const known = new Map(running.providers.map((provider) => [provider.name, provider]))
  return {
    routes: next.routes,
    providers: next.providers.map((provider) => {
      const before = known.get(provider.name)
      return before !== undefined && Equal.equals(before, provider) ? before : provider
    })
  }
}

/** Whether a sandbox runs, and whether there is a Warp and whose, decides which parts the program is made of. */
const isMadeOtherwise = (running: Values, next: Values) => !Equal.equals(madeOf(running), madeOf(next))

const madeOf = ({ providers, usesSandbox, warp }: Values) => ({
  sandbox: usesSandbox,
  warp: providers.some(({ kind }) => kind === "warp"),
  ownWarp: warp !== undefined
})

const keysOf = ({ server: { apiKeys, clients } }: Values) => ({ apiKeys, clients })

const deferredOf = (running: Values, next: Values): ReadonlyArray<string> => {
  const { apiKeys: _k, clients: _c, ...server } = running.server
  const { apiKeys: _nk, clients: _nc, ...nextServer } = next.server
  const parts: ReadonlyArray<readonly [string, boolean]> = [
    ["server", !Equal.equals(server, nextServer)],
    ["acquisition", !Equal.equals(running.acquisition, next.acquisition)],
    ["pool", !Equal.equals(running.pool, next.pool)],
    ["wopan", !Equal.equals(running.wopan, next.wopan) || !Equal.equals(running.drive, next.drive)],
    ["health", !Equal.equals(running.health, next.health)],
    ["alerts", !Equal.equals(running.alerts, next.alerts)],
    ["warp", !Equal.equals(running.warp, next.warp)],
    ["tokens", !Equal.equals(running.tokens, next.tokens)],
    ["traces", !Equal.equals(running.traces, next.traces)],
    ["traffic", !Equal.equals(running.traffic, next.traffic)],
    ["providers and routes", isMadeOtherwise(running, next)]
  ]
  return parts.flatMap(([part, differs]) => (differs ? [part] : []))
}

const changes = <A>(
  what: string,
  before: ReadonlyArray<A>,
  after: ReadonlyArray<A>,
  nameOf: (item: A) => string
): ReadonlyArray<string> => {
  const known = new Map(before.map((item) => [nameOf(item), item]))
  const names = after.map(nameOf)
  const stayed = before.map(nameOf).filter((name) => names.includes(name))
  return [
    ...after.flatMap((item) => {
      const name = nameOf(item)
      if (!known.has(name)) return [`${what} ${name} added`]
      return Equal.equals(known.get(name), item) ? [] : [`${what} ${name} changed`]
    }),
    ...[...known.keys()].filter((name) => !names.includes(name)).map((name) => `${what} ${name} removed`),
    ...(Equal.equals(
      stayed,
      names.filter((name) => known.has(name))
    )
      ? []
      : [`${what}s in another order`])
  ]
}
