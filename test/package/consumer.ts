import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Acquisition, Broker, RateLimiter, TokenPool } from "weirgate"
import * as Testing from "weirgate/testing"

const program = Effect.gen(function* () {
  const acquisition = yield* Acquisition
  const limiter = yield* RateLimiter
  const pool = yield* TokenPool

  const token = yield* acquisition.request({ provider: "warp", errorContext: "no token yet", caller: "my program" })
  const lease = yield* pool.lease({ provider: "warp" })
  const soon = yield* limiter.check("warp")
  yield* TestClock.adjust(soon.retryAfter)
  const then = yield* limiter.check("warp")
  return { lent: lease.id === token.id, soon: soon.allowed, then: then.allowed }
})

const tested = Broker.layer.pipe(
  Layer.provide(Testing.layer()), // a memory store, a vault, a scripted upstream
  Layer.provideMerge(TestClock.layer()),
  Layer.provideMerge(Logger.layer([]))
)

console.log(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(tested))))
