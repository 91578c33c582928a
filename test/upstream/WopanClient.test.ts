import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Redacted, Stream, Tracer } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import type { HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import * as Failure from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { decrypt, encrypt, type Signed, signatureOf } from "../../src/upstream/wopan/cipher.ts"
import { rootFolder, WopanClient, WopanMisconfigured, type WopanOptions } from "../../src/upstream/WopanClient.ts"
import { version } from "../../src/version.ts"

const clientSecret = "synthetic-client"
const iv = "synthetic-vector"
const access = "0a1b2c3d-synthetic-access-secret-0001"
const accessKey = access.slice(0, 16)
const refreshSecret = "synthetic-refresh-secret"
const clientId = "synthetic-client-id"

const options: WopanOptions = {
  baseUrl: "https://drive.test/",
  clientId,
  clientSecret: Redacted.make(clientSecret),
  iv: Redacted.make(iv)
}
const token = { id: TokenId.make("token-1"), access: Redacted.make(access) }

interface Seen {
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: {
    readonly header: Signed & { readonly sign: string }
    readonly body: { readonly param: string; readonly secret: boolean; readonly clientId?: string }
  }
  readonly signal: AbortSignal
}
type Reply = Response | Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>
type Replies = (request: HttpClientRequest.HttpClientRequest) => Reply

const transportError = (request: HttpClientRequest.HttpClientRequest, code: string) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({
      request,
      cause: new TypeError("fetch failed", { cause: Object.assign(new Error("connect"), { code }) })
    })
  })
const refused: Replies = (request) => Effect.fail(transportError(request, "ECONNREFUSED"))
const silent: Replies = () => Effect.never
const streaming =
  (body: Stream.Stream<Uint8Array, string>): Replies =>
  (request) =>
    Effect.sync(() => {
      const response = HttpClientResponse.fromWeb(request, new Response(null))
      return Object.defineProperty(response, "stream", {
        value: Stream.mapError(body, () => transportError(request, "ECONNRESET"))
      })
    })

/** A dispatcher that answers each request with the next reply, the last one for ever. */
const upstream = (...replies: Array<Replies>) => {
  const seen: Array<Seen> = []
  const client = HttpClient.make((request, url, signal) =>
    Effect.suspend(() => {
      seen.push({ url: url.href, headers: { ...request.headers }, body: JSON.parse(sentIn(request)), signal })
      const reply = replies[Math.min(seen.length, replies.length) - 1]?.(request)
      if (reply === undefined) return Effect.die("no reply was scripted")
      return reply instanceof Response ? Effect.succeed(HttpClientResponse.fromWeb(request, reply)) : reply
    })
  )
  return { seen, http: Layer.succeed(HttpClient.HttpClient, client) }
}
const sentIn = (request: HttpClientRequest.HttpClientRequest) =>
  request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""

const envelope = (code: string, data: unknown = "", description = "") =>
  JSON.stringify({
    STATUS: "200",
    MSG: "",
    LOGID: "0".repeat(32),
    RSP: { RSP_CODE: code, RSP_DESC: description, DATA: data }
  })
const clear =
  (data: unknown, code = "0000"): Replies =>
  () =>
    new Response(envelope(code, data))
const hidden = (data: unknown, key: string): Replies => clear(encrypt(JSON.stringify(data), key, iv))
const page =
  (status: number, headers: Record<string, string> = {}): Replies =>
  () =>
    new Response(`<!doctype html>${status}`, { status, headers: { "content-type": "text/html", ...headers } })

const run = <A, E>(
  drive: { readonly http: Layer.Layer<HttpClient.HttpClient> },
  use: (client: typeof WopanClient.Service) => Effect.Effect<A, E>,
  given: WopanOptions = options
) => Effect.flatMap(WopanClient, use).pipe(Effect.provide(WopanClient.layerWith(given).pipe(Layer.provide(drive.http))))

const unavailable = (fields: Omit<ConstructorParameters<typeof Failure.UpstreamUnavailable>[0], "provider">) =>
  new Failure.UpstreamUnavailable({ provider: "wopan", ...fields })
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const file = {
  id: "f1",
  fid: "fid-1",
  name: "照片.jpg",
  type: 1,
  size: "12",
  createTime: "20260102030405",
  fileType: "1"
}
const folder = { id: "d1", fid: "0", name: "folder", type: 0, size: 0, createTime: "", fileType: "0" }
const renewed = { access_token: "synthetic-new-access", refresh_token: "synthetic-rotated", expires_in: "604799" }
const address = "https://zone.drive.test/openapi/download?fid=signed"
const listed = hidden({ files: [folder, file], systemDirs: [] }, accessKey)

