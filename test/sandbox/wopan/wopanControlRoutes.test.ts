import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { at, get, postJson, setFault, stats, text, withSandbox } from "../warpCaller.ts"
import { folderId, list, namesIn, renew, tokenOf, tokens } from "./wopanCaller.ts"

const expire = (account: string) => postJson("/_sandbox/wopan/expire", { account })
const add = (body: object) => postJson("/_sandbox/wopan/files", body)

const remove = Effect.fnUntraced(function* (body: object) {
  const { url } = yield* Sandbox
  const http = yield* HttpClient.HttpClient
  const request = HttpClientRequest.delete(`${url}/_sandbox/wopan/files`)
  const { json, status } = yield* http.execute(HttpClientRequest.bodyJsonUnsafe(request, body))
  return { status, json: yield* json }
})

describe("the controls of the emulated drive", () => {
  it.effect("tell what a client is configured with, as the service does", () =>
    Effect.gen(function* () {
      const here = yield* Sandbox
      const { json } = yield* get("/_sandbox/credentials")
      const told = at(json, "wopan")
      assert.strictEqual(at(told, "baseUrl"), `${here.url}/wopan`)
      assert.strictEqual(at(told, "clientId"), here.wopan.clientId)
      assert.strictEqual(at(told, "clientSecret"), Redacted.value(here.wopan.clientSecret))
      assert.strictEqual(at(told, "iv"), Redacted.value(here.wopan.iv))
      for (const [i, token] of (yield* tokens).entries()) {
        assert.deepStrictEqual(at(told, "tokens", i), {
          account: `account-${i + 1}`,
          accessToken: token.access,
          refreshToken: token.refresh,
          expiresAt: 604_799_000
        })
        assert.strictEqual(token.expiresAt, 604_799_000)
      }
      const there = yield* Effect.provide(Sandbox, Sandbox.layerAt(here.url))
      assert.strictEqual(there.wopan.clientId, here.wopan.clientId)
      const secrets = ({ wopan }: Sandbox["Service"]) =>
        [wopan.clientSecret, wopan.iv, ...wopan.tokens.flatMap(({ access, refresh }) => [access, refresh])].map(
          (secret) => secret && Redacted.value(secret)
        )
      assert.deepStrictEqual(secrets(there), secrets(here))
      assert.lengthOf(there.wopan.tokens, 2)
    }).pipe(withSandbox())
  )

  it.effect("end a token at once, until it is renewed", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* tokenOf(0), yield* tokenOf(1)]
      assert.strictEqual((yield* expire("account-1")).status, 200)
      assert.strictEqual((yield* list(one.access)).code, "9999")
      assert.strictEqual((yield* list(two.access)).code, "0000")
      const renewed = yield* renew(one.refresh)
      assert.strictEqual((yield* list(text(renewed.data, "access_token"))).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("add a file, with the folders that it takes, and take it away", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* tokenOf(0), yield* tokenOf(1)]
      assert.strictEqual((yield* add({ account: "account-1", path: "new/a b%+.bin", size: 7 })).status, 200)
      const listed = yield* list(one.access, { parentDirectoryId: yield* folderId(one.access, "new") })
      assert.deepInclude(at(listed.data, "files", 0), { name: "a b%+.bin", size: "7", type: 1 })
      assert.notInclude(namesIn((yield* list(two.access)).data), "new")
      const entry = { account: "account-1", path: "new/a b%+.bin" }
      assert.strictEqual((yield* remove(entry)).status, 200)
      const left = yield* list(one.access, { parentDirectoryId: yield* folderId(one.access, "new") })
      assert.deepStrictEqual(namesIn(left.data), [])
      assert.deepStrictEqual(at((yield* remove(entry)).json, "error", "field"), "path")
      assert.strictEqual((yield* remove({ account: "account-1", path: "photos" })).status, 200)
      assert.notInclude(namesIn((yield* list(one.access)).data), "photos")
    }).pipe(withSandbox())
  )

  it.effect("refuse what there is not, by the field", () =>
    Effect.gen(function* () {
      assert.strictEqual(at((yield* expire("nobody")).json, "error", "field"), "account")
      for (const [body, field] of [
        [{ account: "nobody", path: "a" }, "account"],
        [{ path: "a" }, "account"],
        [{ account: "account-1" }, "path"],
        [{ account: "account-1", path: "" }, "path"],
        [{ account: "account-1", path: "/a" }, "path"],
        [{ account: "account-1", path: "a//b" }, "path"],
        [{ account: "account-1", path: "photos" }, "path"],
        [{ account: "account-1", path: "readme.txt/a" }, "path"],
        [{ account: "account-1", path: "a", size: -1 }, "size"],
        [[], "body"]
      ] as const) {
        const { json, status } = yield* add(body)
        assert.deepStrictEqual([status, at(json, "error", "field")], [400, field], JSON.stringify(body))
      }
    }).pipe(withSandbox())
  )

  it.effect("count by status and by code, and put everything back at a reset", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      yield* list(access)
      yield* list(access, { parentDirectoryId: "synthetic" })
      yield* setFault({ provider: "wopan", call: "list", kind: "rate_limit" })
      yield* list(access)
      yield* renew(refresh)
      yield* list(access)
      const counted = at(yield* stats, "wopan")
      const quiet = { open: 0, aborted: 0 }
      assert.deepStrictEqual<unknown>(at(counted, "list"), {
        ...quiet,
        total: 4,
        byStatus: { 200: 3, 429: 1 },
        byCode: { "0000": 1, "1000": 1, "1001": 1 }
      })
      const once = { ...quiet, total: 1, byStatus: { 200: 1 }, byCode: { "0000": 1 } }
      assert.deepStrictEqual<unknown>(at(counted, "refresh"), once)

      yield* add({ account: "account-1", path: "new.bin" })
      yield* setFault({ provider: "wopan", call: "list", kind: "expired", times: null })
      yield* expire("account-1")
      yield* postJson("/_sandbox/reset", {})
      const none = { ...quiet, total: 0, byStatus: {}, byCode: {} }
      for (const call of ["login", "refresh", "user", "list", "download", "content", "other"]) {
        assert.deepStrictEqual<unknown>(at(yield* stats, "wopan", call), none)
      }
      const again = yield* list(access)
      assert.strictEqual(again.code, "0000")
      assert.notInclude(namesIn(again.data), "new.bin")
    }).pipe(withSandbox())
  )
})

