import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { shownError, withheld } from "../../src/manager/errorText.ts"

const secret = "synthetic/Token.value+with=all~sorts_0123456789"
const shown = (text: string, ...secrets: ReadonlyArray<string>) =>
  shownError(
    text,
    [secret, ...secrets].map((value) => Redacted.make(value))
  )

describe("an error from outside", () => {
  it("is shown as it is when it is plain", () => {
    for (const text of [
      "HTTP 429 Too Many Requests",
      "连接超时",
      "token expired",
      "invalid token: it has expired",
      "connect ECONNREFUSED 127.0.0.1:28889",
      "GET https://api.example.com/v1/chat/completions answered 500",
      "token not found in the pool"
    ]) {
      assert.strictEqual(shown(text), text)
    }
  })

  it("is one line of at most 200 characters, or nothing", () => {
    assert.strictEqual(shown("a\r\n\tb\u0000\u001b[31mc\u2028d\u202ee"), "a b [31mc d e")
    assert.strictEqual(shown("界".repeat(500)), "界".repeat(200))
    assert.isUndefined(shown(""))
    assert.isUndefined(shown(" \n\u0000 "))
  })

  it("is withheld when it holds what looks like a secret", () => {
    for (const text of [
      "Authorization: Bearer synthetic-bearer",
      "authorization: basic c3ludGhldGlj",
      "got eyJhbGciOiJub25lIn0",
      "key sk-syntheticsynthetic was refused",
      "https://api.example.com/?access_token=synthetic-value",
      '{"refresh_token": "synthetic-value"}',
      "no such session 3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    ]) {
      assert.strictEqual(shown(text), withheld, text)
    }
  })

  it.effect.prop(
    "is withheld when it holds any twelve characters in a row of the token, plain, escaped or broken over lines",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: secret.length - 12 })),
      Schema.Literals(["plain", "escaped", "broken"]),
      Schema.String.check(Schema.isMaxLength(30)),
      Schema.String.check(Schema.isMaxLength(30))
    ],
    ([at, form, before, after]) =>
      Effect.sync(() => {
        const piece = secret.slice(at, at + 12)
        const told = {
          plain: piece,
          escaped: encodeURIComponent(piece),
          broken: `${piece.slice(0, 6)}\n${piece.slice(6)}`
        }
        const text = form === "escaped" ? told.escaped : `${before}${told[form]}${after}`
        assert.strictEqual(shown(text), withheld)
      })
  )

  it("is withheld when it holds a token that is short", () => {
    assert.strictEqual(shown("refused abc", "abc"), withheld)
  })
})