/** Every call, a reply with which it goes well, and how long it waits. */
const everyCall: ReadonlyArray<{
  readonly name: "list" | "downloadUrl" | "check" | "refresh"
  readonly of: (client: typeof WopanClient.Service) => Effect.Effect<unknown, Error>
  readonly good: Replies
  readonly key: string
  readonly waits: number
}> = [
  {
    name: "list",
    of: (client) => client.list(token, rootFolder, 0),
    good: listed,
    key: accessKey,
    waits: 20_000
  },
  {
    name: "downloadUrl",
    of: (client) => client.downloadUrl(token, "fid-1"),
    good: hidden({ type: 1, list: [{ fid: "fid-1", downloadUrl: address }] }, accessKey),
    key: accessKey,
    waits: 10_000
  },
  {
    name: "check",
    of: (client) => client.check(token),
    good: hidden({ userId: "1**********" }, clientSecret),
    key: clientSecret,
    waits: 10_000
  },
  {
    name: "refresh",
    of: (client) => client.refresh(Redacted.make(refreshSecret)),
    good: clear(renewed),
    key: clientSecret,
    waits: 30_000
  }
]

/** What stood encrypted in the request. */
const params = (seen: Seen | undefined, key: string): unknown =>
  JSON.parse(decrypt(seen?.body.body.param ?? "", key, iv) ?? "null")

describe("a request", () => {
  it.effect("is stamped, signed, and says who we are: ourselves, at the drive's own site", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_760_000_000_000)
      for (const { good, name, of } of everyCall) {
        const drive = upstream(good)
        yield* run(drive, of)
        assert.strictEqual(drive.seen.length, 1, name)
        const [call] = drive.seen
        assert.isDefined(call)
        const { sign, ...header } = call.body.header
        const { key, resTime, reqSeq, channel, version: signedVersion } = header
        assert.deepStrictEqual(Object.keys(header).toSorted(), ["channel", "key", "reqSeq", "resTime", "version"])
        assert.strictEqual(resTime, 1_760_000_000_000)
        assert.isTrue(Number.isInteger(reqSeq) && reqSeq >= 100_000 && reqSeq <= 108_998)
        assert.strictEqual(sign, signatureOf({ key, resTime, reqSeq, channel, version: "" }))
        assert.strictEqual(signedVersion, "")
        assert.strictEqual(call.url, `https://drive.test/${channel}/dispatcher`)
        assert.strictEqual(call?.headers["user-agent"], `weirgate/${version}`)
        assert.strictEqual(call?.headers["origin"], "https://pan.wo.cn")
        assert.strictEqual(call?.headers["referer"], "https://pan.wo.cn/")
        assert.isUndefined(call?.headers["traceparent"])
        assert.isTrue(call?.body.body.secret)
      }
    })
  )

  it.effect("on the files is encrypted with the access token, and carries it", () =>
    Effect.gen(function* () {
      const drive = upstream(listed)
      yield* run(drive, (client) => client.list(token, "d1", 3))
      const [call] = drive.seen
      assert.strictEqual(call?.headers["accesstoken"], access)
      assert.strictEqual(call?.body.header.key, "QueryAllFiles")
      assert.strictEqual(call?.body.header.channel, "wohome")
      assert.deepStrictEqual(Object.keys(call?.body.body ?? {}), ["param", "secret"])
      assert.deepStrictEqual(params(call, accessKey), {
        spaceType: "0",
        parentDirectoryId: "d1",
        pageNum: 3,
        pageSize: 100,
        sortRule: 1,
        clientId
      })
      assert.isUndefined(decrypt(call?.body.body.param ?? "", clientSecret, iv))
    })
  )

  it.effect("on the account is encrypted with the client secret, and tells the client in clear", () =>
    Effect.gen(function* () {
      const drive = upstream(clear(""), clear(renewed))
      yield* run(drive, (client) => Effect.andThen(client.check(token), client.refresh(Redacted.make(refreshSecret))))
      const [check, refresh] = drive.seen
      assert.deepStrictEqual(params(check, clientSecret), { accessToken: access })
      assert.strictEqual(check?.headers["accesstoken"], access)
      assert.strictEqual(check?.body.header.key, "AppQueryUser")
      assert.deepStrictEqual(params(refresh, clientSecret), { refreshToken: refreshSecret, clientSecret })
      assert.isUndefined(refresh?.headers["accesstoken"])
      assert.strictEqual(refresh?.body.header.key, "AppRefreshToken")
      for (const call of drive.seen) {
        assert.strictEqual(call.body.header.channel, "api-user")
        assert.strictEqual(call.body.body.clientId, clientId)
      }
    })
  )

  it.effect("is not sent with an access secret that is too short to encrypt with", () =>
    Effect.gen(function* () {
      const drive = upstream(listed)
      for (const access of ["", "fifteen-letters", "sixteen-letters é"]) {
        const short = { ...token, access: Redacted.make(access) }
        for (const of of [
          (client: typeof WopanClient.Service) => client.list(short, rootFolder, 0),
          (client: typeof WopanClient.Service) => client.downloadUrl(short, "fid-1"),
          (client: typeof WopanClient.Service) => client.check(short)
        ]) {
          assert.deepStrictEqual(
            yield* Effect.flip(run<unknown, Error>(drive, of)),
            new Failure.AccessRejected({ provider: "wopan" })
          )
        }
      }
      assert.strictEqual(drive.seen.length, 0)
    })
  )

  it.effect(
    "is made with a client secret and vector of 16 characters, or the layer ends in a defect that names the field",
    () =>
      Effect.gen(function* () {
        for (const field of ["clientSecret", "iv"] as const) {
          const wrong = { ...options, [field]: Redacted.make("synthetic-wrong") }
          const exit = yield* Effect.exit(run(upstream(listed), (client) => client.check(token), wrong))
          assert.deepStrictEqual(
            exit,
            Exit.die(new WopanMisconfigured({ field, reason: "it must be of 16 printable ASCII characters" }))
          )
          assert.notInclude(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "synthetic-wrong")
        }
      })
  )
})

