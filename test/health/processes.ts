/** Processes that check tokens over a store that they share, and an upstream that answers checks as it is told. */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import { UpstreamUnavailable } from "../../src/domain/Failure.ts"
import type { TokenId } from "../../src/domain/Token.ts"
import { type HealthCheckOptions, HealthChecks } from "../../src/health/HealthChecks.ts"
import { type Check, TokenChecker } from "../../src/health/TokenChecker.ts"
import { type PoolOptions, TokenPool } from "../../src/pool/TokenPool.ts"
import { add } from "../pool/pools.ts"

/** Answers each check with `answer`, and remembers when whom it was asked about. */
export const scripted = () => {
  const asked: Array<{ readonly at: number; readonly id: TokenId }> = []
  const upstream: { answer: Check; atWork: number; most: number } = { answer: () => Effect.void, atWork: 0, most: 0 }
  const check: Check = (token) =>
    Effect.gen(function* () {
      asked.push({ at: yield* Clock.currentTimeMillis, id: token.id })
      upstream.atWork += 1
      upstream.most = Math.max(upstream.most, upstream.atWork)
      return yield* Effect.ensuring(
        upstream.answer(token),
        Effect.sync(() => (upstream.atWork -= 1))
      )
    })
  return { asked, upstream, check, of: (id: TokenId) => asked.filter((one) => one.id === id).map(({ at }) => at) }
}

export const down = () =>
  Effect.fail(new UpstreamUnavailable({ provider: "warp", reason: "connection", detail: "synthetic" }))

export interface ProcessOptions {
  readonly checks: Readonly<Record<string, Check>>
  readonly health?: HealthCheckOptions
  readonly pool?: PoolOptions
}

/** A process that ends with the scope. */
export const start = Effect.fnUntraced(function* ({ checks, health = {}, pool = {} }: ProcessOptions) {
  const layer = HealthChecks.layerWith(health).pipe(
    Layer.provideMerge(TokenPool.layerWith(pool)),
    Layer.provide(TokenChecker.layerOf(checks))
  )
  const context = yield* Layer.build(Layer.fresh(layer))
  return { health: Context.get(context, HealthChecks), pool: Context.get(context, TokenPool) }
})

/** One that lives until `stop`. */
export const startStoppable = Effect.fnUntraced(function* (options: ProcessOptions) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const process = yield* Scope.provide(start(options), scope)
  return { ...process, stop: Scope.close(scope, yield* Effect.exit(Effect.void)) }
})

export const addMany = (pool: TokenPool["Service"], count: number) =>
  Effect.forEach(Array.from({ length: count }), (_, i) => add(pool, `t${i}`))
