import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Access, Caller, type Client, holders } from "../../src/http/Access.ts"

const Api = HttpApi.make("test").add(
  HttpApiGroup.make("who")
    .add(HttpApiEndpoint.get("am", "/", { success: Schema.Json }))
    .middleware(Access)
)

const asked = (client: Client) => ({
  name: client.name,
  priority: client.priority ?? null,
  timeout: client.timeout === undefined ? null : Duration.toMillis(client.timeout)
})
const handlers = HttpApiBuilder.group(Api, "who", (group) => group.handle("am", () => Effect.map(Caller, asked)))

/** A server with these keys: asked with one, it says who asks, or with which status it refuses. */
const serverWith = (...access: Parameters<typeof holders>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        HttpRouter.toWebHandler(
          HttpApiBuilder.layer(Api).pipe(
            Layer.provide(handlers),
            Layer.provide(Access.layerFor(holders(...access))),
            Layer.provide(HttpServer.layerServices)
          ),
          { disableLogger: true }
        )
      ),
      ({ dispose }) => Effect.promise(dispose)
    ),
    ({ handler }) =>
      (key: string): Effect.Effect<unknown> =>
        Effect.promise(async () => {
          const response = await handler(
            new Request("http://localhost/", { headers: { authorization: `Bearer ${key}` } })
          )
          return response.ok ? await response.json() : response.status
        })
  )

const keys = [Redacted.make("synthetic a"), Redacted.make("synthetic b")]

describe("Access", () => {
  it.effect("knows the holder of a key by what is said of it, also when that changes", () =>
    Effect.gen(function* () {
      let clients: ReadonlyArray<Client> = [{ name: "alice", priority: 7, timeout: Duration.seconds(30) }]
      const ask = yield* serverWith(keys, () => clients)
      assert.deepStrictEqual(yield* ask("synthetic a"), { name: "alice", priority: 7, timeout: 30_000 })
      assert.deepStrictEqual(yield* ask("synthetic b"), { name: "key-2", priority: null, timeout: null })
      clients = [{ name: "carol", priority: undefined, timeout: undefined }]
      assert.deepStrictEqual(yield* ask("synthetic a"), { name: "carol", priority: null, timeout: null })
    })
  )

  it.effect("lets nobody in without one of the keys", () =>
    Effect.gen(function* () {
      const ask = yield* serverWith(keys)
      for (const key of ["", "synthetic", "synthetic c"]) assert.strictEqual(yield* ask(key), 401)
    })
  )

  it.effect("takes everyone for local when there are no keys", () =>
    Effect.gen(function* () {
      const ask = yield* serverWith([])
      assert.deepStrictEqual(yield* ask(""), { name: "local", priority: null, timeout: null })
    })
  )
})
