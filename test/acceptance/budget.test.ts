import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { get, running } from "../support/running.ts"

const count = (statuses: ReadonlyArray<number>, status: number) => statuses.filter((s) => s === status).length

describe("the budget, through the server and the sandbox", () => {
  it.live("serves 60 chats in a row on the defaults and creates nothing: the personal token takes over", () =>
    Effect.gen(function* () {
      const { chat, stats, url } = yield* running()
      const statuses = yield* Effect.forEach(Array.from({ length: 60 }), (_, i) =>
        Effect.map(chat(`question ${i}`), ({ status }) => status)
      )
      assert.strictEqual(count(statuses, 200), 60)
      assert.strictEqual((yield* stats).json.createAnonymousUser.total, 0)
      const { pool } = (yield* get(`${url}/v1/performance`)).json
      const states = Object.fromEntries(
        pool.tokens.map((token: { kind: string; state: { _tag: string } }) => [token.kind, token.state._tag])
      )
      assert.deepStrictEqual(states, { anonymous: "exhausted", personal: "active" })
    })
  )

  const refusedCleanly = (answer: { status: number; headers: Headers; json: unknown }) => {
    assert.strictEqual(answer.status, 429)
    assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/)
    const { error } = answer.json as { error: Record<string, unknown> }
    assert.hasAllKeys(error, ["message", "type", "param", "code"])
    assert.strictEqual(error["type"], "insufficient_quota")
  }

  it.live("acquires one token for an empty pool, serves what it is good for, and then says when to come back", () =>
    Effect.gen(function* () {
      const { chat, stats } = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
      const answers = yield* Effect.forEach(Array.from({ length: 60 }), (_, i) => chat(`question ${i}`))
      const served = answers.filter(({ status }) => status === 200).length
      assert.isAtLeast(served, 10)
      assert.isAtMost(served, 20)
      for (const answer of answers.slice(served)) refusedCleanly(answer)
      assert.strictEqual((yield* stats).json.createAnonymousUser.total, 1)
    })
  )

  it.live("acquires no more for 97 callers at once than for one", () =>
    Effect.gen(function* () {
      const { chat, stats } = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
      const answers = yield* Effect.forEach(Array.from({ length: 97 }), (_, i) => chat(`question ${i}`), {
        concurrency: "unbounded"
      })
      const served = answers.filter(({ status }) => status === 200).length
      assert.isAtLeast(served, 10)
      assert.isAtMost(served, 20)
      for (const answer of answers.filter(({ status }) => status !== 200)) refusedCleanly(answer)
      assert.strictEqual((yield* stats).json.createAnonymousUser.total, 1)
    })
  )

  it.live("keeps the creation limit's 429 apart from the quota's: it waits and kills no token", () =>
    Effect.gen(function* () {
      const { chat, stats, faults, url } = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
      yield* faults({ call: "createAnonymousUser", kind: "rate_limit", retryAfter: "1200" })
      const answer = yield* chat("hi")
      refusedCleanly(answer)
      assert.isAtLeast(Number(answer.headers.get("retry-after")), 1199)
      refusedCleanly(yield* chat("hi again"))
      assert.strictEqual((yield* stats).json.createAnonymousUser.total, 1)
      const { pool } = (yield* get(`${url}/v1/performance`)).json
      assert.deepStrictEqual(pool.tokens, [])
    })
  )
})
