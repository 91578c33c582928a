import { fromBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Redacted, Scope, Stream } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { ChatEvent } from "../../src/domain/Chat.ts"
import type { ChatRequest } from "../../src/domain/Chat.ts"
import * as Failure from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { RequestSchema } from "../../src/upstream/warp/warp_pb.ts"
import { exchangeRetry, WarpClient, type WarpOptions } from "../../src/upstream/WarpClient.ts"

const apiKey = "synthetic-web-key"
const access = "synthetic-access-secret"
const custom = "synthetic-custom-secret"
const refreshSecret = "synthetic-refresh-secret"

const options: WarpOptions = {
  baseUrl: "https://warp.test/",
  identityUrl: "https://identity.test",
  tokenUrl: "https://token.test",
  apiKey: Redacted.make(apiKey),
  minting: true
}
const token = { id: TokenId.make("token-1"), access: Redacted.make(access) }
const hi: ChatRequest = { model: "auto", messages: [{ role: "user", content: "hi" }] }

interface Seen {
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  readonly at: number
  readonly signal: AbortSignal
}

type Reply = Response | Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const transportError = (request: HttpClientRequest.HttpClientRequest, code = "ECONNREFUSED") =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({
      request,
      cause: new TypeError("fetch failed", { cause: Object.assign(new Error("connect"), { code }) })
    })
  })

/** A connection that is refused. */
const refused = (request: HttpClientRequest.HttpClientRequest): Reply => Effect.fail(transportError(request))
/** An upstream that takes the request and says nothing. */
const silent = (): Reply => Effect.never
/** An answer whose body is the given stream. */
const streaming =
  (body: Stream.Stream<Uint8Array, string>, init?: ResponseInit) =>
  (request: HttpClientRequest.HttpClientRequest): Reply =>
    Effect.sync(() => {
      const response = HttpClientResponse.fromWeb(request, new Response(null, init))
      const stream = Stream.mapError(body, () => transportError(request, "ECONNRESET"))
      return Object.defineProperty(response, "stream", { value: stream })
    })

/** An upstream that answers each request with the next reply, the last one for ever. */
const upstream = (...replies: Array<(request: HttpClientRequest.HttpClientRequest) => Reply>) => {
  const seen: Array<Seen> = []
  const client = HttpClient.make((request, url, signal) =>
    Effect.clockWith((clock) =>
      Effect.suspend(() => {
        const body = request.body._tag === "Uint8Array" ? request.body.body : new Uint8Array()
        const at = clock.currentTimeMillisUnsafe()
        seen.push({ url: url.href, headers: { ...request.headers }, body, at, signal })
        const reply = replies[Math.min(seen.length, replies.length) - 1]?.(request)
        if (reply === undefined) return Effect.die("no reply was scripted")
        return reply instanceof Response ? Effect.succeed(HttpClientResponse.fromWeb(request, reply)) : reply
      })
    )
  )
  const http = Layer.succeed(HttpClient.HttpClient, client)
  return { seen, layer: WarpClient.layerWith(options).pipe(Layer.provide(http)), http }
}

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  () =>
    Response.json(body, { status, headers })
const page =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response(`<!doctype html><title>${status}</title>${status}`, {
      status,
      headers: { "content-type": "text/html", ...headers }
    })
const empty = (status: number) => () => new Response(null, { status })

const text = (seen: Seen | undefined) => new TextDecoder().decode(seen?.body)
const form = (seen: Seen | undefined) => Object.fromEntries(new URLSearchParams(text(seen)))

const created = json({
  data: { createAnonymousUser: { __typename: "CreateAnonymousUserOutput", idToken: custom, firebaseUid: "u" } }
})
const exchanged = json({ idToken: access, refreshToken: refreshSecret, expiresIn: "3600" })
const renewed = json({ id_token: access, access_token: access, refresh_token: "synthetic-rotated", expires_in: "3600" })
const google = (message: string, status = 400) =>
  json({ error: { code: status, message, status: "INVALID_ARGUMENT" } }, status)

const run = <A, E, R>(
  given: { readonly layer: Layer.Layer<WarpClient> },
  use: (client: typeof WarpClient.Service) => Effect.Effect<A, E, R>
) => Effect.flatMap(WarpClient, use).pipe(Effect.provide(given.layer))

