import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import type { OpenAiProvider, Provider } from "../../src/domain/Provider.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { TokenChecker } from "../../src/health/TokenChecker.ts"
import { warp } from "../../src/traffic/offering.ts"
import { WarpClient } from "../../src/upstream/WarpClient.ts"
import { WopanClient } from "../../src/upstream/WopanClient.ts"

const token = { id: TokenId.make("token-1"), access: Redacted.make("synthetic-access") }
const report = { unlimited: false, limit: 10, used: 3 }
const minute = Duration.minutes(1)
const openAi = (name: string): OpenAiProvider => ({
  kind: "openai",
  name,
  baseUrl: `http://${name}.test/v1`,
  keys: [],
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  timeouts: { connect: minute, headers: minute, firstToken: minute, idle: minute, total: minute },
  models: undefined
})

/** A checker over upstreams of which those named `lacking` have no list of models. */
const checkerOf = (providers: () => ReadonlyArray<Provider>, asked: Array<string> = []) => {
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      asked.push(url.href)
      const status = url.hostname.startsWith("lacking") ? 404 : 200
      return HttpClientResponse.fromWeb(request, new Response(`{"object":"list","data":[]}`, { status }))
    })
  )
  return TokenChecker.layerWith({ providers }).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.provide(
      Layer.mock(WarpClient, { minting: false, quota: () => Effect.sync(() => (asked.push("warp"), report)) })
    ),
    Layer.provide(Layer.mock(WopanClient, { check: () => Effect.sync(() => void asked.push("wopan")) }))
  )
}

describe("TokenChecker", () => {
  it.effect("asks Warp for the quota, WoPan for the account, and others for their models", () => {
    const asked: Array<string> = []
    return Effect.gen(function* () {
      const { checkOf } = yield* TokenChecker
      assert.deepStrictEqual(yield* checkOf("warp")!(token), report)
      assert.isUndefined(yield* checkOf("wopan")!(token))
      assert.isUndefined(yield* checkOf("one")!(token))
      assert.deepStrictEqual(asked, ["warp", "wopan", "http://one.test/v1/models"])
    }).pipe(Effect.provide(checkerOf(() => [warp, openAi("one")], asked)))
  })

  it.effect("follows what is offered, and asks for nobody else", () => {
    let offered: ReadonlyArray<Provider> = [openAi("one")]
    return Effect.gen(function* () {
      const { checkOf } = yield* TokenChecker
      assert.deepStrictEqual(
        [checkOf("warp"), checkOf("two"), checkOf("constructor")],
        [undefined, undefined, undefined]
      )
      assert.isDefined(checkOf("one"))
      offered = [openAi("two")]
      assert.isUndefined(checkOf("one"))
      assert.isDefined(checkOf("two"))
    }).pipe(Effect.provide(checkerOf(() => offered)))
  })

  it.effect("leaves an upstream that has no list of models alone for an hour, or until it is configured anew", () => {
    let provider = openAi("lacking")
    return Effect.gen(function* () {
      const { checkOf } = yield* TokenChecker
      assert.strictEqual(yield* checkOf("lacking")!(token), "unknown")
      assert.isUndefined(checkOf("lacking"))
      provider = { ...provider }
      assert.strictEqual(yield* checkOf("lacking")!(token), "unknown")
      yield* TestClock.adjust("59 minutes")
      assert.isUndefined(checkOf("lacking"))
      yield* TestClock.adjust("1 minute")
      assert.isDefined(checkOf("lacking"))
    }).pipe(Effect.provide(checkerOf(() => [provider])))
  })

  it.effect("of a program's own choice asks for those alone", () =>
    Effect.gen(function* () {
      const { checkOf } = yield* TokenChecker
      assert.isUndefined(yield* checkOf("own")!(token))
      assert.deepStrictEqual([checkOf("warp"), checkOf("toString")], [undefined, undefined])
    }).pipe(Effect.provide(TokenChecker.layerOf({ own: () => Effect.void })))
  )
})
