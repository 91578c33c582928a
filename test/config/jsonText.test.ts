import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { offsetOfError, placeOf } from "../../src/config/jsonText.ts"

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe("a text that should be JSON", () => {
  it.each([
    ["", 0],
    ["  ", 2],
    ["{", 1],
    ['{"a": 1', 7],
    ['{"a": 1,}', 8],
    ["[1,]", 3],
    ["[1 2]", 3],
    ['{"a" 1}', 5],
    ["{a: 1}", 1],
    ['{"a": synthetic}', 6],
    ['{ // why\n"a": 1}', 2],
    ['{"a": "b}', 6],
    ['{"a": "\t"}', 6],
    ['["a": 1]', 4],
    ['{"a", 1}', 4],
    ["[}", 1],
    ['{"a": [1}', 8],
    ["1 2", 2],
    ["01", 1],
    ["1,2", 1],
    ["[-]", 1],
    ["]", 0],
    ["\u00a01", 0]
  ] as const)("%j goes wrong at %i", (text, offset) => {
    assert.isFalse(isJson(text))
    assert.strictEqual(offsetOfError(text), offset)
  })

  it("is told of by line and column", () => {
    assert.strictEqual(placeOf('{\n  "a": x\n}', 9), "line 2, column 8")
    assert.strictEqual(placeOf("{", 1), "line 1, column 2")
  })

  const Piece = Schema.Literals([
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"\\u00e9\\n"',
    '"',
    "\\",
    "1",
    "-0.5e+3",
    "0",
    "-",
    ".",
    "true",
    "nul",
    "null",
    " ",
    "\n",
    "x"
  ])
  const Value = Schema.Json

  it.prop("is wrong for whom it is wrong, whatever it is made of", [Schema.Array(Piece)], ([pieces]) => {
    const text = pieces.join("")
    const offset = offsetOfError(text)
    assert.strictEqual(offset === undefined, isJson(text), text)
    // All before it is JSON, or might still become it.
    if (offset !== undefined) assert.include([undefined, offset], offsetOfError(text.slice(0, offset)), text)
  })

  it.prop(
    "is right as it is written, and wrong where a stray mark is put into it",
    [Value, Schema.Int],
    ([value, n]) => {
      const text = JSON.stringify(value, undefined, 2)
      assert.isUndefined(offsetOfError(text))
      const at = Math.abs(n) % (text.length + 1)
      const broken = `${text.slice(0, at)}}${text.slice(at)}`
      const offset = offsetOfError(broken)
      assert.strictEqual(offset === undefined, isJson(broken))
    }
  )
})
