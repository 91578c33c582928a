import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestLog } from "../../src/sandbox/RequestLog.ts"

const request = (query: string, more: object = {}) => ({
  time: "1970-01-01T00:00:00.000Z",
  arrivedAt: 0,
  provider: "zhipu",
  call: "chat",
  account: null,
  conversationId: "",
  model: "glm-4.5",
  query,
  systemPrompt: null,
  historyLength: 0,
  toolNames: [],
  toolResults: [],
  ...more
})

describe("RequestLog", () => {
  it.effect("keeps the newest five thousand, in order", () =>
    Effect.gen(function* () {
      const log = yield* RequestLog
      for (let call = 0; call < 5_003; call++) yield* log.add(request(`${call}`))
      const kept = yield* log.all
      assert.lengthOf(kept, 5_000)
      assert.deepStrictEqual([kept[0]?.query, kept.at(-1)?.query], ["3", "5002"])
      yield* log.clear
      assert.lengthOf(yield* log.all, 0)
    }).pipe(Effect.provide(RequestLog.layer))
  )

  it.effect("keeps the newest two hundred at length and the others in short, and of neither all", () =>
    Effect.gen(function* () {
      const log = yield* RequestLog
      const long = "ä".repeat(10_000)
      const many = Array.from({ length: 1_000 }, () => long)
      for (let call = 0; call < 201; call++) {
        yield* log.add(request(long, { systemPrompt: long, model: long, toolNames: many, toolResults: many }))
      }
      const [oldest, next] = yield* log.all
      assert.deepStrictEqual(
        [oldest, next].map((kept) => [
          kept?.query.length,
          kept?.systemPrompt?.length,
          kept?.model.length,
          kept?.toolNames.length,
          kept?.toolResults.length,
          kept?.toolResults[0]?.length
        ]),
        [
          [200, 200, 128, 4, 2, 200],
          [4_000, 4_000, 128, 128, 16, 4_000]
        ]
      )
    }).pipe(Effect.provide(RequestLog.layer))
  )

  it.effect("learns how a request was answered, also when it is an old one by then or a forgotten one", () =>
    Effect.gen(function* () {
      const log = yield* RequestLog
      const answered = yield* log.add(request("first"))
      yield* Effect.forEach(Array.from({ length: 300 }), () => log.add(request("other")))
      assert.isNull((yield* log.all)[0]?.status)
      yield* answered(429)
      assert.strictEqual((yield* log.all)[0]?.status, 429)
      yield* log.clear
      yield* answered(200)
      assert.lengthOf(yield* log.all, 0)
    }).pipe(Effect.provide(RequestLog.layer))
  )
})
