import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { normalise, similarity } from "../../src/acquisition/errorText.ts"

describe("normalise", () => {
  const alike: ReadonlyArray<readonly [string, string]> = [
    ["quota exceeded at 2025-11-21T12:00:00.123Z", "quota exceeded at 2025-11-22 09:10:11"],
    ["attempt 1 of 5 failed after 1.25 s", "attempt 2 of 5 failed after 30.5 s"],
    [
      "user 5f0c6a1e-1111-4222-8333-444455556666 has no quota",
      "user 0a1b2c3d-9999-4888-8777-666655554444 has no quota"
    ],
    ["request 9f86d081884c7d65 failed", "request 60303ae22b998861 failed"],
    ["GET https://api.test/v1/users/42?key=a1 gave 429", "GET https://api.test/v1/users/77?key=b2 gave 429"],
    ["NO AI Requests   remaining", "no ai requests remaining"],
    ["token synthetic-0000-token-text refused", "token synthetic-1234-other-text refused"]
  ]
  it.each(alike)("takes out what differs each time: %s", (a, b) => {
    assert.strictEqual(normalise(a), normalise(b))
  })

  it("keeps what tells one error from another", () => {
    assert.notStrictEqual(normalise("no quota remaining"), normalise("invalid refresh token"))
    assert.strictEqual(normalise("connection reset by peer"), "connection reset by peer")
    assert.include(normalise("POST https://api.test/v1/token?key=x failed"), "https://api.test/")
  })

  it("keeps no long opaque word, and no key of an address", () => {
    const secret = "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIj"
    for (const text of [
      `bearer ${secret}`,
      `https://user:${secret}@api.test/x?key=${secret}`,
      `{"token":"${secret}"}`
    ]) {
      assert.notInclude(normalise(text), secret.toLowerCase())
    }
  })

  it.effect.prop("is bounded, and has nothing left to take out", [Schema.String], ([text]) =>
    Effect.sync(() => {
      const once = normalise(text)
      assert.isAtMost(once.length, 200)
      assert.notMatch(once, /\d/)
    })
  )

  it("reads a very long text in time that does not matter", () => {
    assert.isAtMost(normalise("a1-".repeat(1_000_000)).length, 200)
  })
})

describe("similarity", () => {
  it.effect.prop("is symmetric, between 0 and 1, and 1 for equal texts", [Schema.String, Schema.String], ([a, b]) =>
    Effect.sync(() => {
      const value = similarity(a, b)
      assert.strictEqual(value, similarity(b, a))
      assert.isTrue(value >= 0 && value <= 1)
      assert.strictEqual(similarity(a, a), 1)
    })
  )

  it("counts pairs of characters as Sørensen and Dice do", () => {
    assert.strictEqual(similarity("night", "nacht"), 0.25)
    assert.strictEqual(similarity("aaaa", "aa"), 0.5)
    assert.strictEqual(similarity("ab", "cd"), 0)
    assert.strictEqual(similarity("a", "b"), 0)
  })
})
