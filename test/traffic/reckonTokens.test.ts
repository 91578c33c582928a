import { assert, describe, it } from "@effect/vitest"
import { reckonSpent, reckonTokens } from "../../src/traffic/reckonTokens.ts"

const reckoned = (json: Record<string, unknown>) => reckonTokens({ bytes: new Uint8Array(400), json }) - 100

describe("reckonTokens", () => {
  it("takes the client's own bound of the answer, whatever it is called", () => {
    for (const name of ["max_tokens", "max_completion_tokens", "max_output_tokens"]) {
      assert.strictEqual(reckoned({ messages: [], [name]: 77 }), 77)
    }
    assert.strictEqual(reckoned({ messages: [], max_tokens: "many" }), reckoned({ messages: [] }))
  })

  it("reckons no answer for an embedding, and a usual one for a chat", () => {
    assert.strictEqual(reckoned({ input: "text" }), 0)
    assert.strictEqual(reckoned({ messages: [] }), 500)
  })
})

describe("reckonSpent", () => {
  it("counts the question and as much of a streamed answer as has come", () => {
    const body = { bytes: new Uint8Array(400), json: {} }
    assert.strictEqual(reckonSpent(body, 0), 100)
    assert.strictEqual(reckonSpent(body, 1_800), 110)
    assert.strictEqual(reckonSpent(body, 1_801), 111)
  })
})
