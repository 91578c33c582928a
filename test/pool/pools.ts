/** Pools over a memory store whose writes can be made to fail or wait, and over a scripted upstream. */
import { Context, Deferred, Effect, Layer, Redacted, Scope } from "effect"
import { type Credential, TokenId, type TokenKind } from "../../src/domain/Token.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { type Lease, type LeaseRequest, type PoolOptions, TokenPool } from "../../src/pool/TokenPool.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import { ScriptedWarp, type ScriptedWarpOptions } from "../../src/testing/ScriptedWarp.ts"

/** The hands on the store. */
export class StoreFaults extends Context.Service<
  StoreFaults,
  {
    fails: boolean
    waits: Deferred.Deferred<void> | undefined
    writes: number
    reads: number
  }
>()("test/StoreFaults") {}

const faultyStore = Layer.effectContext(
  Effect.gen(function* () {
    const inner = yield* Store
    const faults = StoreFaults.of({ fails: false, waits: undefined, writes: 0, reads: 0 })
    const guarded = <A>(operation: string, effect: Effect.Effect<A, StoreUnavailable>) =>
      Effect.suspend(() => {
        if (faults.fails) return Effect.fail(new StoreUnavailable({ operation, detail: "synthetic" }))
        return faults.waits === undefined ? effect : Effect.andThen(Deferred.await(faults.waits), effect)
      })
    const store = Store.of({
      ...inner,
      all: (collection) => {
        faults.reads += 1
        return guarded("read", inner.all(collection))
      },
      modify: (collection, key, change) => {
        faults.writes += 1
        return guarded("write", inner.modify(collection, key, change))
      },
      transact: (step) => {
        faults.writes += 1
        return guarded("write", inner.transact(step))
      }
    })
    return Context.make(Store, store).pipe(Context.add(StoreFaults, faults))
  })
).pipe(Layer.provide(Store.layerMemory))

/** What all pools of a test share: one store, one key, one upstream. */
export const world = (warp: ScriptedWarpOptions = {}) =>
  Layer.mergeAll(faultyStore, Vault.layerEphemeral, Renewer.layerWarp).pipe(
    Layer.provideMerge(ScriptedWarp.layer({ accessLifetime: "1 hour", ...warp }))
  )

/** A process' pool, which ends with the scope. */
export const start = Effect.fnUntraced(function* (options: PoolOptions = {}) {
  return Context.get(yield* Layer.build(Layer.fresh(TokenPool.layerWith(options))), TokenPool)
})

/** A pool that lives until `stop`. */
export const startStoppable = Effect.fnUntraced(function* (options: PoolOptions = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const pool = yield* Scope.provide(start(options), scope)
  return { pool, stop: Scope.close(scope, yield* Effect.exit(Effect.void)) }
})

type Pool = TokenPool["Service"]

/** A token whose access secret never ends, so that it needs no upstream; or what is told. */
export const add = (
  pool: Pool,
  name: string,
  kind: TokenKind = "anonymous",
  credential: Partial<Credential> = { access: Redacted.make(`synthetic-access-${name}`) }
) => pool.add({ provider: "warp", name, kind, credential })

export const renewable = (name: string): Partial<Credential> => ({
  refresh: Redacted.make(`synthetic-refresh-${name}`)
})

export const lease = (pool: Pool, request: Partial<LeaseRequest> = {}) => pool.lease({ provider: "warp", ...request })

/** One call from beginning to end. */
export const call = (pool: Pool, outcome: Outcome, request: Partial<LeaseRequest> = {}) =>
  Effect.scoped(Effect.tap(lease(pool, request), (lease: Lease) => lease.report(outcome)))

/** One call with that very token. */
export const callWith = Effect.fnUntraced(function* (pool: Pool, id: TokenId, outcome: Outcome) {
  const others = (yield* pool.list()).map((view) => view.id).filter((other) => other !== id)
  return yield* call(pool, outcome, { exclude: new Set(others) })
})

export const stateOf = (pool: Pool, id: TokenId) => Effect.map(pool.get(id), ({ state }) => state)

export const leased = (pool: Pool) =>
  Effect.map(pool.list(), (views) => views.reduce((sum, { leased }) => sum + leased, 0))
