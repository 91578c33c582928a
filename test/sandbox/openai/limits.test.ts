import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { at, ask, call, chat, eventually, get, open, postJson, read, setFault, stats, withSandbox } from "./caller.ts"

const many = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>, concurrency = 1) =>
  Effect.forEach(Array.from({ length: count }), () => effect, { concurrency })

const seen = (provider: string) => Effect.map(stats, (counted) => at(counted, "openai", provider))

/** Calls that stay at work until they are interrupted. */
const atWork = (provider: string, count: number) =>
  Effect.gen(function* () {
    yield* setFault({ provider, kind: "silence", times: count })
    const calls = yield* many(count, Effect.forkScoped(chat(provider)))
    yield* eventually(seen(provider), (counted) => at(counted, "chat", "open") === count)
    return calls
  })

const tooMany = {
  nvidia: { status: 429, title: "Too Many Requests" },
  concurrency: { error: { code: "1302", message: "您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。" } },
  rate: { error: { code: "1303", message: "您当前使用该API的频率过高，请降低频率，或联系客服增加限额。" } },
  siliconflow: { message: "Request was rejected due to rate limiting. Details: RPM limit reached.", data: null }
}

describe("limits", () => {
  for (const [provider, rpm, refusal] of [
    ["nvidia1", 40, tooMany.nvidia],
    ["nvidia2", 40, tooMany.nvidia],
    ["siliconflow", 5, tooMany.siliconflow]
  ] as const) {
    it.effect(`${provider} lets ${rpm} calls in in any minute and refuses the next in its own words`, () =>
      Effect.gen(function* () {
        const first = yield* many(rpm - 1, chat(provider))
        yield* TestClock.adjust("10 seconds")
        const all = [...first, yield* chat(provider)]
        assert.deepStrictEqual(new Set(all.map(({ status }) => status)), new Set([200]))
        const refused = yield* chat(provider)
        assert.deepStrictEqual([refused.status, refused.json], [429, refusal])
        assert.isNull(refused.headers.get("retry-after"))

        yield* TestClock.adjust("49999 millis")
        assert.strictEqual((yield* chat(provider)).status, 429)
        yield* TestClock.adjust("1 millis")
        const next = yield* many(rpm, chat(provider))
        assert.deepStrictEqual(
          next.map(({ status }) => status),
          [...first.map(() => 200), 429]
        )
        assert.deepInclude(yield* seen(provider), {
          limits: { concurrency: provider === "siliconflow" ? null : 5, rpm },
          minuteMost: rpm,
          refusedByLimit: 3
        })
      }).pipe(withSandbox())
    )
  }

  for (const [provider, concurrency, refusal] of [
    ["zhipu", 1, tooMany.concurrency],
    ["nvidia1", 5, tooMany.nvidia],
    ["hunyuan", 5, undefined]
  ] as const) {
    it.effect(`${provider} has ${concurrency} calls at work at once, and room again when one of them is over`, () =>
      Effect.gen(function* () {
        const [first] = yield* atWork(provider, concurrency)
        const refused = yield* chat(provider)
        assert.strictEqual(refused.status, 429)
        if (refusal === undefined) assert.strictEqual(at(refused.json, "error", "code"), "rate_limit_exceeded")
        else assert.deepStrictEqual(refused.json, refusal)
        if (first !== undefined) yield* Fiber.interrupt(first)
        yield* eventually(seen(provider), (counted) => at(counted, "chat", "open") === concurrency - 1)
        assert.strictEqual((yield* chat(provider)).status, 200)
        assert.deepInclude(yield* seen(provider), { atOnceMost: concurrency, refusedByLimit: 1 })
      }).pipe(Effect.scoped, withSandbox())
    )
  }

  it.effect("a streamed answer is at work until it ends, and no longer", () =>
    Effect.gen(function* () {
      yield* setFault({ provider: "zhipu", kind: "stall", delay: "1 minute" })
      const response = yield* open("zhipu", ask("zhipu", "hi", { stream: true }))
      const body = yield* Effect.forkScoped(read(response))
      assert.strictEqual((yield* chat("zhipu")).status, 429)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* chat("zhipu")).status, 429)
      yield* TestClock.adjust("1 millis")
      assert.include((yield* Fiber.join(body)).text, "[DONE]")
      assert.strictEqual((yield* chat("zhipu")).status, 200)
    }).pipe(Effect.scoped, withSandbox())
  )

  it.effect("a client that has the last byte finds the place free", () =>
    Effect.gen(function* () {
      yield* setFault([
        { provider: "zhipu", kind: "cut", times: 10 },
        { provider: "zhipu", kind: "reset", skip: 20, times: 10 },
        { provider: "zhipu", kind: "truncated", times: 10 },
        { provider: "zhipu", kind: "split", times: 10 }
      ])
      for (let turn = 0; turn < 60; turn++) {
        const answer = yield* Effect.exit(chat("zhipu", "count to 20", { stream: turn % 3 > 0 }))
        if (answer._tag === "Success") assert.strictEqual(answer.value.status, 200, `turn ${turn}`)
      }
      assert.deepInclude(yield* seen("zhipu"), { atOnceMost: 1, refusedByLimit: 0, minuteMost: 60 })
    }).pipe(withSandbox())
  )

  it.effect("no provider's calls count against another's, and all keys of one count together", () =>
    Effect.gen(function* () {
      yield* many(20, chat("nvidia1"))
      yield* many(20, chat("nvidia1", "hi", {}, { key: "sandbox-nvidia1-b" }))
      assert.strictEqual((yield* chat("nvidia1", "hi", {}, { key: "sandbox-nvidia1-b" })).status, 429)
      assert.strictEqual((yield* chat("nvidia2")).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("counts each call that was let in, however it ended, and none that was not", () =>
    Effect.gen(function* () {
      yield* setFault({ provider: "siliconflow", kind: "server_error", times: 1 })
      const statuses = [
        (yield* chat("siliconflow")).status,
        (yield* chat("siliconflow", "hi", { model: "no-such-model" })).status,
        (yield* call("siliconflow", "{")).status,
        (yield* chat("siliconflow", "hi", {}, { key: "wrong" })).status,
        (yield* call("siliconflow", undefined, { path: "models" })).status,
        (yield* call("siliconflow", {}, { path: "responses" })).status,
        (yield* chat("siliconflow")).status,
        (yield* chat("siliconflow")).status
      ]
      assert.deepStrictEqual(statuses, [500, 404, 400, 401, 200, 404, 200, 200])
      assert.deepInclude(yield* seen("siliconflow"), { minuteMost: 5, refusedByLimit: 0 })
      assert.strictEqual((yield* chat("siliconflow")).status, 429)
      assert.strictEqual((yield* chat("siliconflow")).status, 429)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* chat("siliconflow")).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("drop_over_limit breaks the connection of a call too many, once, and touches no other", () =>
    Effect.gen(function* () {
      yield* setFault({ provider: "siliconflow", kind: "drop_over_limit" })
      assert.deepStrictEqual(new Set((yield* many(5, chat("siliconflow"))).map(({ status }) => status)), new Set([200]))
      assert.strictEqual((yield* Effect.exit(chat("siliconflow")))._tag, "Failure")
      assert.strictEqual((yield* chat("siliconflow")).status, 429)
      const counted = yield* eventually(seen("siliconflow"), (counted) => at(counted, "chat", "open") === 0)
      assert.deepInclude(at(counted, "chat"), { total: 7, byStatus: { 200: 5, 429: 1, none: 1 }, aborted: 0 })
    }).pipe(withSandbox())
  )

  it.effect("can be changed while it runs, taken away, and brought back by a reset", () =>
    Effect.gen(function* () {
      const usual = (yield* get("/_sandbox/limits")).json
      assert.deepStrictEqual(at(usual, "limits", "zhipu"), {
        concurrency: 1,
        rpm: null,
        firstToken: "0 millis",
        latency: "0 millis",
        service: null
      })
      const changed = yield* postJson("/_sandbox/limits", { provider: "zhipu", rpm: 2, concurrency: null })
      assert.deepInclude(at(changed.json, "limits", "zhipu"), { concurrency: null, rpm: 2 })
      yield* atWork("zhipu", 2)
      assert.deepStrictEqual((yield* chat("zhipu")).json, tooMany.rate)
      yield* postJson("/_sandbox/limits", { provider: "zhipu", rpm: 3 })
      assert.strictEqual((yield* chat("zhipu")).status, 200)
      assert.deepInclude(yield* seen("zhipu"), { limits: { concurrency: null, rpm: 3 }, atOnceMost: 3, minuteMost: 3 })
      yield* postJson("/_sandbox/reset", {})
      assert.deepStrictEqual((yield* get("/_sandbox/limits")).json, usual)
      assert.deepInclude(yield* seen("zhipu"), { atOnceMost: 2, minuteMost: 0, refusedByLimit: 0 })
    }).pipe(Effect.scoped, withSandbox())
  )

  it.effect("starts with the limits it is given", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* chat("hunyuan")).status, 200)
      assert.strictEqual((yield* chat("hunyuan")).status, 429)
      yield* postJson("/_sandbox/limits", { provider: "hunyuan", rpm: null })
      yield* postJson("/_sandbox/reset", {})
      assert.deepStrictEqual(at(yield* seen("hunyuan"), "limits"), { concurrency: 5, rpm: 1 })
    }).pipe(withSandbox({ openai: { hunyuan: { rpm: 1 } } }))
  )

  const bad: ReadonlyArray<readonly [string, unknown]> = [
    ["provider", { rpm: 1 }],
    ["provider", { provider: "warp", rpm: 1 }],
    ["rpm", { provider: "zhipu", rpm: 0 }],
    ["rpm", { provider: "zhipu", rpm: "ten" }],
    ["concurrency", { provider: "zhipu", concurrency: 1.5 }],
    ["firstToken", { provider: "zhipu", firstToken: "soon" }],
    ["latency", { provider: "zhipu", latency: -1 }],
    ["service.perToken", { provider: "zhipu", service: { perToken: "soon" } }],
    ["service.jitter", { provider: "zhipu", service: { jitter: 1.1 } }],
    ["service.perWord", { provider: "zhipu", service: { perWord: 5 } }],
    ["tpm", { provider: "zhipu", tpm: 5 }],
    ["body", 5]
  ]
  for (const [field, change] of bad) {
    it.effect(`refuses ${JSON.stringify(change)} and names ${field}`, () =>
      Effect.gen(function* () {
        const before = (yield* get("/_sandbox/limits")).json
        const { json, status } = yield* postJson("/_sandbox/limits", change)
        assert.deepStrictEqual([status, at(json, "error", "field")], [400, field])
        assert.deepStrictEqual((yield* get("/_sandbox/limits")).json, before)
      }).pipe(withSandbox())
    )
  }
})