const unavailable = (fields: Omit<ConstructorParameters<typeof Failure.UpstreamUnavailable>[0], "provider">) =>
  new Failure.UpstreamUnavailable({ provider: "warp", ...fields })

/** Begins at once and is still at work when this returns. */
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("createAnonymousUser", () => {
  it.effect("asks once, says who we are, carries no credential, and answers with the custom token", () =>
    Effect.gen(function* () {
      const warp = upstream(created)
      const secret = yield* run(warp, (client) => client.createAnonymousUser)
      assert.strictEqual(Redacted.value(secret), custom)
      assert.strictEqual(warp.seen.length, 1)
      const [call] = warp.seen
      assert.strictEqual(call?.url, "https://warp.test/graphql/v2?op=CreateAnonymousUser")
      assert.isUndefined(call?.headers["authorization"])
      assert.isUndefined(call?.headers["traceparent"])
      assert.strictEqual(call?.headers["x-warp-client-id"], "weirgate")
      assert.match(call?.headers["user-agent"] ?? "", /^weirgate\//)
      assert.match(call?.headers["x-warp-client-version"] ?? "", /^v/)
      const { operationName, query, variables } = JSON.parse(text(call))
      assert.strictEqual(operationName, "CreateAnonymousUser")
      assert.include(query, "createAnonymousUser(input: $input, requestContext: $requestContext)")
      assert.deepStrictEqual(variables.input, {
        anonymousUserType: "NATIVE_CLIENT_ANONYMOUS_USER_FEATURE_GATED",
        expirationType: "NO_EXPIRATION",
        referralCode: null
      })
      assert.strictEqual(variables.requestContext.clientContext.version, call?.headers["x-warp-client-version"])
      assert.strictEqual(variables.requestContext.osContext.linuxKernelVersion, null)
    })
  )

  it.effect("does not call when minting is off", () =>
    Effect.gen(function* () {
      const warp = upstream(created)
      const layer = WarpClient.layerWith({ ...options, minting: false }).pipe(Layer.provide(warp.http))
      yield* run({ layer }, (client) =>
        Effect.gen(function* () {
          assert.isFalse(client.minting)
          assert.deepStrictEqual(
            yield* Effect.flip(client.createAnonymousUser),
            new Failure.MintingDisabled({ provider: "warp" })
          )
        })
      )
      assert.strictEqual(warp.seen.length, 0)
    })
  )

  it.effect("tells the creation limit with its wait", () =>
    Effect.gen(function* () {
      const warp = upstream(page(429, { "retry-after": "30" }))
      assert.deepStrictEqual(
        yield* Effect.flip(run(warp, (client) => client.createAnonymousUser)),
        new Failure.CreateUserRateLimited({ provider: "warp", retryAfter: Duration.seconds(30) })
      )
      assert.strictEqual(warp.seen.length, 1)
    })
  )

  it.effect("counts a wait until a date from when the answer came", () =>
    Effect.gen(function* () {
      const until = page(429, { "retry-after": "Thu, 01 Jan 1970 00:01:00 GMT" })
      const late = (request: HttpClientRequest.HttpClientRequest): Reply =>
        Effect.as(Effect.sleep("4 seconds"), HttpClientResponse.fromWeb(request, until()))
      const fiber = yield* begin(Effect.flip(run(upstream(late), (client) => client.createAnonymousUser)))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        new Failure.CreateUserRateLimited({ provider: "warp", retryAfter: Duration.seconds(56) })
      )
    })
  )

  for (const [why, reply, failure] of [
    ["fails", empty(500), unavailable({ reason: "status", status: 500, detail: "it answered with status 500" })],
    [
      "cannot be reached",
      refused,
      unavailable({ reason: "connection", detail: "the connection failed (ECONNREFUSED)" })
    ]
  ] as const) {
    it.effect(`is never repeated, not even when the upstream ${why}`, () =>
      Effect.gen(function* () {
        const warp = upstream(reply, created)
        assert.deepStrictEqual(yield* Effect.flip(run(warp, (client) => client.createAnonymousUser)), failure)
        assert.strictEqual(warp.seen.length, 1)
      })
    )
  }

  it.effect("waits ten seconds for the answer, not one millisecond less or more, and then aborts the call", () =>
    Effect.gen(function* () {
      const warp = upstream(silent)
      const fiber = yield* begin(Effect.flip(run(warp, (client) => client.createAnonymousUser)))
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isFalse(warp.seen[0]?.signal.aborted)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        unavailable({ reason: "timeout", detail: "no answer within 10s" })
      )
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("a body that stalls counts as no answer, unless the status has already told the failure", () =>
    Effect.gen(function* () {
      const ok = yield* begin(
        Effect.flip(run(upstream(streaming(Stream.never)), (client) => client.createAnonymousUser))
      )
      const limited = yield* begin(
        Effect.flip(run(upstream(streaming(Stream.never, { status: 429 })), (client) => client.createAnonymousUser))
      )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(limited), new Failure.CreateUserRateLimited({ provider: "warp" }))
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(yield* Fiber.join(ok), unavailable({ reason: "timeout", detail: "no answer within 10s" }))
    })
  )

  it.effect("interruption aborts the call", () =>
    Effect.gen(function* () {
      const warp = upstream(silent)
      const fiber = yield* begin(run(warp, (client) => client.createAnonymousUser))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("reads no more of an answer than a bound, and takes the rest for malformed", () =>
    Effect.gen(function* () {
      const chunk = new TextEncoder().encode(" ".repeat(16 * 1024))
      let read = 0
      const endless = Stream.forever(Stream.make(chunk)).pipe(Stream.tap(() => Effect.sync(() => (read += 1))))
      const failure = yield* Effect.flip(run(upstream(streaming(endless)), (client) => client.createAnonymousUser))
      assert.strictEqual(failure._tag === "UpstreamUnavailable" && failure.reason, "malformed")
      assert.strictEqual(read, 4)
    })
  )
})

describe("exchange", () => {
  const exchange = (warp: { readonly layer: Layer.Layer<WarpClient> }) =>
    run(warp, (client) => client.exchange(Redacted.make(custom)))

  it.effect("posts the custom token as a form and reads when the access secret ends", () =>
    Effect.gen(function* () {
      for (const expiresIn of ["3600", 3600]) {
        const warp = upstream(json({ idToken: access, refreshToken: refreshSecret, expiresIn, isNewUser: true }))
        yield* TestClock.setTime(5_000)
        const credential = yield* exchange(warp)
        assert.strictEqual(Redacted.value(credential.access), access)
        assert.strictEqual(credential.refresh && Redacted.value(credential.refresh), refreshSecret)
        assert.strictEqual(credential.expiresAt, 3_605_000)
        const [call] = warp.seen
        assert.strictEqual(call?.url, `https://identity.test/v1/accounts:signInWithCustomToken?key=${apiKey}`)
        assert.include(call?.headers["content-type"], "application/x-www-form-urlencoded")
        assert.deepStrictEqual(form(call), { returnSecureToken: "true", token: custom })
      }
    })
  )

  for (const [why, reply] of [
    ["cannot be reached", refused],
    ["fails", empty(503)],
    ["breaks off", streaming(Stream.fail("reset"))]
  ] as const) {
    it.effect(`goes through Warp's proxy when the identity service ${why}`, () =>
      Effect.gen(function* () {
        const warp = upstream(reply, exchanged)
        assert.strictEqual(Redacted.value((yield* exchange(warp)).access), access)
        assert.deepStrictEqual(
          warp.seen.map(({ url }) => url.split("?")[0]),
          ["https://identity.test/v1/accounts:signInWithCustomToken", "https://warp.test/proxy/customToken"]
        )
        assert.deepStrictEqual(form(warp.seen[1]), form(warp.seen[0]))
        assert.strictEqual(new URL(warp.seen[1]?.url ?? "").searchParams.get("key"), apiKey)
      })
    )
  }

  it.effect("goes through the proxy when the identity service is silent", () =>
    Effect.gen(function* () {
      const warp = upstream(silent, exchanged)
      const fiber = yield* begin(exchange(warp))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(Redacted.value((yield* Fiber.join(fiber)).access), access)
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("takes a definite answer for one: neither proxy nor repetition", () =>
    Effect.gen(function* () {
      for (const [reply, failure] of [
        [
          google("INVALID_CUSTOM_TOKEN"),
          new Failure.CreateUserRefused({ provider: "warp", reason: "INVALID_CUSTOM_TOKEN" })
        ],
        [page(429), new Failure.CreateUserRateLimited({ provider: "warp" })],
        [
          google("API key not valid. Please pass a valid API key."),
          unavailable({
            reason: "status",
            status: 400,
            detail: "it does not accept the web API key that is configured for it"
          })
        ]
      ] as const) {
        const warp = upstream(reply, exchanged)
        assert.deepStrictEqual(yield* Effect.flip(exchange(warp)), failure)
        assert.strictEqual(warp.seen.length, 1)
      }
    })
  )

  it.effect("believes the proxy's definite answer", () =>
    Effect.gen(function* () {
      const warp = upstream(empty(500), google("INVALID_CUSTOM_TOKEN"))
      assert.strictEqual((yield* Effect.flip(exchange(warp)))._tag, "CreateUserRefused")
      assert.strictEqual(warp.seen.length, 2)
    })
  )

  it.effect("tries three times in all, by its schedule, and then tells how the service itself failed", () =>
    Effect.gen(function* () {
      const warp = upstream(empty(500), empty(404), empty(502), refused, empty(503))
      const fiber = yield* begin(Effect.flip(exchange(warp)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        unavailable({ reason: "status", status: 503, detail: "it answered with status 503" })
      )
      assert.deepStrictEqual(
        warp.seen.map(({ at }) => at),
        [0, 0, 250, 250, 750, 750]
      )
    })
  )

  it.effect("its schedule waits 250 and 500 milliseconds", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const fiber = yield* begin(
        Effect.clockWith((clock) => Effect.sync(() => times.push(clock.currentTimeMillisUnsafe()))).pipe(
          Effect.andThen(Effect.fail("again")),
          Effect.retry(exchangeRetry),
          Effect.exit
        )
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(times, [0, 250, 750])
    })
  )
})

describe("refresh", () => {
  const refresh = (warp: { readonly layer: Layer.Layer<WarpClient> }) =>
    run(warp, (client) => client.refresh(Redacted.make(refreshSecret)))

  it.effect("posts the refresh secret as a form and passes the new one on", () =>
    Effect.gen(function* () {
      const warp = upstream(renewed)
      const credential = yield* refresh(warp)
      assert.strictEqual(Redacted.value(credential.access), access)
      assert.strictEqual(credential.refresh && Redacted.value(credential.refresh), "synthetic-rotated")
      assert.strictEqual(credential.expiresAt, 3_600_000)
      assert.strictEqual(warp.seen[0]?.url, `https://token.test/v1/token?key=${apiKey}`)
      assert.deepStrictEqual(form(warp.seen[0]), { grant_type: "refresh_token", refresh_token: refreshSecret })
    })
  )

  it.effect(
    "keeps the refresh secret that was sent when none is returned, and takes either name of the access token",
    () =>
      Effect.gen(function* () {
        const credential = yield* refresh(upstream(json({ access_token: access, expires_in: 60 })))
        assert.strictEqual(Redacted.value(credential.access), access)
        assert.strictEqual(credential.refresh && Redacted.value(credential.refresh), refreshSecret)
        assert.strictEqual(credential.expiresAt, 60_000)
      })
  )

  it.effect("counts the access secret's life from when it was asked for", () =>
    Effect.gen(function* () {
      const late = (request: HttpClientRequest.HttpClientRequest): Reply =>
        Effect.as(Effect.sleep("4 seconds"), HttpClientResponse.fromWeb(request, renewed()))
      yield* TestClock.setTime(1_000)
      const fiber = yield* begin(refresh(upstream(late)))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).expiresAt, 3_601_000)
    })
  )

  it.effect("goes through Warp's proxy when the token service fails, but not on a definite answer", () =>
    Effect.gen(function* () {
      const failing = upstream(empty(500), renewed)
      yield* refresh(failing)
      assert.strictEqual(failing.seen[1]?.url, `https://warp.test/proxy/token?key=${apiKey}`)
      assert.deepStrictEqual(form(failing.seen[1]), form(failing.seen[0]))

      const definite = upstream(google("INVALID_REFRESH_TOKEN"), renewed)
      assert.deepStrictEqual(
        yield* Effect.flip(refresh(definite)),
        new Failure.RefreshRejected({ provider: "warp", code: "INVALID_REFRESH_TOKEN" })
      )
      assert.strictEqual(definite.seen.length, 1)
    })
  )

  it.effect("a proxy that does not know the way does not hide how the service failed, nor end the token", () =>
    Effect.gen(function* () {
      const warp = upstream(empty(500), empty(404))
      assert.deepStrictEqual(
        yield* Effect.flip(refresh(warp)),
        unavailable({ reason: "status", status: 500, detail: "it answered with status 500" })
      )
      assert.strictEqual(warp.seen.length, 2)
    })
  )

  for (const [why, body] of [
    ["no access token", { refresh_token: "r", expires_in: "3600" }],
    ["a lifetime that is none", { access_token: access, expires_in: "soon" }],
    ["a lifetime of nothing", { access_token: access, expires_in: 0 }],
    ["an empty access token", { access_token: "", expires_in: 60 }]
  ] as const) {
    it.effect(`an answer with ${why} is malformed`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(refresh(upstream(json(body))))
        assert.strictEqual(failure._tag === "UpstreamUnavailable" && failure.reason, "malformed")
      })
    )
  }
})

describe("quota", () => {
  const quota = (warp: { readonly layer: Layer.Layer<WarpClient> }) => run(warp, (client) => client.quota(token))
  const answer = (info: object, rest: object = {}) =>
    json({ data: { user: { __typename: "UserOutput", user: { requestLimitInfo: info, ...rest } } } })
  const info = {
    isUnlimited: false,
    nextRefreshTime: "2025-11-01T00:00:00.500Z",
    requestLimit: 150,
    requestsUsedSinceLastRefresh: 12,
    requestLimitRefreshDuration: "MONTHLY"
  }

  it.effect("asks with the token and reads limit, use and refill", () =>
    Effect.gen(function* () {
      const warp = upstream(answer(info))
      assert.deepStrictEqual(yield* quota(warp), {
        unlimited: false,
        limit: 150,
        used: 12,
        resetAt: 1_761_955_200_500
      })
      assert.strictEqual(warp.seen[0]?.url, "https://warp.test/graphql/v2?op=GetRequestLimitInfo")
      assert.strictEqual(warp.seen[0]?.headers["authorization"], `Bearer ${access}`)
    })
  )

  it.effect("adds what was granted apart, and bears what is missing", () =>
    Effect.gen(function* () {
      const granted = answer(info, { bonusGrants: [{ requestCreditsRemaining: 30 }, { requestCreditsRemaining: 5 }] })
      assert.strictEqual((yield* quota(upstream(granted))).limit, 185)
      const bare = yield* quota(
        upstream(answer({ ...info, nextRefreshTime: null, isUnlimited: true }, { bonusGrants: null }))
      )
      assert.deepStrictEqual(bare, { unlimited: true, limit: 150, used: 12, resetAt: undefined })
    })
  )

  it.effect("tells an expired token, an exhausted one and a throttle apart", () =>
    Effect.gen(function* () {
      const tagOf = (reply: () => Response) => Effect.map(Effect.flip(quota(upstream(reply))), ({ _tag }) => _tag)
      assert.strictEqual(yield* tagOf(json({ error: "ID token has expired at: 1" }, 401)), "AccessRejected")
      assert.strictEqual(yield* tagOf(json({ error: "No remaining quota" }, 429)), "QuotaExhausted")
      assert.strictEqual(yield* tagOf(page(429)), "Throttled")
      assert.strictEqual(yield* tagOf(json({ data: { user: null } })), "UpstreamUnavailable")
    })
  )
})

const addHel = "EhkKFxoVCgJ0MRIPCgJtMRoFCgNIZWxaAnQx"
const done = "GgISAA=="
const sse = (...data: ReadonlyArray<string>) =>
  new TextEncoder().encode(data.map((line) => `data: ${line}\n\n`).join(""))
const hel = ChatEvent.Text({ text: "Hel" })
const stopped = ChatEvent.Finished({ reason: "stop", usage: undefined })

describe("chat", () => {
  const chat = (warp: { readonly layer: Layer.Layer<WarpClient> }, request = hi) =>
    run(warp, (client) => client.chat(request, token))
  const collected = (warp: { readonly layer: Layer.Layer<WarpClient> }, request = hi) =>
    Effect.scoped(Effect.flatMap(chat(warp, request), Stream.runCollect))

  it.effect("sends Protobuf with the token, and streams the answer", () =>
    Effect.gen(function* () {
      const warp = upstream(() => new Response(sse(addHel, done), { headers: { "content-type": "text/event-stream" } }))
      assert.deepStrictEqual(yield* collected(warp), [hel, stopped])
      const [call] = warp.seen
      assert.strictEqual(call?.url, "https://warp.test/ai/multi-agent")
      assert.strictEqual(call?.headers["authorization"], `Bearer ${access}`)
      assert.strictEqual(call?.headers["content-type"], "application/x-protobuf")
      assert.strictEqual(call?.headers["accept"], "text/event-stream")
      assert.strictEqual(call?.headers["x-warp-client-id"], "weirgate")
      const request = fromBinary(RequestSchema, call?.body ?? new Uint8Array())
      assert.strictEqual(request.settings?.modelConfig?.base, "auto")
      assert.strictEqual(request.metadata?.conversationId, "")
    })
  )

  it.effect("does not depend on the content type of the stream", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.make(sse(addHel), sse(done))))
      assert.deepStrictEqual(yield* collected(warp), [hel, stopped])
    })
  )

  it.effect("two requests share neither a conversation nor a task", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.make(sse(done))))
      const request: ChatRequest = {
        model: "auto",
        messages: [
          { role: "user", content: "a" },
          { role: "assistant", content: "b" },
          { role: "user", content: "c" }
        ]
      }
      yield* run(warp, (client) =>
        Effect.replicateEffect(Effect.scoped(Effect.flatMap(client.chat(request, token), Stream.runDrain)), 2)
      )
      const tasks = warp.seen.map(({ body }) => fromBinary(RequestSchema, body).taskContext?.tasks[0])
      assert.notStrictEqual(tasks[0]?.id, tasks[1]?.id)
      assert.isAbove(tasks[0]?.id.length ?? 0, 20)
      const ids = tasks.flatMap((task) => task?.messages.map(({ id }) => id) ?? [])
      assert.strictEqual(new Set(ids).size, 4)
    })
  )

  it.effect("refuses what cannot be continued without a call", () =>
    Effect.gen(function* () {
      const warp = upstream(silent)
      const failure = yield* Effect.flip(
        collected(warp, { model: "auto", messages: [{ role: "assistant", content: "I" }] })
      )
      assert.deepStrictEqual(
        failure,
        new Failure.RequestRejected({
          provider: "warp",
          status: 400,
          code: null,
          reason: "messages[0].role: an answer cannot be last: a user message or a tool result must follow"
        })
      )
      assert.strictEqual(warp.seen.length, 0)
    })
  )

  it.effect("tells a refusal before any stream, once, and lets the connection go", () =>
    Effect.gen(function* () {
      for (const [reply, tag] of [
        [json({ error: "No remaining quota: No AI requests remaining" }, 429), "QuotaExhausted"],
        [json({ error: "ID token has expired at: 1" }, 401), "AccessRejected"],
        [page(429), "Throttled"],
        [page(403), "Throttled"],
        [json({ error: "Your account has been blocked from using AI features." }, 403), "AccountBlocked"],
        [json({ error: "requested base model x is not allowed for your account" }, 400), "RequestRejected"],
        [empty(500), "UpstreamUnavailable"],
        [refused, "UpstreamUnavailable"]
      ] as const) {
        const warp = upstream(reply, () => new Response(sse(done)))
        const scope = yield* Scope.make()
        const failure = yield* Effect.flip(Scope.provide(chat(warp), scope))
        assert.strictEqual(failure._tag, tag)
        assert.strictEqual(warp.seen.length, 1)
        assert.isTrue(warp.seen[0]?.signal.aborted, "the scope is still open, the call is not")
        yield* Scope.close(scope, Exit.void)
      }
    })
  )

  it.effect("names the token whose quota is used up, also when the stream says so", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.make(sse(addHel, "GgIiAA=="))))
      const told: Array<ChatEvent> = []
      const failure = yield* Effect.scoped(
        Effect.flatMap(
          chat(warp),
          Stream.runForEach((event) => Effect.sync(() => told.push(event)))
        )
      ).pipe(Effect.flip)
      assert.deepStrictEqual(told, [hel])
      assert.deepStrictEqual(failure, new Failure.QuotaExhausted({ provider: "warp", token: token.id }))
    })
  )

  it.effect("waits a minute for the headers, then aborts the call, whatever scope it was called in", () =>
    Effect.gen(function* () {
      const warp = upstream(silent)
      const scope = yield* Scope.make()
      const fiber = yield* begin(Effect.flip(Scope.provide(chat(warp), scope)))
      yield* TestClock.adjust("59999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        unavailable({ reason: "timeout", detail: "no answer within 1m" })
      )
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("classifies a refusal whose words never come", () =>
    Effect.gen(function* () {
      const words = Stream.concat(Stream.make(new TextEncoder().encode(`{"error":"No remaining quota`)), Stream.never)
      const fiber = yield* begin(Effect.flip(collected(upstream(streaming(words, { status: 429 })))))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "QuotaExhausted")
    })
  )

  it.effect("keeps the deadlines it is given", () =>
    Effect.gen(function* () {
      const warp = upstream(silent, streaming(Stream.never))
      const timeouts = { headers: "3 seconds", idle: "5 seconds" } as const
      const layer = WarpClient.layerWith({ ...options, timeouts }).pipe(Layer.provide(warp.http))
      for (const [after, detail] of [
        ["3 seconds", "no answer within 3s"],
        ["5 seconds", "the stream was silent for 5s"]
      ] as const) {
        const fiber = yield* begin(Effect.flip(collected({ layer })))
        yield* TestClock.adjust(after)
        assert.deepStrictEqual(yield* Fiber.join(fiber), unavailable({ reason: "timeout", detail }))
      }
    })
  )

  it.effect("silence inside the stream fails it and aborts the call", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.concat(Stream.make(sse(addHel)), Stream.never)))
      const fiber = yield* begin(Effect.flip(collected(warp)))
      yield* TestClock.adjust("59999 millis")
      assert.isFalse(warp.seen[0]?.signal.aborted)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        unavailable({ reason: "timeout", detail: "the stream was silent for 1m" })
      )
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("a stream that ends or drops before Finished is cut", () =>
    Effect.gen(function* () {
      const ended = upstream(streaming(Stream.make(sse(addHel))))
      assert.deepStrictEqual(
        yield* Effect.flip(collected(ended)),
        unavailable({ reason: "cut", detail: "the stream ended before its end was told" })
      )
      const dropped = upstream(streaming(Stream.concat(Stream.make(sse(addHel)), Stream.fail("reset"))))
      assert.deepStrictEqual(
        yield* Effect.flip(collected(dropped)),
        unavailable({ reason: "cut", detail: "the connection broke off" })
      )
    })
  )

  it.effect("interruption aborts the call while it waits for the headers", () =>
    Effect.gen(function* () {
      const warp = upstream(silent)
      const fiber = yield* begin(collected(warp))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("interruption aborts the call in the middle of the stream, though the scope stays open", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.concat(Stream.make(sse(addHel)), Stream.never)))
      const scope = yield* Scope.make()
      const stream = yield* Scope.provide(chat(warp), scope)
      const fiber = yield* begin(Stream.runDrain(stream))
      yield* TestClock.adjust("1 second")
      assert.isFalse(warp.seen[0]?.signal.aborted)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("a stream that nobody reads is let go with the scope", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.never))
      const scope = yield* Scope.make()
      yield* Effect.asVoid(Scope.provide(chat(warp), scope))
      assert.isFalse(warp.seen[0]?.signal.aborted)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )

  it.effect("reading part of the stream is enough to let it go", () =>
    Effect.gen(function* () {
      const warp = upstream(streaming(Stream.concat(Stream.make(sse(addHel)), Stream.never)))
      const scope = yield* Scope.make()
      const stream = yield* Scope.provide(chat(warp), scope)
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(stream, 1)), [hel])
      assert.isTrue(warp.seen[0]?.signal.aborted)
    })
  )
})

