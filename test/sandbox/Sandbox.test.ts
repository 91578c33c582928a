import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { Sandbox } from "../../src/sandbox/Sandbox.ts"
import {
  accessOf,
  ask,
  at,
  callModel,
  createUser,
  eventually,
  exchange,
  get,
  idTokenOf,
  openModel,
  postJson,
  refresh,
  remove,
  setFault,
  stats,
  text,
  withSandbox
} from "./warpCaller.ts"

const portOf = (url: string) => Number(new URL(url).port)

describe("Sandbox", () => {
  it.effect("says with a typed error that its address is in use", () =>
    Effect.gen(function* () {
      const port = portOf((yield* Sandbox).url)
      const error = yield* Effect.flip(Layer.build(Sandbox.layerWith({ port })))
      assert.deepInclude(error, { _tag: "SandboxAddressInUse", host: "127.0.0.1", port })
    }).pipe(Effect.scoped, withSandbox())
  )

  it.effect("says with a typed error that it cannot listen at all", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(Sandbox.layerWith({ host: "192.0.2.1", port: 0 })))
      assert.strictEqual(error._tag, "SandboxNotListening")
    })
  )

  it.effect("can be used where it already runs, with the same credentials", () =>
    Effect.gen(function* () {
      const here = yield* Sandbox
      const there = yield* Effect.provide(Sandbox, Sandbox.layerAt(`${here.url}/`))
      assert.strictEqual(there.url, here.url)
      for (const name of ["apiKey", "personalRefreshToken", "anonymousRefreshToken"] as const) {
        assert.strictEqual(Redacted.value(there[name]), Redacted.value(here[name]))
      }
      const told = ({ openai }: Sandbox["Service"]) =>
        openai.map(({ keys, ...provider }) => ({ ...provider, keys: keys.map(Redacted.value) }))
      assert.deepStrictEqual(told(there), told(here))
    }).pipe(withSandbox())
  )

  it.effect("says with a typed error that no sandbox answers at an address", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.provide(Sandbox, Sandbox.layerWith({ port: 0 }))
      const error = yield* Effect.flip(Layer.build(Sandbox.layerAt(url)))
      assert.deepInclude(error, { _tag: "SandboxUnreachable", url })
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )

  it.effect("stops at once, whatever is still at work", () =>
    Effect.gen(function* () {
      const running = yield* Effect.gen(function* () {
        yield* setFault({ call: "ai", kind: "silence" })
        const waiting = yield* Effect.forkDetach(Effect.exit(callModel("", ask("hi"))))
        yield* eventually(stats, (counted) => at(counted, "open") === 1)
        return waiting
      }).pipe(withSandbox())
      yield* Fiber.join(running)
    })
  )

  it.effect("honours after a restart what it issued before", () =>
    Effect.gen(function* () {
      const issued = yield* withSandbox()(Effect.flatMap(createUser(), (created) => exchange(idTokenOf(created))))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* callModel(text(issued.json, "idToken"), ask("hi"))).status, 200)
        assert.strictEqual((yield* refresh(text(issued.json, "refreshToken"))).status, 200)
      }).pipe(withSandbox())
    })
  )

  it.effect("creates as many users as its limit allows, however many ask at once", () =>
    Effect.gen(function* () {
      yield* Effect.all(
        Array.from({ length: 97 }, () => createUser()),
        { concurrency: "unbounded", discard: true }
      )
      assert.deepStrictEqual(at(yield* stats, "createAnonymousUser", "byStatus"), { 200: 5, 429: 92 })
    }).pipe(withSandbox())
  )

  it.effect("tells the same credentials in every run with one seed, and others with another", () =>
    Effect.gen(function* () {
      const told = Effect.map(get("/_sandbox/credentials"), ({ json }) => ({
        ...(json as object),
        baseUrl: "",
        identityUrl: "",
        tokenUrl: "",
        wopan: { ...(at(json, "wopan") as object), baseUrl: "" },
        openai: ""
      }))
      const first = yield* withSandbox({ seed: "a" })(told)
      assert.deepStrictEqual(yield* withSandbox({ seed: "a" })(told), first)
      assert.notDeepEqual(yield* withSandbox({ seed: "b" })(told), first)
    })
  )

  it.effect("tells everything a client needs, under each name it may be looked for, without creating a user", () =>
    Effect.gen(function* () {
      const { apiKey, anonymousRefreshToken, personalRefreshToken, url } = yield* Sandbox
      const { json, status } = yield* get("/_sandbox/credentials")
      assert.strictEqual(status, 200)
      assert.strictEqual(at(json, "apiKey"), Redacted.value(apiKey))
      assert.strictEqual(at(json, "firebaseApiKey"), Redacted.value(apiKey))
      assert.strictEqual(at(json, "refreshToken"), Redacted.value(personalRefreshToken))
      assert.strictEqual(at(json, "personal", "refreshToken"), Redacted.value(personalRefreshToken))
      assert.strictEqual(at(json, "anonymous", "refreshToken"), Redacted.value(anonymousRefreshToken))
      for (const name of ["baseUrl", "identityUrl", "tokenUrl"]) assert.strictEqual(at(json, name), url)
      assert.strictEqual(at(yield* stats, "createAnonymousUser", "total"), 0)
    }).pipe(withSandbox())
  )

  it.effect("answers what it does not know with a 404 in JSON", () =>
    Effect.gen(function* () {
      for (const answer of [
        yield* get("/"),
        yield* get("/nothing?key=secret"),
        yield* get("/ai/multi-agent"),
        yield* remove("/_sandbox/stats")
      ]) {
        assert.strictEqual(answer.status, 404)
        assert.isString(at(answer.json, "error", "message"))
        assert.notInclude(answer.text, "secret")
      }
    }).pipe(withSandbox())
  )

  it.effect("refuses a body of more than eight mebibytes", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      assert.strictEqual((yield* callModel(access, new Uint8Array(8 * 1024 * 1024 + 1))).status, 413)
      assert.strictEqual(at(yield* stats, "ai", "byStatus", "413"), 1)
    }).pipe(withSandbox())
  )

  it.effect("counts every call by its kind and status", () =>
    Effect.gen(function* () {
      for (let call = 0; call < 6; call++) yield* createUser()
      yield* callModel(yield* accessOf("anonymous"), ask("hi"))
      yield* callModel("", ask("hi"))
      const none = { total: 0, byStatus: {}, aborted: 0, open: 0 }
      const { openai: _, wopan: _w, ...warp } = (yield* stats) as { openai: unknown; wopan: unknown }
      assert.deepStrictEqual<unknown>(warp, {
        createAnonymousUser: { ...none, total: 6, byStatus: { 200: 5, 429: 1 } },
        exchange: none,
        refresh: { ...none, total: 1, byStatus: { 200: 1 } },
        quota: none,
        ai: { ...none, total: 2, byStatus: { 200: 1, 401: 1 } },
        aborted: 0,
        open: 0
      })
    }).pipe(withSandbox())
  )

  it.effect("shows what the model requests really held, the newest last", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      const tools = [{ name: "clock", inputSchema: {} }]
      yield* callModel(access, ask("first", { systemPrompt: "be brief", model: "gpt-5", conversationId: "c1", tools }))
      yield* callModel("", ask("second"))
      const { json } = yield* get("/_sandbox/requests")
      assert.deepInclude(at(json, "requests", 0), {
        time: "1970-01-01T00:00:00.000Z",
        arrivedAt: 0,
        provider: "warp",
        call: "ai",
        conversationId: "c1",
        model: "gpt-5",
        query: "first",
        systemPrompt: "be brief",
        historyLength: 0,
        toolNames: ["clock"],
        toolResults: [],
        status: 200
      })
      assert.match(`${at(json, "requests", 0, "account")}`, /^personal-/)
      assert.deepInclude(at(json, "requests", 1), { query: "second", account: null, status: 401 })
    }).pipe(withSandbox())
  )

  it.effect("starts over when it is reset", () =>
    Effect.gen(function* () {
      for (let call = 0; call < 6; call++) yield* createUser()
      const access = yield* accessOf("anonymous")
      const first = yield* callModel(access, ask("hi"))
      yield* setFault({ call: "ai", kind: "blocked", times: null })
      assert.strictEqual((yield* postJson("/_sandbox/reset", {})).status, 200)
      assert.strictEqual(at(yield* stats, "createAnonymousUser", "total"), 0)
      assert.deepStrictEqual((yield* get("/_sandbox/faults")).json, { faults: [] })
      assert.deepStrictEqual((yield* get("/_sandbox/requests")).json, { requests: [] })
      assert.strictEqual((yield* createUser()).status, 200)
      assert.deepStrictEqual((yield* callModel(access, ask("hi"))).text, first.text)
    }).pipe(withSandbox())
  )

  it.effect("counts a client that leaves in the middle of an answer, and is then done with it", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* setFault({ call: "ai", kind: "stall" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const answer = yield* Effect.forkScoped(
            Effect.flatMap(openModel(access, ask("hi")), (response) => response.text)
          )
          yield* eventually(stats, (counted) => at(counted, "ai", "byStatus", "200") === 1)
          assert.strictEqual(at(yield* stats, "open"), 1)
          yield* Fiber.interrupt(answer)
        })
      )
      const counted = yield* eventually(stats, (counted) => at(counted, "open") === 0)
      assert.strictEqual(at(counted, "aborted"), 1)
      assert.strictEqual(at(counted, "ai", "aborted"), 1)
    }).pipe(withSandbox())
  )

  it.effect("shares nothing between two sandboxes of one program", () =>
    Effect.gen(function* () {
      const other = yield* Layer.build(Sandbox.layerWith({ port: 0 }))
      yield* createUser()
      const there = yield* Effect.provide(stats, other)
      assert.strictEqual(at(there, "createAnonymousUser", "total"), 0)
      assert.strictEqual(at(yield* stats, "createAnonymousUser", "total"), 1)
    }).pipe(Effect.scoped, withSandbox())
  )
})
