import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { claimsOf, type Purpose, tokenOf } from "../../../src/sandbox/wopan/wopanToken.ts"

const Claims = Schema.Struct({
  account: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
  generation: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 24 - 1 })),
  issuedAt: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))
})

describe("a token of the emulated drive", () => {
  it.effect.prop("says what it was issued with, to the same seed and purpose only", [Claims], ([claims]) =>
    Effect.sync(() => {
      for (const [purpose, other] of [["access", "refresh"] as const, ["refresh", "access"] as const]) {
        const token = tokenOf("seed", purpose, claims)
        assert.lengthOf(token, 36)
        assert.deepStrictEqual(claimsOf("seed", purpose, token), claims)
        assert.isUndefined(claimsOf("seed", other, token))
        assert.isUndefined(claimsOf("another", purpose, token))
        assert.isUndefined(
          claimsOf(
            "seed",
            purpose,
            token.replace(/.$/, (last) => (last === "0" ? "1" : "0"))
          )
        )
      }
    })
  )

  it("shares no key of the cipher with another of its account", () => {
    const keys = new Set(
      [0, 1, 2, 3].map((generation) => tokenOf("seed", "access", { account: 0, generation, issuedAt: 0 }).slice(0, 16))
    )
    assert.strictEqual(keys.size, 4)
  })

  it.each(["", "synthetic", "00000000-0000-0000-0000-000000000000", "g".repeat(36)])("is not %j", (token) => {
    for (const purpose of ["access", "refresh"] satisfies ReadonlyArray<Purpose>) {
      assert.isUndefined(claimsOf("seed", purpose, token))
    }
  })
})