describe("what is told of a call", () => {
  const secrets = [apiKey, access, custom, refreshSecret]
  /** An upstream that quotes all it was sent. */
  const echo =
    (status: number) =>
    (request: HttpClientRequest.HttpClientRequest): Reply => {
      const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const words = `you sent ${secrets.join(" ")} ${body} ${request.url} ${JSON.stringify(request.headers)}`
      return Response.json({ error: words }, { status })
    }

  /** Every call, and the secrets that are sent with it. */
  const everyCall: ReadonlyArray<{
    readonly sent: ReadonlyArray<string>
    readonly of: (client: typeof WarpClient.Service) => Effect.Effect<unknown, Error>
  }> = [
    { sent: [], of: (client) => client.createAnonymousUser },
    { sent: [custom, apiKey], of: (client) => client.exchange(Redacted.make(custom)) },
    { sent: [refreshSecret, apiKey], of: (client) => client.refresh(Redacted.make(refreshSecret)) },
    { sent: [access], of: (client) => client.quota(token) },
    { sent: [access], of: (client) => Effect.scoped(Effect.flatMap(client.chat(hi, token), Stream.runDrain)) }
  ]

  it.effect("no failure and no log line repeats a secret that was sent with the call", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const capture = Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])
      for (const status of [200, 400, 401, 403, 404, 429, 500]) {
        for (const reply of [echo(status), refused]) {
          for (const { of, sent } of everyCall) {
            const call = Effect.flip(run(upstream(reply), of)).pipe(Effect.provide(capture))
            const fiber = yield* begin(call)
            yield* TestClock.adjust("1 minute")
            const failure = yield* Fiber.join(fiber)
            const told = [Cause.pretty(Cause.fail(failure)), JSON.stringify(failure), ...lines.splice(0)].join("\n")
            assert.include(told, failure.name)
            for (const secret of sent) assert.notInclude(told, secret)
          }
        }
      }
    })
  )

  it.effect("calls are counted by kind and by how they ended", () =>
    Effect.gen(function* () {
      const counts = (call: string, result: string) =>
        Effect.map(
          Metric.value(
            Metric.withAttributes(
              Metric.counter("weirgate_upstream_calls_total", {
                description: "Calls to an upstream, by kind and by how they ended.",
                incremental: true
              }),
              { provider: "warp", call, result }
            )
          ),
          ({ count }) => count
        )
      yield* Effect.exit(run(upstream(created), (client) => client.createAnonymousUser))
      yield* Effect.exit(run(upstream(page(429)), (client) => client.createAnonymousUser))
      yield* Effect.exit(run(upstream(exchanged), (client) => client.exchange(Redacted.make(custom))))
      yield* Effect.exit(
        run(upstream(google("TOKEN_EXPIRED")), (client) => client.refresh(Redacted.make(refreshSecret)))
      )
      const chat = (reply: () => Response) =>
        Effect.exit(
          Effect.scoped(run(upstream(reply), (client) => Effect.flatMap(client.chat(hi, token), Stream.runDrain)))
        )
      yield* chat(() => new Response(sse(addHel, done)))
      yield* chat(() => new Response(sse(addHel)))
      yield* chat(json({ error: "No remaining quota" }, 429))
      const waiting = yield* begin(run(upstream(silent), (client) => client.quota(token)))
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(
        yield* Effect.all({
          created: counts("createAnonymousUser", "ok"),
          limited: counts("createAnonymousUser", "CreateUserRateLimited"),
          exchanged: counts("exchange", "ok"),
          refused: counts("refresh", "RefreshRejected"),
          accepted: counts("chat", "ok"),
          exhausted: counts("chat", "QuotaExhausted"),
          finished: counts("stream", "ok"),
          cut: counts("stream", "UpstreamUnavailable"),
          left: counts("quota", "interrupted")
        }),
        { created: 1, limited: 1, exchanged: 1, refused: 1, accepted: 2, exhausted: 1, finished: 1, cut: 1, left: 1 }
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
