import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { get, post, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const providerOf = (name: string, model: string) => ({
  name,
  kind: "openai",
  baseUrl: `sandbox:/${name}/v1`,
  keys: [`sandbox-${name}-a`],
  concurrency: "unlimited",
  rpm: "unlimited",
  models: [model]
})
const before = {
  providers: [providerOf("nvidia1", "llama-3.3-70b")],
  routes: [{ model: "expert", targets: ["nvidia1/llama-3.3-70b"] }]
}
const after = {
  providers: [providerOf("zhipu", "glm-4.5")],
  routes: [{ model: "expert", targets: ["zhipu/glm-4.5"] }]
}

const everyTenth = { schedule: Schedule.spaced("100 millis"), times: 200 }

describe("a configuration that changes while the server runs", () => {
  it.live(
    "cuts none of 50 streams, and serves new requests by the new file; a bad file leaves the old one at work and says why",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const file = join(folder, "config.json")
        const [port, sandboxPort] = [yield* freePort, yield* freePort]
        writeFileSync(file, JSON.stringify(before))
        const server = yield* started(["serve"], {
          WEIRGATE_CONFIG: file,
          WEIRGATE_DATA: folder,
          WEIRGATE_PORT: String(port),
          WEIRGATE_SANDBOX_PORT: String(sandboxPort)
        })
        const [url, sandbox] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sandboxPort}`]
        yield* ready(server, `${url}/readyz`)
        yield* post(`${sandbox}/_sandbox/limits`, { provider: "nvidia1", concurrency: null, rpm: null })
        const ask = (content: string, stream = false) =>
          post(`${url}/v1/chat/completions`, { model: "expert", stream, messages: [{ role: "user", content }] })
        const targetOf = Effect.map(ask("hi"), ({ headers, status, text }) => {
          assert.strictEqual(status, 200, text)
          return headers.get("x-weirgate-target")
        })
        const soon = (target: string) =>
          targetOf.pipe(
            Effect.filterOrFail((now) => now === target),
            Effect.retry(everyTenth),
            Effect.orDie
          )
        assert.strictEqual(yield* targetOf, "nvidia1/llama-3.3-70b")

        // Each pauses in its middle for longer than the reload takes.
        const fault = { provider: "nvidia1", kind: "stall", afterEvents: 5, delay: "3 seconds", times: 50 }
        assert.strictEqual((yield* post(`${sandbox}/_sandbox/faults`, fault)).status, 200)
        const [streams] = yield* Effect.all(
          [
            Effect.forEach(Array.from({ length: 50 }), () => ask("count to 100", true), { concurrency: "unbounded" }),
            Effect.gen(function* () {
              const open = Effect.map(get(`${sandbox}/_sandbox/stats`), ({ json }) => json.openai.nvidia1.chat.open)
              yield* open.pipe(
                Effect.filterOrFail((now) => now === 50),
                Effect.retry(everyTenth),
                Effect.orDie
              )
              writeFileSync(file, JSON.stringify(after))
              yield* soon("zhipu/glm-4.5")
              assert.strictEqual(yield* open, 50)
            })
          ],
          { concurrency: 2 }
        )
        for (const { status, text } of streams) {
          assert.strictEqual(status, 200)
          assert.include(text, '"finish_reason":"stop"')
          assert.isTrue(text.endsWith("data: [DONE]\n\n"))
        }

        writeFileSync(file, JSON.stringify({ ...before, routes: [{ model: "expert", targets: ["nobody/none"] }] }))
        yield* Effect.sync(() => server.output()).pipe(
          Effect.filterOrFail((output) => output.includes("routes[0].targets[0]")),
          Effect.retry(everyTenth),
          Effect.orDie
        )
        assert.strictEqual(yield* targetOf, "zhipu/glm-4.5")

        writeFileSync(file, JSON.stringify(before))
        yield* soon("nvidia1/llama-3.3-70b")
      }),
    60_000
  )
})
