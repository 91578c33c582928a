import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import type { NewManagedToken } from "../../src/manager/TokenManager.ts"
import { parse, render, told } from "../../src/manager/tokensFile.ts"

const problems = (text: string) => parse(text, "wopan").problems.map((problem) => told("tokens.json", problem))
const plain = ({ refresh, token, ...rest }: NewManagedToken) => ({
  ...rest,
  ...(token && { token: Redacted.value(token) }),
  ...(refresh && { refresh: Redacted.value(refresh) })
})
const tokens = (text: string) => parse(text, "wopan").rows.map(({ token }) => plain(token))

describe("tokens.json", () => {
  it("is D4's object or the array alone, whose statistics are passed over", () => {
    const rows = `[
      { "token": "synthetic-a", "name": "账号一", "is_active": false, "success_count": "many", "last_error": {"x": [1]} },
      { "token": "synthetic-b", "name": null, "kind": "personal", "provider": "nvidia1",
        "refresh_token": "synthetic-r", "expires_at": "2026-01-31T12:00:00.5+08:00" }
    ]`
    const expected = [
      { provider: "wopan", name: "账号一", disabled: true, token: "synthetic-a" },
      {
        provider: "nvidia1",
        kind: "personal" as const,
        accessExpiresAt: 1769832000500,
        token: "synthetic-b",
        refresh: "synthetic-r"
      }
    ]
    assert.deepStrictEqual(tokens(rows), expected)
    assert.deepStrictEqual(tokens(`\n{ "version": 2, "tokens": ${rows}}\r\n`), expected)
    assert.deepStrictEqual(tokens("[]"), [])
  })

  it("is told all that is wrong with it, each with the line of its row, and no secret", () => {
    const text = `{
  "tokens": [
    { "token": "synthetic-a", "name": "a" },
    { "name": "b" },
    {
      "token": "synthetic with spaces",
      "name": " c ",
      "is_active": "yes",
      "provider": "No Such",
      "kind": "king",
      "expires_at": "tomorrow"
    },
    { "token": "synthetic-a", "name": "d" }, { "token": "synthetic-e", "name": "a" },
    { "token": "synthetic-f", "token": "synthetic-g" },
    "synthetic-h",
    { "token": null }, { "token": "" }, { "token": 7 }, { "token": ["synthetic"] },
    { "token": "synthetic-b", "refresh_token": "synthetic-a" }
  ]
}`
    assert.deepStrictEqual(problems(text), [
      "tokens.json:4: token: missing",
      "tokens.json:5: token: expected 1 to 8192 printable ASCII characters without spaces",
      "tokens.json:5: name: expected 1 to 100 characters, without control characters and without spaces at its ends",
      "tokens.json:5: is_active: expected true or false",
      "tokens.json:5: provider: expected the name of a provider",
      "tokens.json:5: kind: expected one of anonymous, shared, personal",
      "tokens.json:5: expires_at: expected a time of RFC 3339, such as 2026-01-31T12:00:00Z",
      "tokens.json:13: the same token as line 3",
      "tokens.json:13: name: the same as line 3",
      "tokens.json:14: token: given twice",
      "tokens.json:15: expected an object",
      "tokens.json:16: token: missing",
      "tokens.json:16: token: expected 1 to 8192 printable ASCII characters without spaces",
      "tokens.json:16: token: expected 1 to 8192 printable ASCII characters without spaces",
      "tokens.json:16: token: expected 1 to 8192 printable ASCII characters without spaces",
      "tokens.json:17: the same token as line 3"
    ])
    assert.deepStrictEqual(parse(text, "wopan").problems[8], {
      line: 13,
      column: 46,
      field: "name",
      reason: "the same as line 3"
    })
  })

  it("has the same token and the same name at two providers", () => {
    const text = `[{"token":"synthetic","name":"a"},{"token":"synthetic","name":"a","provider":"other"},
      {"token":"synthetic","provider":"wopan"}]`
    assert.deepStrictEqual(problems(text), ["tokens.json:2: the same token as line 1"])
  })

  it("has one list: of two it is open which is meant", () => {
    const text = `{ "tokens": [{ "token": "synthetic-a" }],\n  "tokens": [{ "token": "synthetic-b" }] }`
    assert.deepStrictEqual(problems(text), ["tokens.json:1: tokens: given twice"])
    assert.deepStrictEqual(parse(text, "wopan").rows, [])
  })

  it("is told where it is no JSON, or no list of tokens", () => {
    assert.deepStrictEqual(problems('{\n  "tokens": [\n    { "token": synthetic }'), [
      "tokens.json:3: it is not JSON, at column 16"
    ])
    assert.deepStrictEqual(problems('{ "tokens": ['), ["tokens.json:1: it ends before it is whole, at column 14"])
    for (const text of ['{"token": []}', '{"tokens": {}}', "7", '"synthetic"', "null"]) {
      assert.deepStrictEqual(problems(text), ['tokens.json:1: expected { "tokens": [ … ] } or an array of tokens'])
    }
    assert.deepStrictEqual(problems("["), ["tokens.json:1: it ends before it is whole, at column 2"])
    assert.match(problems("[".repeat(100_000) + "]".repeat(100_000))[0] ?? "", /nested too deep/)
  })

  it("may have strings of any length and escapes", () => {
    const long = "x".repeat(2_000_000)
    assert.deepStrictEqual(problems(`[{"token":"${long}"},{"token":"synthetic\\u002da","name":"a\\"]},{"}]`).length, 1)
    assert.deepStrictEqual(tokens(`[{"token":"synthetic\\u002da","name":"a\\"]},{"}]`), [
      { provider: "wopan", name: 'a"]},{', token: "synthetic-a" }
    ])
  })

  const Secret = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,12}$/u))
  const Row = Schema.Struct({
    token: Secret,
    refresh: Schema.optionalKey(Secret),
    kind: Schema.Literals(["anonymous", "shared", "personal"]),
    disabled: Schema.Boolean,
    expires: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4e12 }))),
    provider: Schema.Literals(["wopan", "nvidia1"])
  })

  it.effect.prop("written and read is the same tokens", [Schema.Array(Row).check(Schema.isMaxLength(8))], ([rows]) =>
    Effect.sync(() => {
      const made = rows.map((row, i) => ({
        provider: row.provider,
        name: `名 ${i}`,
        kind: row.kind,
        ...(row.expires !== undefined && { accessExpiresAt: row.expires }),
        ...(row.disabled && { disabled: true }),
        token: `${i}/${row.token}`,
        ...(row.refresh !== undefined && { refresh: `r${i}/${row.refresh}` })
      }))
      const text = render(
        made.map(({ refresh, token, ...rest }) => ({
          ...rest,
          token: Redacted.make(token),
          ...(refresh !== undefined && { refresh: Redacted.make(refresh) })
        }))
      )
      assert.deepStrictEqual(problems(text), [])
      assert.deepStrictEqual(tokens(text), made)
    })
  )

  it.effect.prop(
    "names the row, wherever it stands",
    [Schema.Array(Schema.Literals(["good", "bad", "\n", "\r\n", "  "])).check(Schema.isMaxLength(30))],
    ([parts]) =>
      Effect.sync(() => {
        let text = "["
        let isFirst = true
        const expected: Array<{ line: number; column: number }> = []
        for (const [i, part] of parts.entries()) {
          if (part !== "good" && part !== "bad") {
            text += part
            continue
          }
          if (!isFirst) text += ","
          isFirst = false
          const lines = text.split("\n")
          if (part === "bad") expected.push({ line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 })
          text += part === "good" ? `{"token":"t${i}"}` : "{}"
        }
        const found = parse(`${text}]`, "wopan").problems.map(({ column, line }) => ({ line, column }))
        assert.deepStrictEqual(found, expected)
      })
  )
})
