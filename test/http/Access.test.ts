import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { type Client, nobody } from "../../src/access/Client.ts"
import { ClientKeys, type ConfiguredKey } from "../../src/access/ClientKeys.ts"
import { ConsoleAccount } from "../../src/access/ConsoleAccount.ts"
import { Access, Caller } from "../../src/contract/Access.ts"
import * as AccessLayer from "../../src/http/Access.ts"
import { Store } from "../../src/store/Store.ts"

/** One route of each kind. */
const group = <const Name extends "models" | "tokens" | "drive" | "admin">(name: Name) =>
  HttpApiGroup.make(name)
    .add(HttpApiEndpoint.get("read", `/${name}`, { success: Schema.Json }))
    .add(HttpApiEndpoint.post("change", `/${name}`, { success: Schema.Json }))
    .middleware(Access)
const Api = HttpApi.make("test").add(group("models")).add(group("tokens")).add(group("drive")).add(group("admin"))
const who = Effect.map(Caller, ({ name, role }) => `${name}, ${role}`)
const handlers = (["models", "tokens", "drive", "admin"] as const).map((name) =>
  HttpApiBuilder.group(Api, name, (group) => group.handle("read", () => who).handle("change", () => who))
)

const served = Effect.fnUntraced(function* (configured: ReadonlyArray<ConfiguredKey>, isLoopback = true) {
  const services = yield* Layer.build(
    Layer.mergeAll(ClientKeys.layerWith({ configured: () => configured }), ConsoleAccount.layer).pipe(
      Layer.provideMerge(Store.layerMemory)
    )
  )
  const keys = yield* ClientKeys.pipe(Effect.provideContext(services))
  const account = yield* ConsoleAccount.pipe(Effect.provideContext(services))
  const [first, ...others] = handlers
  const { handler } = yield* Effect.acquireRelease(
    Effect.sync(() =>
      HttpRouter.toWebHandler(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(Layer.mergeAll(first!, ...others)),
          Layer.provide(AccessLayer.layerWith(() => isLoopback && keys.isOpen())),
          Layer.provide(Layer.succeedContext(services)),
          Layer.provide(HttpServer.layerServices)
        ) as Layer.Layer<never>,
        { disableLogger: true }
      )
    ),
    ({ dispose }) => Effect.promise(dispose)
  )
  const ask = (route: string, headers: Record<string, string> = {}, method = "GET") =>
    Effect.promise(async () => {
      const response = await handler(new Request(`http://localhost/${route}`, { method, headers }))
      const body: unknown = await response.json()
      return { status: response.status, body, cookie: response.headers.get("set-cookie") }
    })
  return {
    keys,
    account,
    ask,
    /** The name and role it is taken for, or the status it is refused with. */
    as: (route: string, key: string, method?: string) =>
      Effect.map(ask(route, key === "" ? {} : { authorization: `Bearer ${key}` }, method), ({ body, status }) =>
        status === 200 ? body : status
      )
  }
})

const holder = (name: string, rest: Partial<Client> = {}): ConfiguredKey => ({
  key: Redacted.make(`synthetic ${name}`.replace(" ", "-")),
  client: { ...nobody, name, ...rest }
})

describe("remembering a key", () => {
  it.effect("ends with the key, also within the second", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const keys = yield* ClientKeys
      const { key } = yield* keys.create({ name: "alice", role: "inference", expiresAt: 500 })
      const judge = AccessLayer.remembering(keys, () => clock.currentTimeMillisUnsafe())
      const [authorization, connection] = [`Bearer ${Redacted.value(key)}`, {}]
      assert.strictEqual(judge(authorization, connection)._tag, "Admitted")
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(judge(authorization, connection)._tag, "Admitted")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(judge(authorization, connection), { _tag: "Refused", why: "expired" })
    }).pipe(Effect.provide(ClientKeys.layerWith({ configured: () => [] }).pipe(Layer.provide(Store.layerMemory))))
  )
})

