import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { get, post, running, temporaryFolder } from "../support/running.ts"

const provider = "nvidia1"
const configuration = {
  providers: [
    {
      name: provider,
      kind: "openai",
      baseUrl: `sandbox:/${provider}/v1`,
      keys: [`sandbox-${provider}-a`],
      concurrency: 1,
      rpm: "unlimited",
      models: ["llama-3.3-70b"]
    }
  ]
}

const stage = Effect.gen(function* () {
  const file = join(yield* temporaryFolder, "config.json")
  writeFileSync(file, JSON.stringify(configuration))
  const { sandbox, url } = yield* running({ WEIRGATE_CONFIG: file })
  const upstream = Effect.map(get(`${sandbox}/_sandbox/stats`), ({ json }) => json.openai[provider].chat)
  const traffic = Effect.map(get(`${url}/v1/performance`), ({ json }) => json.traffic)
  const leased = Effect.map(get(`${url}/v1/performance`), ({ json }) =>
    json.pool.tokens.reduce((sum: number, token: { leased: number }) => sum + token.leased, 0)
  )
  /** Asks until `leave` is called; an answer that has begun is read on. */
  const ask = (stream: boolean) => {
    const controller = new AbortController()
    const ended = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      signal: controller.signal,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "llama-3.3-70b",
        stream,
        messages: [{ role: "user", content: "count to 100" }]
      })
    })
      .then((response) => response.text())
      .catch(() => "left")
    return { leave: () => controller.abort(), ended: Effect.promise(() => ended) }
  }
  const fault = (kind: string, more: object = {}) => post(`${sandbox}/_sandbox/faults`, { provider, kind, ...more })
  return { url, upstream, traffic, leased, ask, fault }
})

const eventually = <A>(check: Effect.Effect<A>, holds: (a: A) => boolean, times = 250) =>
  check.pipe(Effect.filterOrFail(holds), Effect.retry({ schedule: Schedule.spaced("10 millis"), times }), Effect.orDie)

describe("a client that has said nothing yet", () => {
  it.live("does not hold up the end: its connection is closed while those under way go on", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { ask, fault, traffic, url } = yield* Scope.provide(stage, scope)
      yield* fault("slow_first", { delay: "2 seconds" })
      const { ended } = ask(false)
      yield* eventually(traffic, ({ in_use }) => in_use === 1)
      const order: Array<string> = []
      const silent = connect(Number(new URL(url).port), "127.0.0.1")
      silent.on("close", () => order.push("silent"))
      yield* Effect.callback<void>((resume) => void silent.once("connect", () => resume(Effect.void)))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.include(yield* ended, "chat.completion")
      order.push("answered")
      yield* Fiber.join(closing)
      silent.destroy()
      assert.deepStrictEqual(order, ["silent", "answered"])
    })
  )
})

describe("a client that leaves", () => {
  const phases = [
    { phase: "before the answer's headers", stream: false, kind: "silence", more: {} },
    { phase: "before the first token", stream: true, kind: "slow_first", more: { delay: "1 minute" } },
    { phase: "in the stream", stream: true, kind: "stall", more: { afterEvents: 5 } }
  ] as const
  for (const { kind, more, phase, stream } of phases) {
    it.live(`${phase}: aborts the upstream's call, and everything is given back`, () =>
      Effect.gen(function* () {
        const { ask, fault, leased, traffic, upstream } = yield* stage
        yield* fault(kind, more)
        const { ended, leave } = ask(stream)
        yield* eventually(upstream, ({ open }) => open === 1)
        // A token that is in the stream has begun to be sent to the client.
        if (phase === "in the stream") yield* Effect.sleep("50 millis")
        leave()
        const { aborted } = yield* eventually(upstream, ({ open }) => open === 0)
        assert.strictEqual(aborted, 1)
        assert.strictEqual(yield* ended, "left")
        yield* eventually(traffic, ({ in_use }) => in_use === 0)
        assert.strictEqual(yield* leased, 0)
      })
    )
  }

  it.live("in line: leaves it, without a call and without a trace in what is counted", () =>
    Effect.gen(function* () {
      const { ask, fault, leased, traffic, upstream } = yield* stage
      yield* fault("silence")
      const first = ask(false)
      yield* eventually(traffic, ({ in_use }) => in_use === 1)
      const second = ask(false)
      yield* eventually(traffic, ({ waiting }) => waiting === 1)
      second.leave()
      yield* eventually(traffic, ({ waiting }) => waiting === 0)
      assert.strictEqual((yield* upstream).total, 1)
      first.leave()
      yield* eventually(traffic, ({ in_use }) => in_use === 0)
      assert.strictEqual(yield* leased, 0)
      // The place is free again.
      const third = ask(false)
      assert.include(yield* third.ended, "chat.completion")
    })
  )
})
