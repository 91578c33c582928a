/** The whole program tells of what needs a person: to a receiver, over HTTP, in the metrics and at the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { createHmac } from "node:crypto"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { RateLimiter } from "../../src/acquisition/RateLimiter.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { get, running, temporaryFolder } from "../support/running.ts"
import { login } from "../support/staged.ts"
import { started } from "../support/subprocess.ts"

const receiver = Effect.gen(function* () {
  const posts = yield* Queue.unbounded<{ readonly body: string; readonly signature: string }>()
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const signature = String(request.headers["x-weirgate-signature"])
      Queue.offerUnsafe(posts, { body: Buffer.concat(chunks).toString("utf8"), signature })
      response.writeHead(204).end()
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
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, next: Queue.take(posts) }
})

describe("alerts of the program", () => {
  it.live(
    "reach the webhook signed, and are seen over HTTP, in the metrics and by weirgate status",
    () =>
      Effect.gen(function* () {
        const hook = yield* receiver
        const folder = yield* temporaryFolder
        const file = join(folder, "weirgate.json")
        const acquisition = { hourly: 1 }
        const webhook = { url: hook.url, secret: { env: "SYNTHETIC_SECRET" } }
        writeFileSync(file, JSON.stringify({ acquisition, alerts: { webhook } }))
        yield* RateLimiter.use((limiter) => limiter.reserve("warp", "synthetic")).pipe(
          Effect.provide(
            RateLimiter.layerWith(acquisition).pipe(Layer.provide(Sqlite.layer(join(folder, "sandbox.db"))))
          )
        )

        const env = { WEIRGATE_DATA: folder, WEIRGATE_CONFIG: file, SYNTHETIC_SECRET: "synthetic secret" }
        const server = yield* running(env)
        const { body, signature } = yield* Effect.timeout(hook.next, "20 seconds")
        const alert = JSON.parse(body)
        assert.deepInclude(alert, { id: "acquisition_budget:warp", event: "fired", subject: "warp" })
        const [, seconds = ""] = /^t=(\d+),/.exec(signature) ?? []
        const code = createHmac("sha256", env.SYNTHETIC_SECRET).update(`${seconds}.${body}`).digest("hex")
        assert.strictEqual(signature, `t=${seconds},v1=${code}`)

        const { headers } = yield* login(server)
        const { json } = yield* get(`${server.url}/api/admin/alerts?limit=5`, headers)
        const { event: _, at, ...rest } = alert
        assert.deepStrictEqual(json, { active: [{ ...rest, fired_at: at }], recent: [alert], next: null })
        assert.strictEqual((yield* get(`${server.url}/api/admin/alerts?limit=0`, headers)).status, 400)
        const { text } = yield* get(`${server.url}/metrics`, headers)
        assert.match(text, /^weirgate_alert_active\{rule="acquisition_budget"\} 1$/m)
        assert.match(text, /^weirgate_alert_active\{rule="provider_down"\} 0$/m)

        const status = yield* started(["status"], env)
        assert.strictEqual(yield* status.exited, 0, status.output())
        assert.match(status.stdout(), /^Alerts\n/)
        assert.include(status.stdout(), alert.message)
      }),
    40_000
  )
})
