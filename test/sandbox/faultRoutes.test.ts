import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { at, get, postJson, remove, setFault, withSandbox } from "./warpCaller.ts"

const listed = Effect.map(get("/_sandbox/faults"), ({ json }) => at(json, "faults"))

describe("faultRoutes", () => {
  it.effect("takes one fault, a list of faults, or an object that holds the list", () =>
    Effect.gen(function* () {
      yield* setFault({ call: "ai", kind: "quota" })
      yield* setFault([
        { provider: "warp", call: "ai", kind: "stall", delay: "2 seconds", afterEvents: 1, times: null }
      ])
      const { json, status } = yield* setFault({
        faults: [{ call: "ai", kind: "rate_limit", retryAfter: 1.5, skip: 2, model: "o3" }]
      })
      assert.strictEqual(status, 200)
      const expected = [
        { call: "ai", kind: "quota", times: 1, skip: 0 },
        { provider: "warp", call: "ai", kind: "stall", delay: "2000 millis", afterEvents: 1, times: null, skip: 0 },
        { call: "ai", kind: "rate_limit", retryAfter: 1.5, skip: 2, model: "o3", times: 1 }
      ]
      assert.deepStrictEqual(at(json, "faults"), expected)
      assert.deepStrictEqual(yield* listed, expected)
      assert.deepStrictEqual((yield* remove("/_sandbox/faults")).json, { faults: [] })
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(withSandbox())
  )

  const good = { call: "ai", kind: "cut" }
  const bad: ReadonlyArray<readonly [string, unknown]> = [
    ["call", { kind: "cut" }],
    ["call", { ...good, call: "chat" }],
    ["kind", { ...good, kind: "explode" }],
    ["kind", { call: "refresh", kind: "cut" }],
    ["kind", { call: "ai", kind: "user_facing_error" }],
    ["kind", { call: "ai", kind: "refresh_rejected" }],
    ["kind", { call: "exchange", kind: "refresh_rotated" }],
    ["kind", { call: "refresh", kind: "model_not_allowed" }],
    ["provider", { ...good, provider: "wrap" }],
    ["times", { ...good, times: 0 }],
    ["times", { ...good, times: 1.5 }],
    ["skip", { ...good, skip: -1 }],
    ["afterEvents", { ...good, afterEvents: "two" }],
    ["afterEvents", { call: "ai", kind: "quota", afterEvents: 2 }],
    ["delay", { ...good, delay: -5 }],
    ["delay", { ...good, delay: "a while" }],
    ["status", { call: "ai", kind: "server_error", status: 200 }],
    ["status", { ...good, status: 500 }],
    ["delay", { call: "ai", kind: "split", delay: 5 }],
    ["retryAfter", { call: "ai", kind: "blocked", retryAfter: 5 }],
    ["retryAfter", { call: "ai", kind: "rate_limit", retryAfter: "1\r\nx-injected: 1" }],
    ["code", { call: "ai", kind: "quota", code: "X" }],
    ["message", { call: "ai", kind: "quota", message: "X" }],
    ["model", { call: "refresh", kind: "server_error", model: "o3" }],
    ["retryAfter", { call: "ai", kind: "rate_limit", retryAfter: [] }],
    ["retry_after", { ...good, retry_after: 5 }],
    ["[1].kind", [good, { ...good, kind: "explode" }]],
    ["faults[1].kind", { faults: [good, { ...good, kind: "explode" }] }],
    ["faults", Array.from({ length: 101 }, () => good)],
    ["body", 5]
  ]
  for (const [field, fault] of bad) {
    it.effect(`refuses ${JSON.stringify(fault).slice(0, 80)} and names ${field}`, () =>
      Effect.gen(function* () {
        const { json, status } = yield* postJson("/_sandbox/faults", fault)
        assert.strictEqual(status, 400)
        assert.strictEqual(at(json, "error", "field"), field)
        assert.include(`${at(json, "error", "message")}`, field)
        assert.deepStrictEqual(yield* listed, [])
      }).pipe(withSandbox())
    )
  }

  it.effect("holds a hundred faults, and sets all of a list or none", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* setFault(Array.from({ length: 99 }, () => good))).status, 200)
      assert.strictEqual((yield* setFault([good, good])).status, 400)
      assert.strictEqual((yield* setFault(good)).status, 200)
      assert.lengthOf((yield* listed) as Array<unknown>, 100)
    }).pipe(withSandbox())
  )
})
