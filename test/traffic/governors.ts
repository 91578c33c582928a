/** Governors that share a store, as processes do, and the slots they give out. */
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import type { Limits, Target } from "../../src/domain/Provider.ts"
import { Governor, type GovernorOptions, type SlotRequest } from "../../src/traffic/Governor.ts"

export type Instance = Governor["Service"]

export const at = (provider: string, model = "m"): Target => ({ provider, model })

const free: Limits = { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" }

export type Limited = Readonly<Record<string, Partial<Limits>>>

export const configure = (governor: Instance, limits: Limited) =>
  governor.configure(Object.entries(limits).map(([name, own]) => ({ name, limits: { ...free, ...own } })))

/** A process, until the scope ends. */
export const start = Effect.fnUntraced(function* (limits: Limited, options: GovernorOptions = {}) {
  const governor = Context.get(yield* Layer.build(Layer.fresh(Governor.layerWith(options))), Governor)
  yield* configure(governor, limits)
  return governor
})

/** One that lives until `stop`. */
export const startStoppable = Effect.fnUntraced(function* (limits: Limited) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const governor = yield* Scope.provide(start(limits), scope)
  return { governor, stop: Scope.close(scope, Exit.void) }
})

export const requestOf = (more: Partial<SlotRequest> = {}): SlotRequest => ({
  targets: [at("a")],
  client: "test",
  priority: 5,
  since: 0,
  until: 600_000,
  tokens: 10,
  ...more
})

/** A slot that nobody but the caller gives back. */
export const take = (governor: Instance, more: Partial<SlotRequest> = {}) =>
  Effect.uninterruptibleMask((restore) => governor.acquire(requestOf(more), restore))

export const begin = (governor: Instance, more: Partial<SlotRequest> = {}) =>
  Effect.forkChild(take(governor, more), { startImmediately: true })

export const isDone = <A, E>(fiber: Fiber.Fiber<A, E>) => fiber.pollUnsafe() !== undefined

export const standing = (governor: Instance, name: string) =>
  Effect.map(
    governor.providers,
    (all) => all.find((provider) => provider.name === name) ?? assert.fail(`no provider ${name}`)
  )
