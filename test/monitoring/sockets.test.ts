/** A real receiver, reached by the clients that programs use. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Queue, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import * as Webhook from "../../src/monitoring/webhook.ts"

interface Post {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Answers each path with what stands there. */
const receiver = (answers: Readonly<Record<string, readonly [status: number, location?: string]>>) =>
  Effect.gen(function* () {
    const posts = yield* Queue.unbounded<Post>()
    /** Paths whose connection is gone before the answer has ended. */
    const left = yield* Queue.unbounded<string>()
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const { headers, method, url } = request
        Queue.offerUnsafe(posts, { method, url, headers, body: Buffer.concat(chunks).toString("utf8") })
        const [status, location] = answers[url ?? ""] ?? [404]
        response.on("close", () => response.writableEnded || Queue.offerUnsafe(left, url ?? ""))
        if (url === "/silent") return
        response.writeHead(status, location === undefined ? {} : { location })
        if (url !== "/endless") return response.end("synthetic answer")
        const fill = () => {
          while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, 32)));
        }
        response.on("drain", fill)
        fill()
      })
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
    return { url: `http://127.0.0.1:${port}`, posts, left: Queue.take(left), taken: Queue.clear(posts) }
  })

const secret = Redacted.make("synthetic secret")
const body = JSON.stringify({ id: "provider_down:a", message: "größer als – gedacht" })

describe.each([
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const)("a webhook over a socket, by %s", (_, client) => {
  it.live("is posted JSON that its receiver can verify", () =>
    Effect.gen(function* () {
      const { posts, url } = yield* receiver({ "/hook?token=synthetic": [204] })
      const send = Webhook.make(yield* HttpClient.HttpClient, { url: `${url}/hook?token=synthetic`, secret })
      assert.isUndefined(yield* send(body))
      const post = yield* Queue.take(posts)
      assert.deepInclude(post, { method: "POST", url: "/hook?token=synthetic", body })
      assert.strictEqual(post.headers["content-type"], "application/json")
      const [, seconds = "", code = ""] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(post.headers["x-weirgate-signature"])) ?? []
      const expected = createHmac("sha256", Redacted.value(secret)).update(`${seconds}.${post.body}`).digest("hex")
      assert.strictEqual(code, expected)
      assert.approximately(Number(seconds), (yield* Clock.currentTimeMillis) / 1000, 30)
      assert.notProperty(post.headers, "traceparent")
    }).pipe(Effect.provide(client))
  )

  it.live("follows no redirect, and says why it failed without the URL", () =>
    Effect.gen(function* () {
      const { taken, url } = yield* receiver({ "/moved": [307, "/elsewhere"], "/elsewhere": [200], "/broken": [500] })
      const to = (path: string) =>
        Effect.flatMap(HttpClient.HttpClient, (client) => Webhook.make(client, { url: `${url}${path}`, secret })(body))
      assert.strictEqual(yield* to("/moved"), "it answered 307")
      assert.strictEqual(yield* to("/broken"), "it answered 500")
      assert.deepStrictEqual(
        (yield* taken).map((post) => post.url),
        ["/moved", "/broken"]
      )
      const refused = Webhook.make(yield* HttpClient.HttpClient, { url: "http://127.0.0.1:1/synthetic", secret })
      const fault = String(yield* refused(body))
      assert.match(fault, /^the connection failed/)
      assert.notInclude(fault, "synthetic")
    }).pipe(Effect.provide(client))
  )

  it.live("has told when its receiver takes it, and hears no answer out that does not end", () =>
    Effect.gen(function* () {
      const { left, url } = yield* receiver({ "/endless": [200] })
      const send = Webhook.make(yield* HttpClient.HttpClient, { url: `${url}/endless`, secret })
      assert.isUndefined(yield* send(body))
      assert.strictEqual(yield* left, "/endless")
    }).pipe(Effect.provide(client))
  )

  it.effect("gives a receiver ten seconds, and the connection up then", () =>
    Effect.gen(function* () {
      const { left, posts, url } = yield* receiver({})
      const send = Webhook.make(yield* HttpClient.HttpClient, { url: `${url}/silent`, secret })
      const sent = yield* Effect.forkChild(send(body))
      yield* Queue.take(posts)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(sent), "no answer within 10s")
      assert.strictEqual(yield* left, "/silent")
    }).pipe(Effect.provide(client))
  )
})