describe("an answer", () => {
  it.effect("lists folders and files, encrypted or in clear", () =>
    Effect.gen(function* () {
      for (const reply of [listed, clear({ files: [folder, file], systemDirs: [] })]) {
        const { entries, isLast } = yield* run(upstream(reply), (client) => client.list(token, rootFolder, 0))
        assert.isTrue(isLast)
        assert.deepStrictEqual(
          entries.map(({ createdAt, fid, name, size, type }) => ({ createdAt, fid, name, size, type })),
          [
            { createdAt: "", fid: undefined, name: "folder", size: 0, type: "folder" },
            { createdAt: "2026-01-02 03:04:05", fid: "fid-1", name: "照片.jpg", size: 12, type: "file" }
          ]
        )
      }
    })
  )

  it.effect("of a full page with the longest names is read whole", () =>
    Effect.gen(function* () {
      const files = Array.from({ length: 100 }, (_, i) => ({ ...file, id: `f${i}`, name: `${i}${"长".repeat(250)}` }))
      const reply = hidden({ files: files.map((file) => ({ ...file, thumbUrl: "x".repeat(1_000) })) }, accessKey)
      const { entries, isLast } = yield* run(upstream(reply), (client) => client.list(token, rootFolder, 0))
      assert.isFalse(isLast)
      assert.deepStrictEqual(
        entries.map(({ id, name }) => ({ id, name })),
        files.map(({ id, name }) => ({ id, name }))
      )
    })
  )

  it.effect("is read no further than 4 MiB, and taken for malformed beyond", () =>
    Effect.gen(function* () {
      const chunk = new TextEncoder().encode(" ".repeat(64 * 1024))
      let read = 0
      const endless = Stream.forever(Stream.make(chunk)).pipe(Stream.tap(() => Effect.sync(() => (read += 1))))
      const failure = yield* Effect.flip(
        run(upstream(streaming(endless)), (client) => client.list(token, rootFolder, 0))
      )
      assert.strictEqual(failure._tag === "UpstreamUnavailable" && failure.reason, "malformed")
      assert.strictEqual(read, 64)
    })
  )

  it.effect("gives the address of a file as it was signed, or says that there is no such file", () =>
    Effect.gen(function* () {
      const asked = (data: unknown) =>
        run(upstream(hidden(data, accessKey)), (client) => client.downloadUrl(token, "fid-1"))
      const url = yield* asked({ type: 1, list: [{ fid: "fid-1", downloadUrl: address }] })
      assert.strictEqual(Redacted.value(url), address)
      const missing = yield* Effect.flip(asked({ type: 1, list: [] }))
      assert.strictEqual(missing._tag === "RequestRejected" && missing.status, 404)
      const other = yield* Effect.flip(asked({ list: [{ fid: "fid-2", downloadUrl: address }] }))
      assert.strictEqual(other._tag === "UpstreamUnavailable" && other.reason, "malformed")
    })
  )

  it.effect("to a check is enough when it says that all is well, whatever it holds", () =>
    Effect.gen(function* () {
      for (const reply of [clear(""), hidden({ userId: "1" }, clientSecret), hidden({ userId: "1" }, accessKey)]) {
        yield* run(upstream(reply), (client) => client.check(token))
      }
    })
  )

  it.effect("to a renewal gives new secrets, which end so long after they were asked for", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(5_000)
      const late: Replies = (request) =>
        Effect.as(
          Effect.sleep("9 seconds"),
          HttpClientResponse.fromWeb(request, new Response(envelope("0000", renewed)))
        )
      const fiber = yield* begin(run(upstream(late), (client) => client.refresh(Redacted.make(refreshSecret))))
      yield* TestClock.adjust("9 seconds")
      const { access, expiresAt, refresh } = yield* Fiber.join(fiber)
      assert.strictEqual(Redacted.value(access), "synthetic-new-access")
      assert.strictEqual(refresh && Redacted.value(refresh), "synthetic-rotated")
      assert.strictEqual(expiresAt, 604_804_000)
    })
  )

  it.effect("that was encrypted for another token cannot be read", () =>
    Effect.gen(function* () {
      const foreign = hidden({ files: [file] }, "another-token-00")
      assert.deepStrictEqual(
        yield* Effect.flip(run(upstream(foreign), (client) => client.list(token, rootFolder, 0))),
        unavailable({ reason: "malformed", detail: "its answer does not hold what was asked for" })
      )
    })
  )
})