describe("pauses", () => {
  it.effect("a stream begins after its first pause and pauses before each further event", () =>
    Effect.gen(function* () {
      yield* postJson("/_sandbox/limits", { provider: "hunyuan", firstToken: "2 seconds", latency: 10 })
      const response = yield* open("hunyuan", ask("hunyuan", "hi", { stream: true }))
      const body = yield* Effect.forkChild(read(response))
      yield* TestClock.adjust("1999 millis")
      yield* stats
      assert.isUndefined(body.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      // Six events, so five pauses; the clock moves on only once the sandbox waits for it.
      for (let pause = 0; pause < 5; pause++) {
        yield* stats
        assert.isUndefined(body.pollUnsafe())
        yield* TestClock.adjust("10 millis")
      }
      assert.include((yield* Fiber.join(body)).text, "[DONE]")
    }).pipe(withSandbox())
  )

  it.effect("a whole answer takes as long as its stream would", () =>
    Effect.gen(function* () {
      const answer = yield* Effect.forkChild(chat("hunyuan"))
      yield* eventually(get("/_sandbox/requests"), ({ json }) => at(json, "requests", 0) !== undefined)
      yield* TestClock.adjust("2049 millis")
      yield* stats
      assert.isUndefined(answer.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(answer)).status, 200)
    }).pipe(withSandbox({ openai: { hunyuan: { firstToken: "2 seconds", latency: "10 millis" } } }))
  )
})