describe("Access", () => {
  it.live("lets everyone on this machine ask models while there is no key, and nothing else", () =>
    Effect.gen(function* () {
      const { as } = yield* served([])
      assert.strictEqual(yield* as("models", ""), "local, inference")
      assert.strictEqual(yield* as("models", "none-needed"), "local, inference")
      for (const route of ["tokens", "drive", "admin"]) {
        assert.strictEqual(yield* as(route, ""), 401)
        assert.strictEqual(yield* as(route, "none-needed"), 401)
      }
    })
  )

  it.live("lets nobody in without a key off the loopback", () =>
    Effect.gen(function* () {
      const { as } = yield* served([], false)
      for (const route of ["models", "tokens", "drive", "admin"]) assert.strictEqual(yield* as(route, ""), 401)
    })
  )

  it.live("lets each role do what it is for", () =>
    Effect.gen(function* () {
      const roles = ["inference", "token", "admin"] as const
      const { as } = yield* served(roles.map((role) => holder(role, { role })))
      const allowed = {
        models: ["inference", "admin"],
        tokens: ["token", "admin"],
        drive: ["inference", "token", "admin"],
        admin: ["admin"]
      }
      for (const [route, may] of Object.entries(allowed)) {
        for (const role of roles) {
          const expected = may.includes(role) ? `${role}, ${role}` : 403
          assert.strictEqual(yield* as(route, `synthetic-${role}`), expected, `${role} at ${route}`)
          assert.strictEqual(yield* as(route, `synthetic-${role}`, "POST"), expected, `${role} at ${route}`)
        }
        for (const key of ["", "synthetic", "synthetic-other"]) assert.strictEqual(yield* as(route, key), 401)
      }
    })
  )

  it.live("knows a key that was just made, and refuses one that was revoked", () =>
    Effect.gen(function* () {
      const { as, keys } = yield* served([])
      const { key, view } = yield* keys.create({ name: "alice", role: "token" })
      assert.strictEqual(yield* as("tokens", Redacted.value(key)), "alice, token")
      assert.strictEqual(yield* as("models", ""), 401)
      yield* keys.revoke(view.id)
      assert.strictEqual(yield* as("tokens", Redacted.value(key)), 401)
      assert.strictEqual(yield* as("models", ""), 401)
    })
  )

  it.live("holds a key to its requests a minute", () =>
    Effect.gen(function* () {
      const { as } = yield* served([holder("busy", { rpm: 2, role: "admin" })])
      assert.strictEqual(yield* as("models", "synthetic-busy"), "busy, admin")
      assert.strictEqual(yield* as("tokens", "synthetic-busy"), "busy, admin")
      assert.strictEqual(yield* as("models", "synthetic-busy"), 429)
    })
  )

  it.live("takes a session for whoever runs the server, and changes nothing without the session's token", () =>
    Effect.gen(function* () {
      const { account, ask } = yield* served([holder("someone")])
      const password = yield* account.ensure
      const session = yield* account.login(password ?? Redacted.make(""), "127.0.0.1")
      const cookie = `weirgate_session=${Redacted.value(session.secret)}`
      const csrf = { "x-csrf-token": Redacted.value(session.csrf) }
      for (const route of ["models", "tokens", "drive", "admin"]) {
        assert.deepInclude(yield* ask(route, { cookie }), { status: 200, body: "console, admin" })
        assert.strictEqual((yield* ask(route, { cookie }, "POST")).status, 403)
        assert.strictEqual((yield* ask(route, { cookie, "x-csrf-token": "synthetic" }, "POST")).status, 403)
        assert.strictEqual((yield* ask(route, { cookie, ...csrf }, "POST")).status, 200)
        assert.strictEqual((yield* ask(route, { cookie: "weirgate_session=synthetic", ...csrf }, "POST")).status, 401)
      }
      for (const [site, status] of Object.entries({
        "same-origin": 200,
        none: 200,
        "same-site": 403,
        "cross-site": 403
      })) {
        assert.strictEqual((yield* ask("tokens", { cookie, "sec-fetch-site": site })).status, status, site)
      }
      yield* account.logout(session.secret)
      assert.strictEqual((yield* ask("admin", { cookie })).status, 401)
    })
  )
})
