import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import type { OpenAiProvider } from "../../src/domain/Provider.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { OpenAiModels } from "../../src/upstream/OpenAiModels.ts"

const secret = "synthetic-key"
const token = (access: string) => ({ id: TokenId.make("token-1"), access: Redacted.make(access) })
const minute = Duration.minutes(1)
const provider: OpenAiProvider = {
  kind: "openai",
  name: "p",
  baseUrl: "http://upstream.test/openai/v1?api-version=2",
  keys: [],
  limits: { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" },
  timeouts: { connect: minute, headers: minute, firstToken: minute, idle: minute, total: minute },
  models: undefined
}

/** Asks an upstream that answers so. */
const asked = (
  answer: (request: HttpClientRequest.HttpClientRequest, url: URL) => Response | "broken" | "silent",
  access = secret
) => {
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const response = answer(request, url)
      if (response === "silent") return Effect.never
      if (response !== "broken") return Effect.succeed(HttpClientResponse.fromWeb(request, response))
      const reason = new HttpClientError.TransportError({ request, cause: new Error("synthetic") })
      return Effect.fail(new HttpClientError.HttpClientError({ reason }))
    })
  )
  return OpenAiModels.use((models) => models.ask(provider, token(access))).pipe(
    Effect.provide(OpenAiModels.layer.pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client))))
  )
}

const answer = (status: number, body: unknown, type = "application/json") =>
  new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers: { "content-type": type } })
const list = { object: "list", data: [{ id: "m", object: "model" }] }
const failureOf = (status: number, body: unknown, type?: string) => Effect.flip(asked(() => answer(status, body, type)))

describe("OpenAiModels", () => {
  it.effect("asks for the list below the base URL, with the key, and once", () => {
    const seen: Array<string | undefined> = []
    return Effect.gen(function* () {
      const listed = yield* asked(({ headers, method }, url) => {
        seen.push(method, url.href, headers["authorization"])
        return answer(200, list)
      })
      assert.strictEqual(listed, "listed")
      assert.deepStrictEqual(seen, ["GET", "http://upstream.test/openai/v1/models?api-version=2", `Bearer ${secret}`])
    })
  })

  it.effect("sends no key where there is none", () => {
    let authorization: string | undefined
    return Effect.gen(function* () {
      yield* asked(({ headers }) => {
        authorization = headers["authorization"]
        return answer(200, list)
      }, "")
      assert.isUndefined(authorization)
    })
  })

  it.effect("takes a list that is too long to be read for what it is", () =>
    Effect.gen(function* () {
      const data = Array.from({ length: 5_000 }, (_, i) => ({ id: `model-${i}`, object: "model" }))
      assert.strictEqual(yield* asked(() => answer(200, { object: "list", data })), "listed")
      assert.strictEqual(yield* asked(() => answer(200, data)), "listed")
    })
  )

  for (const [what, status, body, type] of [
    ["404", 404, { error: { message: "Not Found" } }, undefined],
    ["405", 405, "", "text/plain"],
    ["501", 501, "", "text/plain"],
    ["a page where the list belongs", 200, "<!doctype html><p>Welcome", "text/html"],
    ["a key that may not see the list", 403, { error: { message: "Missing scopes: api.model.read" } }, undefined]
  ] as const) {
    it.effect(`${what} says nothing of the key`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* asked(() => answer(status, body, type)), "absent")
      })
    )
  }

  it.effect("tells why the key is refused, and never tells the key", () =>
    Effect.gen(function* () {
      const quoted = { error: { message: `Incorrect API key provided: ${secret}`, code: "invalid_api_key" } }
      const refused = yield* failureOf(401, quoted)
      assert.strictEqual(refused._tag, "AccessRejected")
      assert.strictEqual((yield* failureOf(200, quoted))._tag, "AccessRejected")
      const disabled = yield* failureOf(401, { error: { message: `The account of ${secret} has been suspended` } })
      assert.strictEqual(disabled._tag, "AccountBlocked")
      assert.notInclude(JSON.stringify([disabled, disabled.message]), secret)
      assert.strictEqual((yield* failureOf(429, { error: { message: "Too many requests" } }))._tag, "Throttled")
      assert.strictEqual((yield* failureOf(402, { error: { message: "Payment required" } }))._tag, "QuotaExhausted")
      assert.strictEqual((yield* failureOf(503, "busy", "text/plain"))._tag, "UpstreamUnavailable")
    })
  )

  it.effect("tells of an upstream that cannot be reached, and waits ten seconds for one that is silent", () =>
    Effect.gen(function* () {
      const broken = yield* Effect.flip(asked(() => "broken"))
      assert.deepStrictEqual([broken._tag, "reason" in broken && broken.reason], ["UpstreamUnavailable", "connection"])
      const asking = yield* Effect.forkChild(Effect.flip(asked(() => "silent")))
      yield* TestClock.adjust("10 seconds")
      const silent = yield* Fiber.join(asking)
      assert.deepStrictEqual([silent._tag, "reason" in silent && silent.reason], ["UpstreamUnavailable", "timeout"])
    })
  )
})
