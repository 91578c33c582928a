/** Each rule in the whole program: brought about, told once, and over once, to a receiver that fails twice before it takes anything. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Context, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { RateLimiter } from "../../src/acquisition/RateLimiter.ts"
import { serve } from "../../src/cli/serve.ts"
import { Upstream } from "../../src/cli/Upstream.ts"
import * as Server from "../../src/http/Server.ts"
import { alertRules } from "../../src/monitoring/Alerts.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { get, post, temporaryFolder } from "../support/running.ts"
import { login, sandboxAt, send } from "../support/staged.ts"

const secret = "synthetic secret"
const path = "/hook/synthetic-path"

interface Post {
  readonly body: string
  readonly signature: string
  readonly taken: boolean
}

/** Of each event it answers the first try with 503, breaks off the second, and takes the third. */
const receiver = Effect.gen(function* () {
  const posts: Array<Post> = []
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8")
      const before = posts.filter((post) => post.body === body).length
      posts.push({ body, signature: String(request.headers["x-weirgate-signature"]), taken: before >= 2 })
      if (before === 1) request.socket.destroy()
      else response.writeHead(before === 0 ? 503 : 204).end()
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
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, posts }
})

/** Sockets know nothing of that time: the event loop looks at them as often for each second, however busy the machine is. */
const aMoment = Effect.promise(async () => {
  for (let i = 0; i < 10; i++) await new Promise<void>((resume) => void setImmediate(resume))
  await new Promise<void>((resume) => void setTimeout(resume, 2))
})
const step = Effect.andThen(TestClock.adjust("2 seconds"), aMoment)
const pass = (seconds: number) => Effect.repeat(step, { times: seconds / 2 - 1 })
/** Time goes on until it is done. */
const meanwhile = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) yield* step
    return yield* Fiber.join(fiber)
  })

/** The program at a time that only the test moves, and what it logs. */
const program = Effect.fnUntraced(function* (folder: string, env: Readonly<Record<string, string>>) {
  const logged: Array<string> = []
  const logger = Logger.make(({ message }) => void logged.push(JSON.stringify(message)))
  const provider = ConfigProvider.layer(
    ConfigProvider.fromEnv({
      env: { WEIRGATE_PORT: "0", WEIRGATE_SANDBOX_PORT: "0", WEIRGATE_DATA: folder, ...env }
    })
  )
  const services = yield* meanwhile(
    Layer.build(Layer.fresh(serve).pipe(Layer.provide(provider), Layer.provide(Logger.layer([logger]))))
  )
  const url = yield* Server.address.pipe(Effect.provideContext(services))
  const { sandbox = "" } = Context.get(services, Upstream)
  return { folder, logged, services, url, sandbox: sandboxAt(sandbox) }
})

