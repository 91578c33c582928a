/** Token managers of one process each, over a shared store and key, whose tokens need no upstream. */
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { TokenManager, type ManagerOptions, type NewManagedToken, type Report } from "../../src/manager/TokenManager.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Store } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"

/** What all processes of a test share. */
export const world = Layer.mergeAll(Store.layerMemory, Vault.layerEphemeral, Renewer.layerNone)

/** A process that lives until `stop`, or the scope's end. */
export const start = Effect.fnUntraced(function* (options: Partial<ManagerOptions> = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const services = yield* Layer.buildWithScope(
    Layer.fresh(
      TokenManager.layerWith({ providers: () => ["wopan", "warp"], ...options }).pipe(
        Layer.provideMerge(Layer.fresh(TokenPool.layer))
      )
    ),
    scope
  )
  const manager = Context.get(services, TokenManager)
  const pool = Context.get(services, TokenPool)
  return {
    manager,
    pool,
    stop: Scope.close(scope, Exit.void),
    add: (name: string, rest: Partial<NewManagedToken> = {}) =>
      manager.add({ provider: "wopan", name, token: secretOf(name), ...rest }),
    get: (caller = "alice") => manager.get({ provider: "wopan", strategy: "round_robin", caller }),
    report: (report: Partial<Report>) => manager.report({ caller: "alice", outcome: "succeeded", ...report }),
    leased: Effect.map(manager.list("wopan"), (tokens) => tokens.reduce((sum, { leased }) => sum + leased, 0))
  }
})
export type Process = Effect.Success<ReturnType<typeof start>>

export const secretOf = (name: string) => Redacted.make(`synthetic-token-${name}`)

/** How many calls the store knows of, once everything is stored. */
export const counted = ({ manager, pool }: Process) =>
  Effect.map(Effect.andThen(pool.sync, manager.list("wopan")), (tokens) =>
    tokens.reduce((sum, { failed, succeeded }) => sum + failed + succeeded, 0)
  )