describe("a body that is no envelope", () => {
  const send = Effect.fnUntraced(function* (body: string | Uint8Array, channel = "wohome") {
    const { wopan } = yield* Sandbox
    const http = yield* HttpClient.HttpClient
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
    const request = HttpClientRequest.post(`${wopan.baseUrl}/${channel}/dispatcher`)
    const response = yield* http.execute(HttpClientRequest.bodyUint8Array(request, bytes, "application/json"))
    const text = yield* response.text
    return { status: response.status, text }
  })

  it.effect("is answered with code 1000, whatever it is", () =>
    Effect.gen(function* () {
      const bodies = [
        "",
        "{",
        "null",
        "[]",
        "5",
        '"text"',
        "{}",
        '{"header":null}',
        '{"header":{"key":{"toString":1}}}',
        '{"header":{"key":"__proto__"},"body":{}}',
        '{"__proto__":{"header":{"key":"QueryAllFiles"}}}',
        "[".repeat(50_000),
        new Uint8Array([0xff, 0xfe, 0x00])
      ]
      for (const body of bodies) {
        for (const channel of ["wohome", "api-user"]) {
          const { status, text } = yield* send(body, channel)
          assert.strictEqual(status, 200, text)
          assert.include(text, '"RSP_CODE":"1000"')
        }
      }
      const counted = at(yield* stats, "wopan", "other")
      assert.deepInclude(counted, { byStatus: { 200: 2 * bodies.length }, byCode: { 1000: 2 * bodies.length } })
    }).pipe(withSandbox())
  )

  it.effect("is refused when it is of more than 256 KiB", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* send("x".repeat(256 * 1_024))).status, 200)
      assert.strictEqual((yield* send("x".repeat(256 * 1_024 + 1))).status, 413)
      assert.strictEqual(at(yield* stats, "wopan", "other", "byStatus", "413"), 1)
    }).pipe(withSandbox())
  )
})
