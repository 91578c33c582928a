import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { Audit } from "../../src/access/Audit.ts"
import { nobody } from "../../src/access/Client.ts"
import { Caller } from "../../src/contract/Access.ts"
import { auditing } from "../../src/http/audited.ts"
import { Store } from "../../src/store/Store.ts"

describe("auditing", () => {
  it.effect("keeps a change that was made although its caller had left", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const change = Effect.uninterruptible(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn)))
      const asking = yield* Effect.forkChild(auditing(audit)("key.create", "ada", change))
      yield* Deferred.await(begun)
      const leaving = yield* Effect.forkChild(Fiber.interrupt(asking), { startImmediately: true })
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(leaving)
      const [entry] = yield* audit.recent(1)
      assert.deepInclude(entry, { action: "key.create", subject: "ada", result: "done" })
    }).pipe(
      Effect.provideService(Caller, { ...nobody, address: undefined }),
      Effect.provide(Audit.layer.pipe(Layer.provide(Store.layerMemory)))
    )
  )
})
