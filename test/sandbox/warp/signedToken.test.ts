import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { sign, verify } from "../../../src/sandbox/warp/signedToken.ts"

const Claims = Schema.Struct({ sub: Schema.String })

describe("signedToken", () => {
  it("gives back what was signed", () => {
    assert.deepStrictEqual(
      verify("seed", "access", sign("seed", "access", { sub: "naïve ✓" }), Claims),
      Option.some({ sub: "naïve ✓" })
    )
  })

  it("is made of three parts", () => {
    assert.lengthOf(sign("seed", "access", { sub: "a" }).split("."), 3)
  })

  it("is worthless for another purpose, and to a sandbox of another seed", () => {
    const token = sign("seed", "custom", { sub: "a" })
    assert.isTrue(Option.isNone(verify("seed", "refresh", token, Claims)))
    assert.isTrue(Option.isNone(verify("another", "custom", token, Claims)))
  })

  it("is refused when any character of it is changed", () => {
    const token = sign("seed", "access", { sub: "a" })
    for (let index = 0; index < token.length - 1; index++) {
      const changed = token.slice(0, index) + (token[index] === "A" ? "B" : "A") + token.slice(index + 1)
      assert.isTrue(Option.isNone(verify("seed", "access", changed, Claims)), `character ${index}`)
    }
  })

  it("is refused when it is no token at all, or claims something else", () => {
    for (const nonsense of ["", ".", "..", "a.b.c", "%%%.%%%.%%%", sign("seed", "access", { other: 1 })]) {
      assert.isTrue(Option.isNone(verify("seed", "access", nonsense, Claims)), nonsense)
    }
  })
})