describe("each alert rule of the program", () => {
  it.effect(
    "fires once and recovers once: seen by the admin API, in the metrics and the log, and told to a webhook that fails twice first",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_800_000_000_000)
        const hook = yield* receiver
        const folder = yield* temporaryFolder
        const file = join(folder, "weirgate.json")
        writeFileSync(
          file,
          JSON.stringify({
            acquisition: { hourly: 4, interval: "1 milli" },
            providers: [
              {
                name: "zhipu",
                kind: "openai",
                baseUrl: "sandbox:/zhipu/v1",
                keys: ["sandbox-zhipu-a"],
                models: ["glm-4.5"],
                concurrency: "unlimited",
                rpm: "unlimited"
              }
            ],
            alerts: { webhook: { url: hook.url, secret: { env: "SYNTHETIC_SECRET" } } }
          })
        )
        const server = yield* program(folder, { WEIRGATE_CONFIG: file, SYNTHETIC_SECRET: secret })
        const { logged, sandbox, services, url } = server
        const limiter = Context.get(services, RateLimiter)
        const pool = Context.get(services, TokenPool)
        const predictor = Context.get(services, Predictor)
        const { headers } = yield* meanwhile(login(server))
        // A session ends when nobody uses it for long.
        const alerts = Effect.gen(function* () {
          const { headers } = yield* login(server)
          return (yield* get(`${url}/api/admin/alerts?limit=100`, headers)).json
        }).pipe(meanwhile)
        const metrics = meanwhile(Effect.map(get(`${url}/metrics`), ({ text }) => text))
        const ids = [
          "acquisition_budget:warp",
          "acquisition_rate:warp",
          "provider_down:zhipu",
          "quota_ending:warp",
          "tokens_unusable:wopan"
        ]
        assert.sameMembers(
          ids.map((id) => id.split(":")[0] ?? ""),
          [...alertRules]
        )

        const note = (used: number) =>
          Effect.gen(function* () {
            for (const { id } of yield* pool.list("warp")) {
              yield* predictor.noteQuota(id, { unlimited: false, limit: 100, used })
            }
          })
        yield* pool.add({
          provider: "warp",
          name: "synthetic",
          kind: "anonymous",
          credential: { access: Redacted.make("synthetic access") }
        })
        const drive = yield* pool.list("wopan")
        const each = (action: "enable" | "disable") =>
          Effect.forEach(drive, ({ id }) => send(`${url}/api/admin/tokens/${id}/${action}`, "POST", headers))
        const ask = post(`${url}/v1/chat/completions`, {
          model: "zhipu/glm-4.5",
          messages: [{ role: "user", content: "hi" }]
        })

        const reservedAt = yield* Clock.currentTimeMillis
        for (let i = 0; i < 4; i++) {
          yield* limiter.reserve("warp", "synthetic")
          yield* TestClock.adjust("1 milli")
        }
        yield* meanwhile(each("disable"))
        yield* meanwhile(sandbox.faults({ call: "chat", times: null, provider: "zhipu", kind: "server_error" }))
        yield* meanwhile(Effect.repeat(ask, { times: 5 }))
        yield* note(99)
        yield* pass(90)

        const fired = yield* alerts
        const idsOf = (all: ReadonlyArray<{ readonly id: string }>) => all.map(({ id }) => id).toSorted()
        assert.deepStrictEqual(idsOf(fired.active), ids)
        const active = yield* metrics
        for (const rule of alertRules) {
          assert.include(active, `weirgate_alert_active{rule="${rule}"} 1\n`)
          assert.include(active, `weirgate_alerts_total{rule="${rule}",event="fired"} 1\n`)
          assert.include(active, `weirgate_alerts_total{rule="${rule}",event="recovered"} 0\n`)
        }

        yield* meanwhile(sandbox.faults())
        yield* meanwhile(ask)
        yield* meanwhile(each("enable"))
        yield* note(0)
        yield* pass(130)
        assert.deepStrictEqual(idsOf((yield* alerts).active), ids.slice(0, 2))
        // Nothing is on its way meanwhile.
        yield* TestClock.setTime(reservedAt + 3_590_000)
        yield* note(0)
        yield* pass(140)

        const over = yield* alerts
        assert.deepStrictEqual(over.active, [])
        for (const event of ["fired", "recovered"]) {
          const told = over.recent.filter((one: { readonly event: string }) => one.event === event)
          assert.deepStrictEqual(idsOf(told), ids, event)
        }
        const after = yield* metrics
        for (const rule of alertRules) {
          assert.include(after, `weirgate_alert_active{rule="${rule}"} 0\n`)
          for (const event of ["fired", "recovered"]) {
            assert.include(after, `weirgate_alerts_total{rule="${rule}",event="${event}"} 1\n`)
          }
        }
        assert.include(after, `weirgate_alert_webhook_total{result="failed"} 20\n`)
        assert.include(after, `weirgate_alert_webhook_total{result="delivered"} 10\n`)

        const taken = hook.posts.filter(({ taken }) => taken).map(({ body }) => JSON.parse(body))
        assert.lengthOf(hook.posts, 30)
        const byName = (all: ReadonlyArray<{ readonly id: string; readonly event: string }>) =>
          all.toSorted((a, b) => (`${a.id} ${a.event}` < `${b.id} ${b.event}` ? -1 : 1))
        assert.deepStrictEqual(byName(taken), byName(over.recent))
        for (const { body, signature } of hook.posts) {
          const [, seconds = ""] = /^t=(\d+),/.exec(signature) ?? []
          const code = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")
          assert.strictEqual(signature, `t=${seconds},v1=${code}`)
        }
        for (const { message } of over.recent) {
          assert.lengthOf(
            logged.filter((line) => line.includes(JSON.stringify(message).slice(1, -1))),
            1,
            message
          )
        }
        for (const hidden of [secret, path]) assert.notInclude(logged.join("\n"), hidden)
      }),
    60_000
  )
})
