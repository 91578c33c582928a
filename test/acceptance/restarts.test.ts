import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { get, post, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const hi = { model: "auto", messages: [{ role: "user", content: "hi" }] }
const minutes = (n: number) => n * 60_000

/** A sandbox of its own that outlives the servers, and a data folder they share. */
const stage = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const sandboxPort = yield* freePort
  const sandbox = `http://127.0.0.1:${sandboxPort}`
  const upstream = yield* started(["sandbox"], { WEIRGATE_SANDBOX_PORT: String(sandboxPort) })
  yield* ready(upstream, `${sandbox}/_sandbox/stats`)
  // Attempts may follow each other closely, so that it is the hour's limit that holds, and the ledger that remembers it.
  const config = join(folder, "config.json")
  writeFileSync(config, JSON.stringify({ acquisition: { interval: "1 millis", hourly: 3 } }))
  const server = Effect.gen(function* () {
    const port = yield* freePort
    const child = yield* started(["serve"], {
      WEIRGATE_CONFIG: config,
      WEIRGATE_PORT: String(port),
      WEIRGATE_DATA: folder,
      WEIRGATE_SANDBOX_URL: sandbox,
      WEIRGATE_SANDBOX_TOKENS: "none"
    })
    const url = `http://127.0.0.1:${port}`
    yield* ready(child, `${url}/readyz`)
    return { ...child, url, chat: post(`${url}/v1/chat/completions`, hi) }
  })
  const created = Effect.map(get(`${sandbox}/_sandbox/stats`), ({ json }) => json.createAnonymousUser.total as number)
  return { sandbox, server, created, folder }
})

const everyMoment = Schedule.spaced("10 millis")

/**
 * A new process waits 15 seconds for a sign of life of one that was at work. Without that memory only the ledger stands
 * between a crash and the next creation.
 */
const forgetTheDead = (folder: string) => {
  const db = new DatabaseSync(join(folder, "sandbox.db"))
  db.exec("DELETE FROM record WHERE collection = 'acquisition-dedup'")
  db.close()
}

describe("the budget, over processes", () => {
  it.live(
    "survives twenty restarts in a row",
    () =>
      Effect.gen(function* () {
        const { server, created, sandbox } = yield* stage
        for (let i = 0; i < 20; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { chat, signal } = yield* server
              // Each finds its token used up, so each has reason to ask for a new one.
              yield* post(`${sandbox}/_sandbox/faults`, { call: "ai", kind: "quota", times: 5 })
              assert.include([200, 429], (yield* chat).status)
              assert.strictEqual(yield* signal("SIGTERM"), 0)
            })
          )
        }
        assert.strictEqual(yield* created, 3)
      }),
    minutes(3)
  )

  it.live(
    "survives twenty kills in the middle of acquisitions",
    () =>
      Effect.gen(function* () {
        const { server, created, sandbox, folder } = yield* stage
        yield* post(`${sandbox}/_sandbox/faults`, { call: "exchange", kind: "silence", times: null })
        for (let i = 0; i < 20; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { chat, signal } = yield* server
              yield* Effect.forkScoped(Effect.exit(chat))
              // While there is a budget, between the creation and the exchange, which hangs; after it, at any moment.
              if (i < 3) yield* Effect.repeat(created, { until: (total) => total > i, schedule: everyMoment })
              else yield* Effect.sleep(i * 15)
              yield* signal("SIGKILL")
            })
          )
          forgetTheDead(folder)
        }
        assert.strictEqual(yield* created, 3)
      }),
    minutes(3)
  )

  it.live(
    "lets a second server use what the first is still acquiring",
    () =>
      Effect.gen(function* () {
        const { server, created, sandbox } = yield* stage
        const [a, b] = yield* Effect.all([server, server], { concurrency: 2 })
        yield* post(`${sandbox}/_sandbox/faults`, { call: "createAnonymousUser", kind: "slow", delay: "2 seconds" })
        const first = yield* Effect.forkChild(a.chat, { startImmediately: true })
        yield* Effect.sleep("500 millis")
        const second = yield* b.chat
        assert.strictEqual((yield* Fiber.join(first)).status, 200)
        assert.strictEqual(second.status, 200, second.text)
        assert.strictEqual(yield* created, 1)
      }),
    minutes(2)
  )

  it.live(
    "is one budget for two servers on one data folder",
    () =>
      Effect.gen(function* () {
        const { server, created } = yield* stage
        const [a, b] = yield* Effect.all([server, server], { concurrency: 2 })
        const answers = yield* Effect.forEach(Array.from({ length: 60 }), (_, i) => (i % 2 === 0 ? a.chat : b.chat), {
          concurrency: 20
        })
        assert.isAtMost(yield* created, 3)
        assert.isAtLeast(answers.filter(({ status }) => status === 200).length, 10)
        for (const { status, text } of answers) assert.include([200, 429], status, text)
      }),
    minutes(2)
  )
})