describe("a call", () => {
  it.effect("that fails says how, and is never repeated", () =>
    Effect.gen(function* () {
      const connection = unavailable({ reason: "connection", detail: "the connection failed (ECONNREFUSED)" })
      const throttled = new Failure.Throttled({
        provider: "wopan",
        signature: "429 page",
        retryAfter: Duration.seconds(7)
      })
      const rejected = new Failure.AccessRejected({ provider: "wopan" })
      for (const { name, of } of everyCall) {
        const isRefresh = name === "refresh"
        for (const [reply, failure] of [
          [refused, connection],
          [streaming(Stream.fail("reset")), unavailable({ reason: "cut", detail: "the answer broke off" })],
          [page(429, { "retry-after": "7" }), throttled],
          [page(502), unavailable({ reason: "status", status: 502, detail: "it answered with status 502" })],
          [
            clear("", "9999"),
            isRefresh ? unavailable({ reason: "status", detail: "it answered with code 9999" }) : rejected
          ],
          [
            clear("", "8005"),
            isRefresh
              ? new Failure.RefreshRejected({ provider: "wopan", code: "8005" })
              : unavailable({ reason: "status", detail: "it answered with code 8005" })
          ]
        ] as const) {
          const drive = upstream(reply)
          assert.deepStrictEqual(yield* Effect.flip(run(drive, of)), failure, name)
          assert.strictEqual(drive.seen.length, 1)
        }
      }
    })
  )

  it.effect("waits for its answer until its timeout, not one millisecond less or more, and is then aborted", () =>
    Effect.gen(function* () {
      for (const { name, of, waits } of everyCall) {
        const drive = upstream(silent)
        const fiber = yield* begin(Effect.flip(run(drive, of)))
        yield* TestClock.adjust(waits - 1)
        assert.isUndefined(fiber.pollUnsafe(), name)
        yield* TestClock.adjust(1)
        const detail = `no answer within ${waits / 1_000}s`
        assert.deepStrictEqual(yield* Fiber.join(fiber), unavailable({ reason: "timeout", detail }))
        assert.isTrue(drive.seen[0]?.signal.aborted)
      }
    })
  )

  it.effect("takes its timeouts from the options", () =>
    Effect.gen(function* () {
      const timeouts = { account: "1 second", listing: "2 seconds", refresh: "3 seconds" } as const
      for (const [i, waits] of [2_000, 1_000, 1_000, 3_000].entries()) {
        const of = everyCall[i]?.of ?? (() => Effect.void)
        const fiber = yield* begin(Effect.flip(run(upstream(silent), of, { ...options, timeouts })))
        yield* TestClock.adjust(waits - 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(fiber)
      }
    })
  )

  it.effect("is aborted when it is interrupted", () =>
    Effect.gen(function* () {
      for (const { of } of everyCall) {
        const drive = upstream(silent)
        const fiber = yield* begin(run(drive, of))
        yield* TestClock.adjust("1 second")
        assert.isFalse(drive.seen[0]?.signal.aborted)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(drive.seen[0]?.signal.aborted)
      }
    })
  )
})

describe("what is told of a call", () => {
  const always = [clientSecret, iv]
  const sentWith = {
    list: [access, accessKey],
    downloadUrl: [access, accessKey],
    check: [access, accessKey],
    refresh: [refreshSecret]
  }

  it.effect("no failure, no log line and no span repeats a secret that was sent with the call", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const spans: Array<Tracer.Span> = []
      const capture = Layer.mergeAll(
        Logger.layer([Logger.map(Logger.formatJson, (line) => void told.push(line))]),
        // As an operator may have it who looks for a fault.
        Layer.succeed(HttpClient.TracerHeaderFilter, () => true),
        Layer.succeed(
          Tracer.Tracer,
          Tracer.make({
            span: (options) => {
              const span = new Tracer.NativeSpan(options)
              spans.push(span)
              return span
            }
          })
        )
      )
      /** A dispatcher that quotes all it was sent. */
      const echo =
        (status: number, code: string, secrets: ReadonlyArray<string>): Replies =>
        (request) => {
          const words = `you sent ${secrets.join(" ")} ${sentIn(request)} ${JSON.stringify({ ...request.headers })}`
          return new Response(envelope(code, words, words), { status })
        }
      for (const status of [200, 400, 401, 403, 429, 500]) {
        for (const code of ["0000", "1000", "1001", "9002", "8005", "5555"]) {
          for (const { name, of } of everyCall) {
            const secrets = [...sentWith[name], ...always]
            const exit = yield* Effect.exit(run(upstream(echo(status, code, secrets)), of)).pipe(
              Effect.provide(capture)
            )
            if (Exit.isSuccess(exit)) {
              assert.deepStrictEqual([name, status, code], ["check", 200, "0000"])
            } else {
              told.push(Cause.pretty(exit.cause), JSON.stringify(exit.cause))
            }
          }
        }
      }
      assert.include(told.join("\n"), "you sent … … …")
      assert.isTrue(spans.some(({ attributes }) => attributes.has("http.request.header.accesstoken")))
      told.push(JSON.stringify(spans.map(({ attributes, name }) => [name, [...attributes]])))
      for (const secret of [access, accessKey, refreshSecret, ...always]) assert.notInclude(told.join("\n"), secret)
    })
  )

  it.effect("calls are counted by kind and by how they ended", () =>
    Effect.gen(function* () {
      const count = (call: string, result: string) =>
        Effect.map(
          Metric.value(
            Metric.withAttributes(
              Metric.counter("weirgate_upstream_calls_total", {
                description: "Calls to an upstream, by kind and by how they ended.",
                incremental: true
              }),
              { provider: "wopan", call, result }
            )
          ),
          ({ count }) => count
        )
      for (const { good, name, of } of everyCall) {
        yield* run(upstream(good), of)
        yield* Effect.exit(run(upstream(refused), of))
        const waiting = yield* begin(run(upstream(silent), of))
        yield* Fiber.interrupt(waiting)
        for (const result of ["ok", "UpstreamUnavailable", "interrupted"]) {
          assert.strictEqual(yield* count(name, result), 1, `${name} ${result}`)
        }
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
