import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer, Logger, Redacted, Schedule } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { OpenAiProvider } from "../../src/domain/Provider.ts"
import { HealthChecks } from "../../src/health/HealthChecks.ts"
import { TokenChecker } from "../../src/health/TokenChecker.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Store } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import { WarpClient } from "../../src/upstream/WarpClient.ts"
import { WopanClient } from "../../src/upstream/WopanClient.ts"

const secret = "synthetic-key"
const minute = Duration.minutes(1)

/** An upstream with a list of models, for that key, while it is up. */
const upstream = Effect.gen(function* () {
  const state = { isUp: false, refused: yield* Deferred.make<void>() }
  const server = createServer(({ headers, url }, response) => {
    const status = !state.isUp
      ? 503
      : url !== "/v1/models"
        ? 404
        : headers.authorization === `Bearer ${secret}`
          ? 200
          : 401
    if (status === 503) Deferred.doneUnsafe(state.refused, Effect.void)
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ object: "list", data: [] }))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  const { port } = server.address() as AddressInfo
  const provider: OpenAiProvider = {
    kind: "openai",
    name: "p",
    baseUrl: `http://127.0.0.1:${port}/v1`,
    keys: [],
    limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
    timeouts: { connect: minute, headers: minute, firstToken: minute, idle: minute, total: minute },
    models: undefined
  }
  return { state, provider }
})

const broker = (provider: OpenAiProvider) =>
  HealthChecks.layerWith({ every: "1 minute" }).pipe(
    Layer.provide(TokenChecker.layerWith({ providers: () => [provider] })),
    Layer.provide(Layer.mergeAll(Layer.mock(WarpClient, { minting: false }), Layer.mock(WopanClient, {}))),
    Layer.provide(NodeHttpClient.layerUndici),
    Layer.provideMerge(TokenPool.layerWith({ disableFor: { base: "100 millis", max: "1 second" } })),
    Layer.provide(Renewer.layerNone),
    Layer.provide(Layer.merge(Store.layerMemory, Vault.layerEphemeral))
  )

describe("health checks over sockets", () => {
  it.live("bring a token back whose upstream was down, with no hand involved", () =>
    Effect.gen(function* () {
      const { provider, state } = yield* upstream
      yield* Effect.gen(function* () {
        const pool = yield* TokenPool
        const health = yield* HealthChecks
        const credential = { access: Redacted.make(secret) }
        const id = yield* pool.add({ provider: "p", name: "a", kind: "shared", credential })
        for (let i = 0; i < 6; i++) {
          yield* Effect.scoped(
            Effect.flatMap(pool.lease({ provider: "p" }), (lease) => lease.report({ _tag: "Failed" }))
          )
        }
        yield* Deferred.await(state.refused)
        state.isUp = true
        yield* Effect.repeat(health.history(1), {
          schedule: Schedule.spaced("20 millis"),
          until: ([last]) => last?.ok === true
        }).pipe(Effect.timeout("15 seconds"))
        const [back] = yield* pool.list("p")
        assert.deepStrictEqual([back?.state._tag, back?.usable, back?.lastCheck?.ok], ["active", true, true])
        const told = (yield* health.history(10, id)).map(({ ok }) => ok)
        assert.deepStrictEqual([told[0], told.at(-1)], [true, false])
        assert.isFalse((yield* pool.lease({ provider: "p" })).probe)
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(broker(provider), Logger.layer([]))))
    })
  )
})
