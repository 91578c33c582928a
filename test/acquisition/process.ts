/** Processes of a broker on one store and one upstream, which a test can start, stop and kill. */
import { Context, type Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { Acquisition, type AcquisitionOptions, type AcquisitionRequest } from "../../src/acquisition/Acquisition.ts"
import { Cache } from "../../src/acquisition/Cache.ts"
import { Dedup } from "../../src/acquisition/Dedup.ts"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { RateLimiter, type RateLimiterOptions } from "../../src/acquisition/RateLimiter.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import type { Outcome } from "../../src/pool/tokenState.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import { ScriptedWarp, type ScriptedWarpOptions } from "../../src/testing/ScriptedWarp.ts"
import type { WarpClient } from "../../src/upstream/WarpClient.ts"

/** What outlives every process. */
export const world = (options: ScriptedWarpOptions = {}) =>
  Layer.mergeAll(Store.layerMemory, Vault.layerEphemeral, ScriptedWarp.layer(options))

export type Services = Acquisition | RateLimiter | Cache | Dedup | Predictor | TokenPool
type World = Store | Vault | WarpClient | ScriptedWarp

export interface ProcessOptions {
  readonly acquisition?: AcquisitionOptions
  readonly limits?: RateLimiterOptions
}

const services = ({ acquisition = {}, limits = {} }: ProcessOptions) =>
  Acquisition.layerWith(acquisition).pipe(
    Layer.provideMerge(Layer.mergeAll(RateLimiter.layerWith(limits), Cache.layer, Dedup.layer, Predictor.layer)),
    Layer.provideMerge(TokenPool.layer),
    Layer.provideMerge(Renewer.layerWarp)
  )

export const broker = (options: ProcessOptions & { readonly warp?: ScriptedWarpOptions } = {}) =>
  services(options).pipe(Layer.provideMerge(world(options.warp)))

/** What can be done to the store under a process. */
export interface Faults {
  /** Reads and writes whose operation and collection match it fail. */
  failing: RegExp | undefined
  /** The next one that matches answers as late as this. */
  slow: { readonly match: RegExp; readonly by: Duration.Input } | undefined
  dead: boolean
  /** All that was asked of the store so far, failed or not. */
  readonly asked: Array<string>
}

export interface Process {
  readonly use: <A, E>(effect: Effect.Effect<A, E, Services | World>) => Effect.Effect<A, E>
  readonly request: (request?: Partial<AcquisitionRequest>) => ReturnType<Acquisition["Service"]["request"]>
  readonly faults: Faults
  /** Ends it as SIGTERM does. */
  readonly stop: Effect.Effect<void>
  /** Ends it as SIGKILL does: from now on nothing of it reaches the store. */
  readonly kill: Effect.Effect<void>
}

export const start = Effect.fnUntraced(function* (options: ProcessOptions = {}) {
  const around = yield* Effect.context<World>()
  const scope = yield* Scope.make()
  const faults: Faults = { failing: undefined, slow: undefined, dead: false, asked: [] }
  const end = Scope.close(scope, Exit.void)
  // What a dead process does when it ends comes to nothing.
  yield* Effect.addFinalizer(() => Effect.suspend(() => (faults.dead ? Effect.exit(end) : end)))
  const store = faulty(Context.get(around, Store), faults)
  const context = yield* Layer.buildWithScope(Layer.fresh(services(options)), scope).pipe(
    Effect.provideContext(Context.add(around, Store, store))
  )
  const use: Process["use"] = (effect) => Effect.provideContext(effect, Context.merge(around, context))
  const made: Process = {
    use,
    request: (request) => use(ask(request)),
    faults,
    stop: end,
    kill: Effect.sync(() => {
      faults.dead = true
    })
  }
  return made
})

export const ask = (request: Partial<AcquisitionRequest> = {}) =>
  Acquisition.use((acquisition) =>
    acquisition.request({ provider: "warp", caller: "alice", errorContext: "no token for warp", ...request })
  )

/** Adds a token from elsewhere to the pool. */
export const add = (kind: "personal" | "shared" | "anonymous", name: string = kind) =>
  TokenPool.use((pool) =>
    pool.add({ provider: "warp", name, kind, credential: { refresh: Redacted.make(`synthetic-${name}`) } })
  )

/** Spends one call on the token that the pool lends, and reports how it ended. */
export const spend = (outcome: Outcome) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = yield* TokenPool
      const predictor = yield* Predictor
      const lease = yield* pool.lease({ provider: "warp" })
      yield* lease.report(outcome)
      yield* predictor.observe({ provider: "warp", kind: lease.kind, token: lease.id, outcome })
      return lease.id
    })
  )

export const creations = ScriptedWarp.use((warp) => Effect.map(warp.calls, (calls) => calls.createAnonymousUser))
export const exchanges = ScriptedWarp.use((warp) => Effect.map(warp.calls, (calls) => calls.exchange))
export const lastDecision = Acquisition.use((acquisition) =>
  Effect.map(acquisition.decisions(1), ([decision]) => decision)
)
export const statistics = RateLimiter.use((limiter) => limiter.statistics("warp"))

const faulty = (store: Store["Service"], faults: Faults): Store["Service"] => {
  const through = <A>(operation: string, effect: Effect.Effect<A, StoreUnavailable>) =>
    Effect.suspend(() => {
      faults.asked.push(operation)
      if (faults.dead) return Effect.die("killed")
      if (faults.failing?.test(operation) === true) {
        return Effect.fail(new StoreUnavailable({ operation, detail: "synthetic" }))
      }
      const { slow } = faults
      if (slow?.match.test(operation) !== true) return effect
      faults.slow = undefined
      return Effect.tap(effect, Effect.sleep(slow.by))
    })
  return Store.of({
    get: (collection, key) => through(`get ${collection.name}`, store.get(collection, key)),
    all: (collection) => through(`all ${collection.name}`, store.all(collection)),
    modify: (collection, key, change) => through(`modify ${collection.name}`, store.modify(collection, key, change)),
    transact: (step) => through("transact", store.transact(step)),
    append: (journal, entries) => through(`append ${journal.name}`, store.append(journal, entries)),
    recent: (journal, limit) => through(`recent ${journal.name}`, store.recent(journal, limit)),
    page: (journal, query) => through(`page ${journal.name}`, store.page(journal, query))
  })
}
